"""The trigger kind `threshold`: a limit on a signal, or a pasted Prometheus alerting expression.

`value CMP limit` for each series on its own. A pasted expression that can be split at its top comparison is judged the same way; one that
cannot is a breach for every series it returns, as in Prometheus.
"""

from dataclasses import dataclass

from rollback_daemon.rules.triggers._limit import LimitOnSignal


@dataclass(frozen=True, slots=True)
class Threshold(LimitOnSignal):
    """Breached where `condition` holds; where there is no condition, by every series of the answer."""
