"""Two versions over the same history, and fires against incidents that people know of."""

from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.lab.backtesting import incidents, words
from rollback_daemon.lab.backtesting.compare import compared
from rollback_daemon.lab.backtesting.incidents import Incident
from rollback_daemon.lab.backtesting.report import Entry
from rollback_daemon.lab.backtesting.scoring import scored
from rollback_daemon.lab.backtesting.spells import spells
from tests.judge.world import rollout, trigger
from tests.lab.recorded import at, backtested, hours

SPIKES = {"errors": lambda now: {30: 20.0, 31: 30.0, 32: 30.0}.get(now.minute, 1.0) if now.hour in {13, 15, 17} else 8.0 if now.hour == 19 else 1.0}
NOW = at("20:00")
FIVE = timedelta(minutes=5)
SERIES = [("12:00", "12:10"), ("12:05", "12:20"), ("12:30", "12:40")]


def over(above: float, for_: str = "0", name: str = "High", action: str = "rollback to baseline") -> Entry:
    return backtested(rollout(trigger(name, "errors", for_=for_, action=action, above=above)), hours(8), SPIKES)


def test_a_version_is_no_different_from_itself() -> None:
    found = compared(over(10), over(10))
    assert not found["different"]
    assert [one["same"] for one in found["triggers"]] == [3]
    assert found["decisions"]["same"] == 3


def test_fires_that_come_go_and_move_are_told() -> None:
    later = compared(over(10), over(25))
    (trigger_,) = later["triggers"]
    assert [one["seconds_later"] for one in trigger_["moved"]] == [60, 60, 60]
    assert trigger_["limits"] == ["errors > 10", "errors > 25"]
    assert [one["seconds_later"] for one in later["decisions"]["moved"]] == [60, 60, 60]
    more = compared(over(10), over(5))["triggers"][0]
    assert [one["fired"][11:16] for one in more["added"]] == ["19:00"]
    less = compared(over(5), over(10))
    assert [one["fired"][11:16] for one in less["triggers"][0]["gone"]] == ["19:00"]
    assert [one["what"] for one in less["decisions"]["gone"]] == ["rollback full > baseline"]


def test_a_trigger_that_only_one_version_has_is_told() -> None:
    found = compared(over(10), over(10, name="Higher"))
    assert found["different"]
    assert [(one["alert"], one["only_in"], one["fired"]) for one in found["triggers"]] == [("High", "this", [3, 0]), ("Higher", "other", [0, 3])]


def test_decisions_follow_the_trigger_that_is_slower() -> None:
    found = compared(over(10), over(10, "2m"))
    assert [one["seconds_later"] for one in found["triggers"][0]["moved"]] == [120, 120, 120]
    assert not found["decisions"]["gone"]


def known(start: str, end: str, name: str = "") -> Incident:
    return Incident(at(start), at(end), name or start)


