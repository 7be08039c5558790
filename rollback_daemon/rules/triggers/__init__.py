"""The kinds of trigger: one file for each, and this registry. A kind is a frozen dataclass that is a `reading.TriggerKind`."""

from rollback_daemon.rules.reading import TriggerKind
from rollback_daemon.rules.triggers.threshold import Threshold
from rollback_daemon.rules.triggers.violations import Check, Violations

__all__ = ["KINDS", "Check", "Threshold", "Violations"]

KINDS: dict[str, type[TriggerKind]] = {"threshold": Threshold, "violations": Violations}
"""Name of a kind, as help, documents and schema show it, to its class."""
