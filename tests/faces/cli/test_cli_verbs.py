"""Every verb of the command line against a real daemon: what it prints, off a terminal, and the exit code."""

import re
from pathlib import Path

import pytest

from rollback_daemon import __version__
from rollback_daemon.lab.servers import PrometheusServer, free_port, wait_until
from tests.faces.http.bench import NOBODY_LISTENS, Bench, rollbackd

YES, NO, USAGE, UNKNOWN = 0, 1, 2, 3
ESCAPE = "\x1b"
FILES = ("check", "schema", "test", "backtest", "import", "gate", "shadow-diff")
READING = ("preflight", "status", "explain", "simulate", "history", "scorecard", "report")
CHANGING = ("promote", "rollback", "restore", "rehearse", "hold", "resume", "flags")
SAYING = ("propose", "approve", "reject", "withdraw", "resolve", "checkpoint", "evidence", "handoff")
FOLLOWING = ("verify", "decide", "acknowledge", "cancel", "postmortem")
VERBS = ("run", *FILES, *READING, *CHANGING, *SAYING, *FOLLOWING)


def test_status_is_a_line_for_each_rollout(reading: Bench) -> None:
    for words in (["status"], ["status", "checkout"]):
        ran = reading.rollbackd(*words)
        assert (ran.code, ran.err) == (YES, "")
        head, line = ran.out.splitlines()
        assert head.split() == ["ROLLOUT", "PHASE", "SINCE", "STAGE", "EXPOSED", "FIRING", "PENDING", "NEXT"]
        assert re.match(r"checkout +baseline +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +baseline +0 % +- +Warned +may be promoted to canary by a person", line)


def test_explain_tells_the_query_the_value_beside_its_limit_and_what_would_change_it(reading: Bench) -> None:
    ran = reading.rollbackd("explain", "checkout")
    assert ran.code == YES
    for words in (
        "checkout  baseline since ",
        "Z, at baseline, 0 % exposed",
        "next     may be promoted to canary by a person",
        "ladder   baseline > canary > half",
        "ErrorRateHigh  inactive  health ok  rollback to previous  severity critical",
        "query    errors or vector(0)",
        "value    error_rate 0, limit > 0.01",
        "change   takes no action at this stage; breached once error_rate > 0.01",
        "Warned  pending  health ok",
        "fires in 4m",
        "passes",
    ):
        assert words in ran.out, ran.out


def test_history_tells_what_happened_and_who(bench: Bench) -> None:
    bench.to_canary()
    ran = bench.rollbackd("history", "checkout")
    assert ran.code == YES
    kinds = [line.split()[2] for line in ran.out.splitlines()[1:]]
    assert [kind for kind in kinds if kind in {"adopted", "intended", "applied", "done"}] == ["adopted", "intended", "applied", "done"]
    assert "SHARE: 0 -> 10" in ran.out
    assert len(bench.rollbackd("history", "checkout", "--limit", "1").out.splitlines()) == 3  # that there are older ones, the heads, the newest


@pytest.mark.parametrize("words", [["status"], ["status", "checkout"], ["explain", "checkout"], ["history", "checkout"]])
def test_what_reads_can_answer_in_json(reading: Bench, words: list[str]) -> None:
    ran = reading.rollbackd(*words, "--format", "json")
    assert (ran.code, ran.err) == (YES, "")
    paths = {"status": "rollouts" if len(words) == 1 else "rollouts/checkout", "explain": "rollouts/checkout/explain"}
    answer = reading.get(f"/api/v1/{paths.get(words[0], 'rollouts/checkout/history')}").json()
    assert type(ran.json) is type(answer)
    first, same = (ran.json[0], answer[0]) if isinstance(answer, list) else (ran.json, answer)
    assert first.keys() == same.keys()


def test_nothing_is_coloured_off_a_terminal(reading: Bench) -> None:
    for words in (["status"], ["explain", "checkout"], ["history", "checkout"], ["status", "nothing"]):
        ran = reading.rollbackd(*words)
        assert ESCAPE not in ran.out + ran.err