def test_incidents_are_caught_missed_and_fires_are_false() -> None:
    found = scored(over(10), [known("13:29", "13:40"), known("14:30", "14:40"), known("15:00", "15:28", "early")], FIVE)
    (high,) = found["triggers"]
    assert [(one["name"], one["after"]) for one in high["caught"]] == [("13:29", 60), ("early", 1800)]
    assert (high["missed"], high["false"]) == (["14:30"], ["2026-03-01T17:30:00Z"])
    assert (high["precision"], high["recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert high["detection"] == {"median": 930, "worst": 1800}


def test_without_a_tolerance_a_fire_right_after_the_incident_is_false() -> None:
    (high,) = scored(over(10), [known("15:00", "15:28")], timedelta())["triggers"]
    assert (len(high["missed"]), len(high["false"])) == (1, 3)


def test_a_fire_that_ended_shortly_before_the_incident_has_found_it_within_the_tolerance_alone() -> None:
    later = [known("13:36", "13:40")]
    recalls = [scored(over(10), later, tolerance)["triggers"][0]["recall"] for tolerance in (FIVE, timedelta(minutes=2))]
    assert recalls == [1, 0]


def test_series_that_fire_at_the_same_time_are_one_fire() -> None:
    a, b, later = ({"pending": at(one).isoformat(), "fired": at(one).isoformat(), "resolved": at(end).isoformat()} for one, end in SERIES)
    found = spells({"fires": [b, later, a]}, at("14:00"))
    assert [(one.fired, one.end) for one in found] == [(at("12:00"), at("12:20")), (at("12:30"), at("12:40"))]


def test_what_happens_while_it_is_rolled_back_counts_neither_way() -> None:
    found = scored(over(10), [known("13:29", "13:40"), known("14:00", "14:10")], FIVE)
    assert (found["rollbacks"]["not_exposed"], found["rollbacks"]["missed"], found["rollbacks"]["recall"]) == (["14:00"], [], 1)
    assert found["triggers"][0]["missed"] == ["14:00"]


def test_a_fire_that_lasts_since_before_the_incident_has_found_it_at_once() -> None:
    (high,) = scored(over(5, action="alert"), [known("19:10", "19:20")], FIVE)["triggers"]
    assert [one["after"] for one in high["caught"]] == [0]


def test_incidents_outside_of_the_history_or_of_another_rollout_are_left_out() -> None:
    other = Incident(at("13:30"), at("13:31"), "other", "another")
    found = scored(over(10), [known("08:00", "08:10", "before"), other], FIVE)
    assert (found["incidents"], found["outside"], found["rollbacks"]["recall"]) == (0, ["before"], None)


def test_a_file_of_incidents_is_read_in_every_spelling(tmp_path: Path) -> None:
    file = tmp_path / "incidents.csv"
    lines = ["\ufeffstart, end, name, rollout", '2026-03-01 15:00,2026-03-01T15:10:00Z,"late, but true",', "", "1772370000,7h,,checkout"]
    file.write_text("\r\n".join(lines), encoding="utf-8")
    first, second = incidents.read(file, ["checkout"], NOW)
    assert (first.name, first.start, first.end, first.rollout) == ("2026-03-01 13:00", at("13:00"), at("13:00"), "checkout")
    assert (second.name, second.end) == ("late, but true", at("15:10"))


def test_every_mistake_in_a_file_of_incidents_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "incidents.csv"
    file.write_text("start,end,rollout\nyesterday,2026-03-01,x\n2026-03-02,2026-03-01,checkout\n1,2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as told:
        incidents.read(file, ["checkout"], NOW)
    said = [str(problem).removeprefix(str(file)) for problem in told.value.problems]
    assert [one.split(":")[1] for one in said] == ["2", "2", "3", "4"]
    assert said[1].endswith('rollout: "x" is none of those that are backtested; known here: checkout')
    assert said[2].endswith(":3:2: end: is before its start")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'the column "start" is missing'),
        ("begin,end\n", '"begin" is no column'),
        ("start,end,end\n", "stands there twice"),
        ("start,end\n", "has no incident in it"),
        ('start,end\n"2026', "is no CSV"),
        ("start,end\n" + "\n" * 1_000_000, "is larger than 1 MB; leave out"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "incidents.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        incidents.read(file, [], NOW)


def test_decisions_that_change_are_told_in_the_order_of_time() -> None:
    early, late = "2026-11-08T21:25:00Z", "2026-11-13T08:26:00Z"
    made = {
        "added": [{"at": "2026-11-09T00:00:00Z", "what": "hold"}],
        "gone": [{"at": late, "what": "resume"}],
        "moved": [{"fired": early, "what": "rollback full > half", "seconds_later": -420.0}],
    }
    assert words.changes({"decisions": made}) == [
        ("2026-11-08 21:25:00", "7m earlier", "rollback full > half"),
        ("2026-11-09 00:00:00", "added", "hold"),
        ("2026-11-13 08:26:00", "gone", "resume"),
    ]


@pytest.mark.parametrize(
    ("value", "headroom", "of_limit", "told"),
    [(0.06, -0.04, -2.0, "past the limit by 0.04 (200% of it)"), (1, 0.99, 99.0, "short of the limit by 0.99"), (5, 0, 0.0, "at the limit")],
)
def test_how_close_it_came_is_told_as_past_or_short_of_the_limit(value: float, headroom: float, of_limit: float, told: str) -> None:
    found = {"value": value, "labels": {}, "at": "2026-11-08T21:25:00Z", "headroom": headroom, "of_limit": of_limit}
    assert words.closest({"closest": found}) == f"{value:g} at 2026-11-08 21:25:00, {told}"
