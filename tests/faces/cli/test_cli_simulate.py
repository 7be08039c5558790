"""`rollbackd simulate` against a real daemon: what it tells is what then happens, and it leaves no trace."""

import re
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest

from rollback_daemon.faces.http.leisure import BusyError, Leisure, Turns
from tests.faces.http.bench import NOBODY_LISTENS, Bench, rollbackd

YES, USAGE, UNKNOWN = 0, 2, 3
OF_A_SIMULATION = {"alert", "hook"}  # what is told beside the records
MISTAKES = [
    ({"set": "eror_rate=2%"}, 422, '"eror_rate=2%": there is no signal or trigger "eror_rate"; did you mean "error_rate"?'),
    ({"set": "eror_rate=2%", "for": "5min"}, 422, 'did you mean "error_rate"?\n--for: "5min" is no duration'),
    ({"set": "error_rate=2%", "at_stage": "canari"}, 422, 'checkout has no stage "canari"; did you mean "canary"?'),
    ({"set": "error_rate=2%", "for": "5min"}, 422, '--for: "5min" is no duration; write "5m"'),
    ({"set": "error_rate=2%", "for": "0s"}, 422, "--for: nothing happens in no time; write for instance 10m"),
    ({"set": "error_rate=2%", "for": "9d"}, 422, "at most 5000 are simulated; write at most 16m40s"),
    ({"for": "5m"}, 422, "nothing is supposed; add --set NAME=VALUE"),
]


def traces(bench: Bench) -> tuple[object, ...]:
    """Where a simulation that has an effect would leave a trace: the record, the flags, what is kept beside them, what is counted."""
    ours = re.compile(r"_(transitions|notifications|hooks?)_total|_append_seconds_count")
    counted = [line for line in bench.get("/metrics").text.splitlines() if ours.search(line)]
    stat = bench.flags.stat()
    return bench.history(), bench.flags.read_bytes(), (stat.st_mtime_ns, stat.st_ino), sorted(one.name for one in bench.folder.iterdir()), counted


def test_what_it_tells_is_what_then_happens_and_telling_changes_nothing(bench: Bench) -> None:
    bench.to_canary()
    before, known = traces(bench), len(bench.history())
    table = bench.rollbackd("simulate", "checkout", "--set", "error_rate=3%", "--for", "1s")
    assert (table.code, table.err) == (YES, "")
    for words in (
        "checkout  ready at canary, 10 % exposed, soaked",
        "set      error_rate=3%, last seen 0, read by ErrorRateHigh, gate Errors",
        "ErrorRateHigh is firing: 0.03 (limit: > 0.01)",
        "rollback canary -> baseline decided, by rollbackd: ErrorRateHigh: error_rate 0.03 > 0.01",
        "flags written: NEW_CHECKOUT: true -> false, SHARE: 10 -> 0",
        "alert ErrorRateHigh (critical) at canary is sent to Alertmanager: ErrorRateHigh: error_rate 0.03 > 0.01",
        "ends     checkout ends rolled_back at baseline, 0 % exposed; it goes no further up until a person resumes it with a reason",
        "change   ErrorRateHigh does not fire while error_rate <= 0.01",
    ):
        assert words in table.out, table.out
    assert re.search(r"^IN +AT +WHAT$", table.out, re.MULTILINE)
    ran = bench.rollbackd("simulate", "checkout", "--set", "error_rate=3%", "--format", "json")
    for query, status, says in MISTAKES:
        answer = bench.get(f"/api/v1/rollouts/checkout/simulation?{urlencode(query)}")
        assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text
    assert bench.rollbackd("simulate", "checkout", "--set", "x=1").code == USAGE
    assert traces(bench) == before
    bench.set_error_rate(0.03)
    bench.wait_for(stage="baseline", phase="rolled_back")
    happened = [one for one in bench.history()[known:] if one["event"] != "plotted"]  # for the report, a little later
    simulated = [one for one in ran.json["steps"] if one["event"] not in OF_A_SIMULATION]
    assert [one["event"] for one in simulated] == [one["event"] for one in happened]
    decisions = [one["why"] for one in happened if one["event"] == "intended"]
    assert [one["more"] for one in simulated if one["event"] == "intended"] == decisions


def test_without_an_answer_it_is_not_known_and_without_a_question_it_is_a_mistake() -> None:
    assert rollbackd("simulate", "checkout", "--set", "error_rate=2%", "--url", NOBODY_LISTENS).code == UNKNOWN
    ran = rollbackd("simulate", "checkout", "--for", "5m")
    assert (ran.code, ran.err) == (USAGE, "rollbackd: nothing is supposed; add --set NAME=VALUE (error_rate=2%) or --at-stage STAGE\n")


def test_one_simulation_runs_at_a_time_and_few_wait() -> None:
    turns = Turns(wait=0.01)
    with turns.take(), ExitStack() as waiting, pytest.raises(BusyError):
        waiting.enter_context(turns.take())
    with turns.take():
        assert not Leisure(0).proceed()
        assert Leisure(60).proceed()