def test_a_promotion_and_a_rollback_wait_until_the_flags_are_read_back(bench: Bench) -> None:
    bench.wait_for(next="may be promoted to canary by a person")
    up = bench.rollbackd("promote", "checkout", "--reason", "day one")
    assert (up.code, up.err) == (YES, "")
    assert "canary" in up.out.splitlines()[1]
    assert "SHARE=10" in bench.flags.read_text()
    down = bench.rollbackd("rollback", "checkout", "--reason", "not today", "--to", "baseline", "--format", "json")
    assert (down.code, down.json["phase"], down.json["stage"]) == (YES, "rolled_back", "baseline")
    assert "SHARE=0" in bench.flags.read_text()
    again = bench.rollbackd("resume", "checkout", "--reason", "mended", "--format", "json")
    assert (again.code, again.json["phase"]) == (YES, "baseline")


def test_a_hold_and_what_it_refuses(bench: Bench) -> None:
    held = bench.rollbackd("hold", "checkout", "--reason", "freeze")
    assert (held.code, held.out.splitlines()[1].split()[1]) == (YES, "held")
    refused = bench.rollbackd("promote", "checkout", "--reason", "now")
    assert (refused.code, refused.out) == (NO, "")
    first, *reasons = refused.err.splitlines()
    assert first.startswith("rollbackd: refused: ")
    assert any("resume it with a reason first" in reason for reason in reasons)
    assert all(reason.startswith(("  - ", "  ? ")) for reason in reasons)


def test_a_refusal_for_lack_of_sight_is_not_a_no(tmp_path: Path) -> None:
    with Bench(tmp_path, NOBODY_LISTENS) as bench:
        ran = bench.rollbackd("promote", "checkout", "--reason", "now")
    assert (ran.code, ran.out) == (UNKNOWN, "")
    assert "  ? " in ran.err
    assert "Connection refused" in ran.err


def test_a_rollback_that_is_not_done_in_time_is_not_a_yes(bench: Bench) -> None:
    """The command after the change takes its time; the flags are on their way, and nobody can say yet that they are there."""
    slow = (bench.folder / "rules.yml").read_text().replace("flags: {", "flags: {after_change: {command: [sleep, '5']}, ")
    bench.to_canary()
    bench.write_rules(slow)
    assert bench.post("/-/reload").status_code == 200
    ran = bench.rollbackd("rollback", "checkout", "--reason", "x", "--wait", "0.5")
    assert (ran.code, ran.out) == (UNKNOWN, "")
    assert "rollback is not done after 0.5 s" in ran.err
    assert "rollbackd explain checkout" in ran.err
    now = bench.rollbackd("status", "checkout", "--format", "json").json
    assert now["phase"] == "rolling_back"
    wait_until(lambda: bench.rollout()["phase"] == "rolled_back", "the rollback to end", 30)


def test_with_no_wait_a_transition_is_only_started(bench: Bench) -> None:
    bench.wait_for(next="may be promoted to canary by a person")
    ran = bench.rollbackd("promote", "checkout", "--reason", "x", "--wait", "0", "--format", "json")
    assert ran.code == YES
    assert ran.json["transition"]
    bench.wait_for(stage="canary", phase="ready")


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["explain", "checkout"],
        ["history", "checkout"],
        ["promote", "checkout", "--reason", "x"],
        ["rollback", "checkout", "--reason", "x"],
        ["hold", "checkout", "--reason", "x"],
        ["resume", "checkout", "--reason", "x"],
    ],
)
def test_without_a_daemon_nobody_can_tell(words: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ran = rollbackd(*words, env={"ROLLBACKD_URL": url})
    assert (ran.code, ran.out) == (UNKNOWN, "")
    assert ran.err == f"rollbackd: rollbackd does not answer at {url} (Connection refused); is it running? --url or ROLLBACKD_URL says where\n"


def test_something_else_that_answers_is_not_taken_for_the_daemon(told: PrometheusServer) -> None:
    ran = rollbackd("status", "--url", told.url)
    assert ran.code == UNKNOWN
    assert "is not rollbackd" in ran.err


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "localhost:9811"])
def test_an_address_that_is_none_is_said_to_be_none(url: str) -> None:
    ran = rollbackd("status", "--url", url)
    assert ran.code == USAGE
    assert ran.err == f'rollbackd: "{url}" is no address; begin it with http:// (--url, ROLLBACKD_URL)\n'


