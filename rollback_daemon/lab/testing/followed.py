"""What a followed file answers in a test, without the file. Must not live here: reading files (`following`), the order of a test (`running`)."""

import math

from rollback_daemon.following.log import MISSING
from rollback_daemon.lab.remote_write import STALE
from rollback_daemon.lab.testing.notation import Point
from rollback_daemon.signals.observation import Failed, Failure, NoData, Observation, Value

_TORN = "the test says that some lines cannot be read"


def found(point: Point, *, missing: bool) -> Observation:
    """The answer that `point` stands for: a value, no data for a gap, a failure for `stale`. `missing`: some lines cannot be read."""
    if point == STALE:
        return Failed(Failure.REFUSED, "the test says that the file cannot be read")
    if not isinstance(point, float) or math.isnan(point):
        return Failed(Failure.MALFORMED, _TORN) if missing else NoData("the test says that there is no data")
    return Value({(): point}, {MISSING: _TORN}, (_TORN,)) if missing else Value({(): point})
