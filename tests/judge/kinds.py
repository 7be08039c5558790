"""One test of every kind of trigger, on the signals `errors` and `latency`: for laws that hold whatever the kind is."""

from dataclasses import replace
from datetime import timedelta

from rollback_daemon.rules.measures import Condition, OnNoData, Op, Relative, Signal
from rollback_daemon.rules.reading import TriggerKind
from rollback_daemon.rules.statistics.judging import Direction, Tolerance
from rollback_daemon.rules.triggers import Check, Threshold, Violations
from rollback_daemon.rules.triggers.absent import Absent
from rollback_daemon.rules.triggers.burn_rate import BurnRate, Pair
from rollback_daemon.rules.triggers.canary import Canary, Method
from rollback_daemon.rules.triggers.forecast import Forecast
from rollback_daemon.rules.triggers.increase import Increase

SLOT = timedelta(seconds=15)
_HOUR, _SHORT = timedelta(hours=1), timedelta(minutes=5)


def of_every_kind(no_data: OnNoData = OnNoData.HOLD) -> list[TriggerKind]:
    """Each of them soon breached by errors of 2 beside a latency of 1."""
    errors, latency = Signal("errors", "errors", no_data=no_data), Signal("latency", "latency")
    exposed, above = replace(errors, exposed_only=True), Condition(Op.ABOVE, 1)
    quick = Canary(exposed, latency, Tolerance(amount=0.0), error_rate=0.4, at_least=2, samples=5, every=SLOT)
    return [
        Threshold(errors, above),
        Violations("errors", (Check(errors, above),), Condition(Op.AT_LEAST, 2)),
        BurnRate(0.5, (Pair(_HOUR, _SHORT, 1.5),), ((_HOUR, errors), (_SHORT, latency))),
        Absent(errors, "errors"),
        Increase(replace(errors, relative=Relative.GROWTH, control="latency"), Condition(Op.ABOVE, 0.1)),
        Forecast(errors, above, _HOUR, _HOUR, _SHORT, _SHORT),
        quick,
        replace(quick, tolerance=Tolerance(Direction.EITHER, 0.0), every=2 * SLOT, window=SLOT, zero=True),
        replace(quick, method=Method.MANN_WHITNEY, beyond=0.2),
    ]
