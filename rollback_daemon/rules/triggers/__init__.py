"""The kinds of trigger: one file for each, and this registry. A kind is a frozen dataclass that is a `reading.TriggerKind`.

The name of a kind is also the key that it stands under in a trigger; `threshold` is the one without. How it is written stands in the same file, or
beside in one of its own (`build_canary`).
"""

from rollback_daemon.rules import build_burn_rate, build_canary
from rollback_daemon.rules.kinds import Kind
from rollback_daemon.rules.reading import TriggerKind
from rollback_daemon.rules.triggers import absent, forecast, increase, violations
from rollback_daemon.rules.triggers.threshold import Threshold
from rollback_daemon.rules.triggers.violations import Check, Violations

__all__ = ["KEYED", "KINDS", "Check", "Threshold", "Violations", "name_of"]

KINDS: dict[str, Kind] = {
    "threshold": Kind(Threshold),
    "violations": violations.KIND,
    "burn_rate": build_burn_rate.KIND,
    "absent": absent.KIND,
    "increase": increase.KIND,
    "forecast": forecast.KIND,
    "canary": build_canary.KIND,
}
"""Name of a kind, as help, documents and schema show it, to what is known of it."""

KEYED = {name: kind for name, kind in KINDS.items() if kind.build is not None}
"""The kinds with a key of their own."""


def name_of(test: TriggerKind) -> str:
    """The name of the kind that a trigger is of."""
    return next(name for name, kind in KINDS.items() if type(test) is kind.test)