def test_an_address_without_a_host_does_not_answer() -> None:
    ran = rollbackd("status", "--url", "http://")
    assert ran.code == UNKNOWN
    assert ran.err.startswith("rollbackd: rollbackd does not answer at ")


def test_a_rollout_that_is_not_there_is_a_mistake_of_usage(reading: Bench) -> None:
    ran = reading.rollbackd("explain", "nothing")
    assert (ran.code, ran.out) == (USAGE, "")
    assert ran.err == 'rollbackd: there is no rollout "nothing"; known: checkout\n'


@pytest.mark.parametrize("name", ["a/b", "a?b", "..", ".", "%2e", " ", ""])
def test_what_can_be_the_name_of_no_rollout_is_not_asked_for(name: str) -> None:
    for words in (["status", name], ["explain", name], ["hold", name, "--reason", "x"], ["promote", name, "--reason", "x"]):
        ran = rollbackd(*words, "--url", NOBODY_LISTENS)
        assert (ran.code, ran.out) == (USAGE, "")
        assert ran.err == f'rollbackd: "{name}" is no name of a rollout; `rollbackd status` lists them\n'


@pytest.mark.parametrize(
    "words",
    [
        ["explain"],
        ["promote", "checkout"],
        ["rollback", "checkout"],
        ["hold", "checkout"],
        ["nonsense"],
        ["status", "--format", "xml"],
        ["history", "checkout", "--limit", "0"],
        ["promote", "checkout", "--reason", "x", "--wait", "-1"],
        ["run", "--web.listen-address", "nowhere"],
        ["run", "--log.level", "loud"],
        ["run", "--log.format", "xml"],
        ["schema", "novel"],
        ["check"],
        [],
    ],
)
def test_a_mistake_of_usage_ends_with_2_and_says_which(words: list[str]) -> None:
    ran = rollbackd(*words)
    assert ran.code == USAGE
    assert "Traceback" not in ran.err
    assert "Usage: rollbackd" in ran.err + ran.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    ran = rollbackd(verb, "--help")
    assert ran.code == YES
    assert f"Usage: rollbackd {verb}" in ran.out
    assert ESCAPE not in ran.out


def test_the_help_names_every_verb_and_no_other() -> None:
    ran = rollbackd("--help")
    listed = re.findall(r"^  ([a-z-]+)  ", ran.out.split("Commands:")[1], re.MULTILINE)
    assert sorted(listed) == sorted(VERBS)


def test_the_version_is_told() -> None:
    assert rollbackd("--version").out == f"rollbackd {__version__}\n"


HEAVY = {
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "apscheduler",
    "prometheus_client",
    "prometheus_api_client",
    "pandas",
    "numpy",
    "matplotlib",
}


def imported(ran_err: str) -> set[str]:
    """The top-level packages that `-X importtime` tells of."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in ran_err.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["--help"], {"requests", "rich", "structlog", "yaml"}),
        (["status", "--help"], {"requests", "rich", "structlog", "yaml"}),
        (["status", "--url", NOBODY_LISTENS], {"rich", "structlog", "yaml"}),
        (["schema"], {"rich", "structlog"}),
    ],
)
def test_a_verb_imports_no_more_than_it_needs(words: list[str], more: set[str]) -> None:
    ran = rollbackd(*words, env={"PYTHONPROFILEIMPORTTIME": "1"})
    loaded = imported(ran.err)
    assert "typer" in loaded
    assert loaded & (HEAVY | more) == set()
