"""What goes on record beside an incident: the signals as Prometheus had them, who was told; and nothing where that cannot be had."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rollback_daemon.incident_notes import IncidentNotes
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.state import Happened
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.signals.observation import Failed, Failure, Labels
from tests.watch.guarded import BAD, Desk

HERE = "http://alertmanager:9093"
Points = Mapping[Labels, Sequence[tuple[float, float]]]


class Past:
    """A Prometheus that remembers one series, or nothing."""

    def __init__(self, answer: Failed | None = None) -> None:
        self.asked: list[tuple[str, datetime, datetime, timedelta]] = []
        self._answer = answer

    def over_time(self, query: str, start: datetime, end: datetime, step: timedelta) -> Points | Failed:
        self.asked.append((query, start, end, step))
        if self._answer:
            return self._answer
        count = (end - start) // step + 1
        return {(): [((start + number * step).timestamp(), 0.25) for number in range(count)]}


@contextmanager
def noting(desk: Desk, past: Past | None) -> Iterator[IncidentNotes]:
    def find(name: str) -> Any:
        return desk.watch if name == "checkout" else None

    notes = IncidentNotes(find, desk.journal, desk.hands, lambda: past)
    try:
        yield notes
    finally:
        notes.close()


def taken_back(desk: Desk) -> Record:
    """It has been rolled back; the record that says so."""
    desk.climb_to("half").evaluate(BAD)
    desk.settle()
    return desk.records(Event.DONE)[-1]


def tell(notes: IncidentNotes, desk: Desk, record: Record) -> None:
    notes.happened(desk.rollout, Event(record.kind), record.body, record.at)


def noted(desk: Desk, kind: Event, count: int = 1) -> list[Mapping[str, Any]]:
    wait_until(lambda: len(desk.records(kind)) >= count, f"{count} of {kind} on record", 10)
    return desk.bodies(kind)


def test_a_rollback_without_a_verification_is_plotted_when_it_is_done(desk: Desk) -> None:
    record, past = taken_back(desk), Past()
    with noting(desk, past) as notes:
        tell(notes, desk, record)
        [body] = noted(desk, Event.PLOTTED)
    assert body["incident"] == desk.watch.state.aftermath.incident
    [signal] = body["signals"]
    assert (signal["name"], signal["limit"], signal["lines"], signal["alerts"]) == ("errors", "> 0.5", [0.5], ["ErrorsHigh"])
    assert 100 < len(signal["points"]) <= 240
    assert {query for query, *_ in past.asked} == {"errors"}
    assert past.asked[0][1] <= desk.hands.time - timedelta(minutes=29)


def test_one_that_is_to_be_verified_waits_for_the_end_of_that(desk: Desk) -> None:
    record = taken_back(desk)
    with noting(desk, Past()) as notes:
        notes.happened(desk.rollout, Event.DONE, {**record.body, "verify": True}, record.at)
        notes.happened(desk.rollout, Event.UNVERIFIED, {"id": "x", "final": False, "unknown": False}, record.at)
        notes.happened(desk.rollout, Event.DONE, {**record.body, "kind": "promote"}, record.at)
        notes.happened(desk.rollout, Event.VERIFIED, {"id": "x"}, record.at)
        noted(desk, Event.PLOTTED)
    assert len(desk.bodies(Event.PLOTTED)) == 1


def test_what_prometheus_cannot_tell_is_on_record_with_why(desk: Desk) -> None:
    record = taken_back(desk)
    with noting(desk, Past(Failed(Failure.UNREACHABLE, "no answer: connection refused"))) as notes:
        tell(notes, desk, record)
        [body] = noted(desk, Event.PLOTTED)
    assert (body["signals"], body["why"]) == ([], ["errors: no answer: connection refused"])


def test_a_start_makes_up_for_what_was_missed_and_for_nothing_else(desk: Desk) -> None:
    taken_back(desk)
    with noting(desk, Past()) as notes:
        notes.catch_up(["checkout", "unknown"])
        noted(desk, Event.PLOTTED)
        notes.catch_up(["checkout"])
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": "A"}])
        noted(desk, Event.TOLD)  # what was asked for before has been seen to by now
    assert len(desk.bodies(Event.PLOTTED)) == 1


def test_who_was_told_is_on_record_once_for_each_alert_and_alertmanager(desk: Desk) -> None:
    taken_back(desk)
    alerts = [{"rollout": "checkout", "alertname": name, "severity": "critical", "code": code} for name in ("A", "B") for code in ("500", "503")]
    with noting(desk, None) as notes:
        for _ in range(3):
            notes.accepted(HERE, alerts)
            notes.accepted("http://other:9093", alerts[:1])
        notes.accepted(HERE, [{"rollout": "unknown", "alertname": "A"}, {"alertname": "AboutTheGuard"}])
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": "C"}])
        bodies = noted(desk, Event.TOLD, 3)
    told = [(body["alertmanager"], [one["alertname"] for one in body["alerts"]]) for body in bodies]
    assert told == [(HERE, ["A", "B"]), ("http://other:9093", ["A"]), (HERE, ["C"])]


def test_who_was_told_while_a_rollback_is_announced_is_on_record_without_an_incident(desk: Desk) -> None:
    desk.climb_to("half")
    body = {"alert": "ErrorsHigh", "due": desk.hands.time.isoformat(), "to": "baseline", "why": "x"}
    desk.watch.happen(Happened(Event.SCHEDULED, body))
    mine = [{"rollout": "checkout", "alertname": "RolloutRollbackScheduled", "severity": "critical", "trigger": "ErrorsHigh"}]
    mine += [{"rollout": "checkout", "alertname": "ErrorsHigh", "severity": "warning"}]
    with noting(desk, None) as notes:
        for _ in range(2):
            notes.accepted(HERE, [*mine, {"rollout": "checkout", "alertname": "RolloutReady"}])
        notes.accepted("http://other:9093", mine[:1])
        bodies = noted(desk, Event.TOLD, 2)
    assert [body["incident"] for body in bodies] == ["", ""]
    assert bodies[0]["alerts"] == [
        {"alertname": "ErrorsHigh", "severity": "warning"},
        {"alertname": "RolloutRollbackScheduled", "severity": "critical", "trigger": "ErrorsHigh"},
    ]
    desk.restart()
    with noting(desk, None) as notes:
        notes.accepted(HERE, mine)
    assert len(desk.bodies(Event.TOLD)) == 2


def test_after_a_restart_nobody_is_told_to_have_been_told_again(desk: Desk) -> None:
    taken_back(desk)
    with noting(desk, None) as notes:
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": "A"}])
        noted(desk, Event.TOLD)
    desk.restart()
    with noting(desk, None) as notes:
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": "A"}])
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": "B"}])
        noted(desk, Event.TOLD, 2)
    assert [[one["alertname"] for one in body["alerts"]] for body in desk.bodies(Event.TOLD)] == [["A"], ["B"]]


def test_without_an_incident_there_is_nothing_to_note(desk: Desk) -> None:
    desk.climb_to("half")
    record = desk.records(Event.DONE)[-1]
    with noting(desk, Past()) as notes:
        tell(notes, desk, record)
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": "A"}])
        notes.catch_up(["checkout"])
    assert not desk.records(Event.PLOTTED, Event.TOLD)


def test_what_fails_is_let_go_and_the_next_is_noted_all_the_same(desk: Desk) -> None:
    taken_back(desk)
    with noting(desk, None) as notes:
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": ["no", "name"]}])  # type: ignore[dict-item]  # a defect, on purpose
        notes.accepted(HERE, [{"rollout": "checkout", "alertname": "A"}])
        noted(desk, Event.TOLD)
