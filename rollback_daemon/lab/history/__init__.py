"""What Prometheus remembers, evaluation by evaluation, for a judge that looks back."""

from rollback_daemon.lab.history.cache import Kept, prune
from rollback_daemon.lab.history.fetching import Fetcher, HistoryGone, Patience
from rollback_daemon.lab.history.track import Grid, Track
from rollback_daemon.lab.history.walk import Walk

__all__ = ["Fetcher", "Grid", "HistoryGone", "Kept", "Patience", "Track", "Walk", "prune"]
