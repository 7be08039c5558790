"""How text is folded: nothing is cut, nothing is wider than the terminal, what goes on is indented. And how some events of the record are told."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rollback_daemon.faces import telling
from rollback_daemon.faces.cli.show import statuses
from rollback_daemon.faces.cli.terminal import escape, labelled, rows, tell
from rollback_daemon.faces.logs import _plain
from tests.faces.http.bench import Bench

TEXT = st.text(st.sampled_from("abc[]\\/:{}= \n-日"), min_size=1, max_size=200).map(
    lambda text: text + "."
)  # rich doubles a backslash at the very end
WIDTHS = st.integers(24, 120)


def printed(width: int, say: Callable[[Console], None], *, soft_wrap: bool = False) -> list[str]:
    file = StringIO()
    say(Console(file=file, width=width, highlight=False, emoji=False, soft_wrap=soft_wrap))
    return file.getvalue().splitlines()


def letters(text: str) -> str:
    return "".join(text.split())


def is_within(lines: list[str], width: int) -> bool:
    return all(sum(2 if letter == "日" else 1 for letter in line) <= width for line in lines)


@given(text=TEXT, width=WIDTHS, hang=st.integers(0, 30))
def test_a_line_is_folded_and_nothing_of_it_is_lost(text: str, width: int, hang: int) -> None:
    lines = printed(width, lambda out: tell(out, escape(text), hang))
    assert letters("".join(lines)) == letters(text)
    assert is_within(lines, width)


@given(label=st.sampled_from(["next", "a longer label"]), text=TEXT, width=WIDTHS)
def test_what_stands_beside_a_label_is_folded_and_nothing_of_it_is_lost(label: str, text: str, width: int) -> None:
    lines = printed(width, lambda out: labelled(out, label, escape(text)))
    assert letters("".join(lines)) == letters(label + text)
    assert is_within(lines, width)


@given(cells=st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=4), width=WIDTHS)
def test_columns_are_folded_and_nothing_of_them_is_lost(cells: list[tuple[str, str, str]], width: int) -> None:
    one_line = [tuple(cell.replace("\n", "") for cell in row) for row in cells]
    lines = printed(width, lambda out: rows(out, ["A", "B", "C"], [[escape(cell) for cell in row] for row in one_line]))
    assert sorted(letters("".join(lines))) == sorted(letters("ABC" + "".join(map("".join, one_line))))
    assert is_within(lines, width)


def test_continued_lines_are_indented() -> None:
    assert printed(24, lambda out: tell(out, "  - it waits for what nobody can see")) == ["  - it waits for what", "    nobody can see"]
    assert printed(40, lambda out: labelled(out, "next", "it waits for what nobody can see, and for /a/path/that/is/longer/than/that")) == [
        "  next     it waits for what nobody can",
        "           see, and for /a/path/that/is/",
        "           longer/than/that",
    ]
    assert printed(40, lambda out: rows(out, ["CHECK", "EVIDENCE"], [["soak", "soaked 5s of 10s at canary, 5s to go still"]])) == [
        "CHECK  EVIDENCE",
        "soak   soaked 5s of 10s at canary, 5s to",
        "       go still",
    ]


def test_columns_that_leave_no_room_are_not_aligned() -> None:
    cells = [["a name that is rather long", "", "soaked 5s of 10s"], ["soak", "x", "5s"]]
    assert printed(40, lambda out: rows(out, ["CHECK", "BY", "EVIDENCE"], cells)) == [
        "CHECK  BY  EVIDENCE",
        "a name that is rather long  soaked 5s of",
        "    10s",
        "soak  x  5s",
    ]


def test_off_a_terminal_a_line_stays_a_line() -> None:
    long = "word " * 200 + "end"
    assert printed(80, lambda out: tell(out, long), soft_wrap=True) == [long]
    assert printed(80, lambda out: rows(out, ["A", "B"], [["x", long]]), soft_wrap=True) == ["A  B", f"x  {long}"]


def test_a_recorded_series_is_no_little_picture() -> None:
    assert printed(80, lambda out: tell(out, "job:fire:rate5m")) == ["job:fire:rate5m"]


ROLLOUT = {
    "rollout": "checkout",
    "mode": "enforce",
    "phase": "rolled_back",
    "stage": "canary",
    "exposure": 0.1,
    "since": "2026-03-01T12:00:00.000Z",
    "entered": "2026-03-01T12:00:00.000Z",
    "firing": ["PaymentErrorsHigh"],
    "silent": [],
    "pending": [],
    "next": "stays until the report of incident 20260301T120000Z-3e45574e is complete, and a person resumes it",
}


def test_a_rollout_that_has_no_room_in_a_line_takes_a_few() -> None:
    assert printed(80, lambda out: statuses(out, [ROLLOUT])) == [
        "checkout  rolled_back since 2026-03-01 12:00:00Z, at canary, 10 % exposed",
        "  firing   PaymentErrorsHigh",
        "  next     stays until the report of incident 20260301T120000Z-3e45574e is",
        "           complete, and a person resumes it",
    ]
    quiet = printed(80, lambda out: statuses(out, [{**ROLLOUT, "silent": ROLLOUT["firing"]}]))
    assert quiet[1] == "  firing   PaymentErrorsHigh (not armed)"
    wide = printed(160, lambda out: statuses(out, [ROLLOUT]))
    assert wide[0].split() == ["ROLLOUT", "PHASE", "SINCE", "STAGE", "EXPOSED", "FIRING", "PENDING", "NEXT"]
    assert wide[2] == " " * wide[0].index("NEXT") + "complete, and a person resumes it"


@pytest.mark.parametrize("words", [["status"], ["explain", "checkout"], ["history", "checkout"], ["scorecard", "checkout"], ["flags", "checkout"]])
def test_what_is_piped_is_no_wider_than_columns_says(reading: Bench, words: list[str]) -> None:
    ran = reading.rollbackd(*words, env={"COLUMNS": "60"})
    assert is_within(ran.out.splitlines(), 60)
    assert len(ran.out.splitlines()) >= len(reading.rollbackd(*words, env={"COLUMNS": "0"}).out.splitlines())


# how events are told

WAY = {"event": "intended", "id": "t2", "kind": "rollback", "from": "canary", "to": "canary", "why": ["no"], "by": "rollbackd", "code": "unverified"}
TOLD: list[tuple[dict[str, Any], str]] = [
    ({"event": "gate", "passes": True, "why": "Errors: rate 0, must be < 1"}, "passes: Errors: rate 0, must be < 1"),
    ({"event": "gate", "passes": False, "why": "Errors: rate 2, must be < 1"}, "does not pass: Errors: rate 2, must be < 1"),
    ({"event": "trigger", "alert": "A", "labels": {}, "phase": "inactive", "value": 0.1, "limit": "> 0.5"}, "A inactive (0.1, limit > 0.5)"),
    ({"event": "trigger", "alert": "A", "labels": {"job": "x"}, "phase": "firing", "value": 0.7, "limit": "> 0.5"}, 'A{job="x"} firing (0.7 > 0.5)'),
    ({"event": "trigger", "alert": "A", "labels": {}, "phase": "inactive", "value": None, "limit": ""}, "A inactive (no data)"),
    ({"event": "applied", "before": {}, "after": {}, "backup": "f.bak"}, "no flag had to be changed; backup f.bak"),
    ({"event": "applied", "before": {"a": 1}, "after": {"a": 2}, "backup": ""}, "a: 1 -> 2"),
    ({**WAY, "way": 1, "way_kind": "backup"}, "way back 2 (backup) at canary [t2]: no"),
    ({**WAY, "way": 3, "to": "baseline"}, "rollback canary -> baseline [t2]: no"),
    ({**WAY, "code": "person", "way_kind": "backup"}, "rollback by backup at canary [t2]: no"),
    ({**WAY, "kind": "degrade"}, "degrade at canary [t2]: no"),
    ({**WAY, "event": "done"}, "rollback at canary [t2]: flags read back"),
    (
        {"event": "postmortem", "incident": "t1", "fields": {"fix_plan": "bigger", "root_cause": "too small"}, "complete": True, "why": "ann: all"},
        "t1: root cause: too small; fix plan: bigger; the report is complete (ann: all)",
    ),
    (
        {"event": "configured", "file": "r.yml", "sha256": "0123456789abcdef", "rules": ["A: rate > 1", "B: rate > 2", "C: rate > 3"]},
        "rules of r.yml (0123456789ab): A: rate > 1; and 2 more, see --format json",
    ),
]


@pytest.mark.parametrize(("event", "sentence"), TOLD)
def test_an_event_is_told_in_a_sentence(event: dict[str, Any], sentence: str) -> None:
    assert telling.told(event) == sentence


def test_history_shows_events_of_some_kinds_only(reading: Bench) -> None:
    events = reading.rollbackd("history", "checkout", "--event", "configured,adopted", "--format", "json").json
    assert [one["event"] for one in events] == ["configured", "adopted"]
    assert len(events[0]["rules"]) > 1
    assert reading.rollbackd("history", "checkout", "--event", "adopted", "--stage", "baseline").out.count("adopted") == 1
    told = reading.rollbackd("history", "checkout", "--limit", "1").out.splitlines()
    assert (told[0], len(reading.rollbackd("history", "checkout", "--limit", "1", "--format", "json").json)) == (
        "the newest 1 events; older ones with --limit, of some kinds alone with --event",
        1,
    )
    assert "older ones" not in reading.rollbackd("history", "checkout").out
    ran = reading.rollbackd("history", "checkout", "--event", "adopted,promoted")
    assert (ran.code, 'there is no event "promoted"; known: abandoned, ' in ran.err) == (2, True), ran.err


def test_a_line_of_the_log_for_people_has_no_value_as_python_writes_it() -> None:
    line = _plain(None, "info", {"alerts": [{"alertname": "Ü", "at": None}, {"n": True}], "flags": {"a": False}, "why": ["one", "two"], "none": []})
    assert line == {"alerts": '{"alertname": "Ü", "at": null}; {"n": true}', "flags": '{"a": false}', "why": "one; two"}
