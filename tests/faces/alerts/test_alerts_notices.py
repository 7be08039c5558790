"""What one Alertmanager must be told next, told as timetables without a clock."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.faces.alerts import Alert
from rollback_daemon.faces.notices import MOST_RESOLVED, Notice, Notices, by_identity
from tests.faces.alerts.alerts_guard import NOON, at

MINUTE = timedelta(minutes=1)


def alert(name: str, starts_at: datetime = NOON, **annotations: str) -> Alert:
    return Alert({"alertname": name}, annotations, starts_at, "")


class Told:
    """An Alertmanager that takes what is due, unless told otherwise."""

    def __init__(self) -> None:
        self.notices = Notices(MINUTE)

    def at(self, seconds: float, *names: str, takes: bool = True) -> list[str]:
        """What it is told when the alerts of these names are active: the name, or "name is over"."""
        self.notices.take(by_identity([alert(name) for name in names], {}), at(seconds))
        due = self.notices.due(at(seconds))
        if takes:
            self.notices.answered(due, at(seconds), heard=True)
        return [f"{one.alert.labels['alertname']}{' is over' if one.ended else ''}" for one in due]


def test_an_alert_is_told_at_once_again_after_the_delay_and_resolved_once() -> None:
    told = Told()
    assert told.at(0, "A") == ["A"]
    assert told.at(15, "A") == []
    assert told.at(59, "A") == []
    assert told.at(60, "A") == ["A"]
    assert told.at(75, "A") == []
    assert told.at(90) == ["A is over"]
    assert told.at(105) == []


def test_what_is_not_taken_stays_due() -> None:
    told = Told()
    assert told.at(0, "A", takes=False) == ["A"]
    assert told.at(1, "A", takes=False) == ["A"]
    assert told.at(2, "A") == ["A"]
    assert told.at(3, takes=False) == ["A is over"]
    assert told.at(900) == ["A is over"]


def test_an_end_is_not_told_to_one_that_never_heard_of_the_beginning() -> None:
    told = Told()
    assert told.at(0, "A", takes=False) == ["A"]
    assert told.at(15) == []


def test_an_end_is_told_to_one_that_may_have_heard_of_the_beginning() -> None:
    told = Told()
    told.at(0, "A", takes=False)
    told.notices.unanswered(told.notices.due(at(0)))
    assert told.at(15) == ["A is over"]


def test_firing_again_cancels_an_end_that_is_not_delivered() -> None:
    told = Told()
    told.at(0, "A")
    assert told.at(10, takes=False) == ["A is over"]
    assert told.at(20, "A") == ["A"]
    assert told.at(30, "A") == []
    assert told.at(40) == ["A is over"]


def test_an_end_keeps_its_time_until_it_is_delivered() -> None:
    told = Told()
    told.at(0, "A")
    told.at(10, takes=False)
    told.notices.take({}, at(500))
    assert [one.ended for one in told.notices.due(at(500))] == [at(10)]


def test_what_was_refused_for_good_waits_for_its_turn_and_its_end_is_not_told() -> None:
    told = Told()
    told.at(0, "A", takes=False)
    told.notices.answered(told.notices.due(at(0)), at(0), heard=False)
    assert told.at(15, "A", takes=False) == []
    assert told.at(60, "A", takes=False) == ["A"]
    assert told.at(61) == []


def test_news_comes_before_what_is_only_repeated() -> None:
    told = Told()
    told.at(0, "A", "B")
    assert told.at(60, "A", "C") == ["B is over", "C", "A"]


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    told = Told()
    told.at(3600, "A")
    assert told.at(0, "A") == ["A"]


def test_it_says_how_long_nothing_will_be_due() -> None:
    told = Told()
    assert told.notices.left(at(0)) is None
    told.at(0, "A")
    told.at(20, "A", "B")
    assert told.notices.left(at(30)) == timedelta(seconds=30)
    told.at(40, "A", takes=False)
    assert told.notices.left(at(40)) == timedelta()


def test_undelivered_ends_do_not_pile_up_for_ever() -> None:
    notices = Notices(MINUTE)
    for second, names in enumerate([range(MOST_RESOLVED), range(MOST_RESOLVED, MOST_RESOLVED + 5), range(0)]):
        notices.take(by_identity([alert(str(name)) for name in names], {}), at(second))
        notices.unanswered([one for one in notices.due(at(second)) if not one.ended])
    assert len(notices.due(at(9))) == MOST_RESOLVED
    assert sum(one.ended == at(2) for one in notices.due(at(9))) == 5  # the oldest are gone


def test_an_alert_never_ends_before_it_starts() -> None:
    body = Notice(alert("A", starts_at=at(10)), ended=at(5)).body(at(60))
    assert body["startsAt"] == body["endsAt"] == "2026-03-01T12:00:05Z"
    assert "generatorURL" not in body  # an empty one would be no URI


def test_an_active_alert_ends_by_itself_unless_it_is_sent_again() -> None:
    body = Notice(alert("A", starts_at=at(10)), ended=None).body(at(60))
    assert (body["startsAt"], body["endsAt"]) == ("2026-03-01T12:00:10Z", "2026-03-01T12:01:00Z")


def test_a_start_does_not_move_while_the_alert_is_active_and_annotations_follow() -> None:
    before = by_identity([alert("A", at(0), value="1")], {})
    (now,) = by_identity([alert("A", at(15), value="2")], before).values()
    assert (now.starts_at, now.annotations["value"]) == (at(0), "2")
    (anew,) = by_identity([alert("A", at(30))], {}).values()
    assert anew.starts_at == at(30)


CYCLES = st.lists(st.tuples(st.sets(st.sampled_from("ABC")), st.sampled_from(["takes", "hears", "away"])), max_size=30)


@given(CYCLES)
def test_whatever_went_before_one_that_takes_what_it_is_told_knows_exactly_what_is_active(cycles: list[tuple[set[str], str]]) -> None:
    notices = Notices(MINUTE)
    known: set[str] = set()
    for minute, (names, mood) in enumerate(cycles):
        now = at(60 * minute)
        notices.take(by_identity([alert(name) for name in sorted(names)], {}), now)
        due = notices.due(now)
        if mood == "away":
            continue
        for one in due:
            (known.discard if one.ended else known.add)(one.alert.labels["alertname"])
        if mood == "hears":  # and the answer is lost
            notices.unanswered(due)
            continue
        notices.answered(due, now, heard=True)
        assert known == names


@given(CYCLES)
def test_an_end_is_told_at_most_once_for_each_beginning(cycles: list[tuple[set[str], str]]) -> None:
    told = Told()
    said = [word for second, (names, mood) in enumerate(cycles) for word in told.at(61 * second, *names, takes=mood == "takes") if mood == "takes"]
    for name in "ABC":
        about = [word for word in said if word.startswith(name)]
        assert not any(before == after == f"{name} is over" for before, after in pairwise(about))
