"""What gates and triggers have come to over the whole time at a stage, not only at its end.

Lives here: counting evaluations, and what of it a gate asks for. Must not live here: what one evaluation says (`gates`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rollback_daemon.clock import aligned
from rollback_daemon.durations import format_coarse, format_duration, format_number
from rollback_daemon.judge.reasons import Code
from rollback_daemon.rules.model import Gate
from rollback_daemon.rules.reading import Verdict

_BUCKETS = 60  # of a window; its share is exact to one of them


@dataclass(frozen=True, slots=True)
class GateRecord:
    """One gate over a stage: evaluations in which it was `clear`, of the `total` of those that could tell; how long it was `seen`; since when it is
    clear without a break.

    `recent` are the same counts in slices of the gate's window: (when the slice began, clear, total).
    """

    clear: int = 0
    total: int = 0
    seen: timedelta = timedelta()
    clear_since: datetime | None = None
    recent: tuple[tuple[datetime, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Tenure:
    """A stay at a stage, since `began`: its gates by name, and when each trigger that has fired began to, last."""

    began: datetime | None = None
    gates: Mapping[str, GateRecord] = field(default_factory=dict)
    fired: Mapping[str, datetime] = field(default_factory=dict)


def counted(gate: Gate, record: GateRecord, verdict: Verdict, passed: timedelta | None, now: datetime, max_gap: timedelta) -> GateRecord:
    """The record after the evaluation at `now`. `passed` is the time since the one before; None when that was too long ago to count."""
    if not (gate.for_ or gate.share is not None or gate.min_data):
        return record
    clear, known = verdict is Verdict.CLEAR, verdict is not Verdict.UNKNOWN  # what was not seen is missing from soak and data already
    unbroken = record.clear_since if passed is not None else None
    return GateRecord(
        clear=record.clear + clear,
        total=record.total + known,
        seen=record.seen + (passed if passed and known else timedelta()),
        clear_since=(unbroken or now) if clear else None,
        recent=_recent(gate, record, (int(clear), int(known)), now, max_gap) if gate.for_ and gate.share is not None else (),
    )


def paused(record: GateRecord, verdict: Verdict, passed: timedelta | None) -> GateRecord:
    """The record after an evaluation that does not count: time without a break stands still while it is clear, and ends where it is not."""
    if record.clear_since is None:
        return record
    goes_on = verdict is Verdict.CLEAR and passed is not None
    return replace(record, clear_since=record.clear_since + passed if goes_on and passed is not None else None)


def _recent(gate: Gate, record: GateRecord, more: tuple[int, int], now: datetime, max_gap: timedelta) -> tuple[tuple[datetime, int, int], ...]:
    """The slices of the window, and the one before it if the next followed without a gap: evaluations seldom fall on a window's very beginning."""
    width = max(gate.for_ / _BUCKETS, timedelta(seconds=1))
    begins, window = aligned(now, width), now - gate.for_
    following = [*(slice_[0] for slice_ in record.recent[1:]), begins]
    looked = zip(record.recent, following, strict=False)
    kept = [one for one, then in looked if one[0] > window or (then > window and then - one[0] <= max_gap + width)]
    last = kept.pop() if kept and kept[-1][0] == begins else (begins, 0, 0)
    return (*kept, (begins, last[1] + more[0], last[2] + more[1]))


def shortfall(gate: Gate, record: GateRecord, now: datetime) -> tuple[Code, str] | None:
    """What a gate that passes now still lacks over its time; None when nothing."""
    if record.seen < gate.min_data:
        left = format_coarse(gate.min_data - record.seen)
        return Code.GATE_DATA, f"seen for {format_coarse(record.seen)} of {format_duration(gate.min_data)} at this stage; {left} to go"
    if gate.for_ and gate.share is None:
        since = now - record.clear_since if record.clear_since else timedelta()
        return (Code.GATE_TIME, f"clear for {format_coarse(since)} of {format_duration(gate.for_)}") if since < gate.for_ else None
    return _share_shortfall(gate, record, now) if gate.share is not None else None


def _share_shortfall(gate: Gate, record: GateRecord, now: datetime) -> tuple[Code, str] | None:
    clear, total = record.clear, record.total
    if gate.for_:
        clear, total = sum(slice_[1] for slice_ in record.recent), sum(slice_[2] for slice_ in record.recent)
        looked = now - record.recent[0][0] if record.recent else timedelta()
        if looked < gate.for_:
            return Code.GATE_TIME, f"looked at for {format_coarse(looked)} of {format_duration(gate.for_)}"
    assert gate.share is not None  # noqa: S101 (asked by the caller)
    if total and clear >= gate.share * total:
        return None
    had = f"{format_number(100 * clear / total)}%" if total else "none"
    return Code.GATE_TIME, f"clear in {had} of {total} evaluations, must be at least {format_number(100 * gate.share)}%"


def fired(tenure: Tenure, names: Iterable[str], since: datetime) -> dict[str, datetime]:
    """Those of the triggers that began to fire at or after `since`."""
    return {name: tenure.fired[name] for name in sorted(names) if name in tenure.fired and tenure.fired[name] >= since}


def begun(tenure: Tenure, began: datetime) -> Tenure:
    """The same tenure, or a new one when the stage has begun anew."""
    return tenure if tenure.began == began else Tenure(began)


def with_fired(tenure: Tenure, firing: Mapping[str, datetime]) -> Tenure:
    """With the triggers that fire now, and since when."""
    return replace(tenure, fired={**tenure.fired, **firing}) if firing.items() - tenure.fired.items() else tenure
