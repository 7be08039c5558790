"""When commands are run and folders looked into, by real threads, on a real journal; the clock is set by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rollback_daemon.faces.alerts import active
from rollback_daemon.faces.views import explanation, what_next
from rollback_daemon.intake import taking
from rollback_daemon.judge.attempts import Attempt, Came
from rollback_daemon.judge.refusal import Person
from rollback_daemon.judge.transitions import Event
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.duties import Command, Inbox
from tests.intake.coming import HOUR, LONG, declared, figures, refusals, scheduled, script
from tests.intake.conftest import Expecting
from tests.watch.guarded import BAD, SECOND, Desk


def attempt(desk: Desk, name: str = "tests") -> Attempt:
    return desk.watch.state.attempts.get(name, Attempt())


def ended(desk: Desk, name: str = "tests", count: int = 1) -> Attempt:
    """After so many runs, those of this process."""
    wait_until(lambda: sum(attempt(desk, name).counts.values()) >= count, f"{count} runs of {name}", 20)
    return attempt(desk, name)


def runs(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def wait_for(condition: Callable[[], object], what: str) -> None:
    wait_until(condition, what, 20)


def evaluate_until(desk: Desk, condition: Callable[[], object], what: str) -> None:
    def evaluated() -> object:
        desk.evaluate()
        return condition()

    wait_for(evaluated, what)


def alerts(desk: Desk) -> dict[str, dict[str, str]]:
    """The alerts about evidence, with their annotations and labels in one."""
    judgement = desk.watch.judgement
    assert judgement is not None
    found = active(desk.rollout, desk.watch.state, judgement, external_url="", external_labels={})
    return {one.labels["evidence"]: {**one.labels, **one.annotations} for one in found if one.labels["alertname"] == "RolloutEvidenceFailed"}


def test_a_command_is_run_at_once_and_again_when_it_is_due(expecting: Expecting, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = script(tmp_path / "soak.sh", f'echo "$ROLLBACKD_ROLLOUT $ROLLBACKD_STAGE $ROLLBACKD_EVIDENCE" >> {log}; wc -l < {log}')
    desk = expecting(declared(scheduled(program)))
    desk.evaluate()
    first = desk.hands.time
    known = ended(desk)
    assert (known.tried, known.succeeded, known.next, known.running) == (first, first, first + HOUR, None)
    body = desk.bodies(Event.EVIDENCE)[0]
    assert (body["by"], body["why"], body["figures"], body["made_at"]) == ("rollbackd", "run on schedule, every 1h", {"value": 1}, first.isoformat())
    desk.evaluate(times=3)
    assert runs(log) == ["checkout baseline tests"]
    desk.hands.time = first + HOUR - 2 * SECOND
    desk.evaluate()
    assert len(runs(log)) == 1
    desk.evaluate()
    ended(desk, count=2)
    assert (len(runs(log)), figures(desk)) == (2, {"value": 2})


def test_after_a_restart_it_is_run_when_what_is_on_record_is_old_enough(expecting: Expecting, tmp_path: Path) -> None:
    log = tmp_path / "log"
    comes = declared(scheduled(script(tmp_path / "soak.sh", f"echo run >> {log}; echo 1")))
    desk = expecting(comes)
    desk.evaluate()
    ended(desk)
    made = desk.hands.time
    desk.restart().evaluate()
    assert (attempt(desk).next, attempt(desk).tried) == (made + HOUR, None)
    desk.hands.time = made + HOUR
    desk.evaluate()
    ended(desk)
    assert len(runs(log)) == 2
    desk.restart(evidence=(replace(comes, read_as="otherwise"),)).evaluate()
    ended(desk)
    assert len(runs(log)) == 3, "what was read by other rules tells nothing"


def test_a_clock_that_was_set_back_does_not_put_it_off(expecting: Expecting, tmp_path: Path) -> None:
    desk = expecting(declared(scheduled(script(tmp_path / "soak.sh", "echo 1"))))
    desk.evaluate()
    ended(desk)
    desk.hands.time -= 5 * HOUR
    desk.evaluate()
    ended(desk, count=2)


def test_commands_of_a_rollout_are_run_one_at_a_time_the_longest_due_first(expecting: Expecting, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    text = f'echo "begin $ROLLBACKD_EVIDENCE" >> {log}; while [ ! -e {go} ]; do sleep 0.02; done; echo "end $ROLLBACKD_EVIDENCE" >> {log}; echo 1'
    program = script(tmp_path / "soak.sh", text)
    desk = expecting(declared(scheduled(program), name="a"), declared(scheduled(program), name="b"))
    desk.evaluate()
    wait_for(lambda: runs(log), "the first to begin")
    assert attempt(desk, "a").running == desk.hands.time
    desk.evaluate(times=3)
    assert runs(log) == ["begin a"]
    go.touch()
    ended(desk, "a")
    desk.evaluate()
    ended(desk, "b")
    assert runs(log) == ["begin a", "end a", "begin b", "end b"]


def test_a_rollback_does_not_wait_for_a_run_and_a_result_of_it_comes_later(expecting: Expecting, tmp_path: Path) -> None:
    go = tmp_path / "go"
    desk = expecting(declared(scheduled(script(tmp_path / "soak.sh", f"while [ ! -e {go} ]; do sleep 0.02; done; echo 1"))))
    desk.climb_to("canary")
    assert attempt(desk).running
    desk.evaluate(BAD)
    desk.settle()
    assert (desk.position.stage, bool(attempt(desk).running)) == ("baseline", True)
    go.touch()
    ended(desk)
    assert desk.bodies(Event.EVIDENCE)[0]["stage"] == "baseline"


def test_of_a_run_that_failed_with_a_result_that_cannot_be_read_the_failure_is_told_first(expecting: Expecting, tmp_path: Path) -> None:
    program = script(tmp_path / "soak.sh", 'echo "cannot reach db"; echo "db refused" >&2; exit 7')
    desk = expecting(declared(scheduled(program)))
    desk.evaluate()
    ended(desk)
    wrong = 'soak.sh: "cannot reach db" is no number; write 0.987, a ratio (98.7%), a duration (812ms) or a size (100MB)'
    assert attempt(desk).failed == f'"{program}" exited with 7; it printed last: db refused; {wrong}'


def test_a_run_that_fails_is_on_record_and_alerts_until_one_succeeds(expecting: Expecting, tmp_path: Path) -> None:
    program = script(tmp_path / "soak.sh", 'echo "no board: $CODE_WORD" >&2; exit 2')
    desk = expecting(declared(scheduled(program, CODE_WORD="hunter2hunter2")))
    desk.evaluate()
    since = desk.hands.time
    ended(desk)
    why = f'it printed no result on its standard output; "{program}" exited with 2; it printed last: no board: (value of CODE_WORD)'
    assert refusals(desk) == [f'evidence "tests" is not taken: {why}']
    desk.evaluate()
    alert = alerts(desk)["tests"]
    assert (alert["severity"], alert["value"], alert["summary"]) == ("warning", why, 'evidence "tests" of checkout did not come: the last try failed')
    assert "run again at 2026-11-20 13:00:02 UTC; mend it before that, or hand one in with `rollbackd evidence`" in alert["description"]
    assert "EVIDENCE tests: it printed no result" in what_next(desk.watch)
    coming = explanation(desk.watch)["evidence"][0]["coming"]
    assert (coming["failed"], coming["next"]) == (why, "2026-11-20T13:00:02.000Z")
    assert f"comes from {program} every 1h; last run at 2026-11-20 12:00:02 UTC; next run at 2026-11-20 13:00:02 UTC; FAILING" in coming["sentence"]
    desk.hands.time = since + HOUR
    desk.evaluate()
    ended(desk, count=2)
    assert attempt(desk).since == since, "it is the same failure still"
    by_hand = taking.Handed("tests", Person("ann"), "by hand", taking.file_of("run.txt", b"1"), b"1")
    taking.take(desk.watch, by_hand, desk.hands.time)
    desk.evaluate()
    assert alerts(desk) == {}, "nobody has to do anything before the next run"
    script(program, "echo 1")
    desk.hands.time = since + 2 * HOUR
    desk.evaluate()
    ended(desk, count=3)
    desk.evaluate()
    assert (alerts(desk), attempt(desk).counts) == ({}, {Came.FAILED: 2, Came.TAKEN: 1})


def test_a_result_with_mistakes_is_told_with_the_exit_code_and_what_was_printed_last(expecting: Expecting, tmp_path: Path) -> None:
    desk = expecting(declared(scheduled(script(tmp_path / "soak.sh", "echo halfway >&2; echo none; exit 4"))))
    desk.evaluate()
    ended(desk)
    assert refusals(desk)[0].startswith('evidence "tests" is not taken: soak.sh: "none" is no number')
    assert refusals(desk)[0].endswith("exited with 4; it printed last: halfway")


def test_a_reload_ends_a_run_that_is_asked_for_no_more_and_leaves_one_that_still_is(expecting: Expecting, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    program = script(tmp_path / "soak.sh", f"echo $$ >> {pids}; exec sleep 60")
    kept = declared(scheduled(program))
    desk = expecting(kept)
    desk.evaluate()
    wait_for(lambda: runs(pids), "the command to be run")
    desk.watch.reconfigure(replace(desk.rollout, interval=2 * SECOND), desk.watch.store)
    desk.evaluate()
    assert attempt(desk).running
    desk.watch.reconfigure(replace(desk.rollout, evidence=(declared(scheduled(program, timeout=timedelta(seconds=20))),)), desk.watch.store)
    assert attempt(desk) == Attempt()
    wait_for(lambda: not Path(f"/proc/{runs(pids)[0]}").exists(), "the command to be ended")
    evaluate_until(desk, lambda: len(runs(pids)) == 2, "the other one to be run")
    desk.watch.close(10)
    assert not Path(f"/proc/{runs(pids)[1]}").exists()
    assert refusals(desk) == []
    desk.evaluate()
    assert len(runs(pids)) == 2, "nothing is begun any more"


def test_evidence_of_its_stage_is_made_anew_at_the_next(expecting: Expecting, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = script(tmp_path / "soak.sh", f'echo "$ROLLBACKD_STAGE" >> {log}; echo 1')
    desk = expecting(declared(scheduled(program), per_stage=True))
    desk.evaluate()
    ended(desk)
    desk.climb_to("canary")
    desk.evaluate(times=2)
    evaluate_until(desk, lambda: len(runs(log)) == 2, "another run")
    assert runs(log) == ["baseline", "canary"]


def test_a_run_counts_for_the_stage_that_it_was_told_of_and_the_next_one_has_its_own_at_once(expecting: Expecting, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    text = f'echo "$ROLLBACKD_STAGE" >> {log}; while [ ! -e {go} ]; do sleep 0.02; done; echo 1'
    desk = expecting(declared(scheduled(script(tmp_path / "soak.sh", text)), per_stage=True))
    desk.climb_to("canary")
    assert runs(log) == ["baseline"]
    began = attempt(desk).tried
    go.touch()
    ended(desk)
    body = desk.bodies(Event.EVIDENCE)[0]
    assert began is not None
    assert (body["stage"], body["came"], desk.position.entered > began) == ("baseline", began.isoformat(), True)
    desk.restart()
    evaluate_until(desk, lambda: len(desk.bodies(Event.EVIDENCE)) == 2, "another run")
    assert (runs(log), desk.bodies(Event.EVIDENCE)[1]["stage"]) == (["baseline", "canary"], "canary")


def test_between_two_stages_nothing_is_begun_that_tells_of_one(expecting: Expecting, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    program = script(tmp_path / "soak.sh", f'echo "$ROLLBACKD_EVIDENCE $ROLLBACKD_STAGE" >> {log}; echo 1')
    desk = expecting(declared(scheduled(program), name="each", per_stage=True), declared(scheduled(program), name="any"))
    slow = Command((str(script(tmp_path / "slow.sh", f"while [ ! -e {go} ]; do sleep 0.02; done")),))
    desk.restart(flags=replace(desk.rollout.flags, after_change=slow))
    for name in ("each", "any"):
        desk.evaluate()
        ended(desk, name)
    desk.watch.promote("ann", "go on")
    desk.hands.time += HOUR
    desk.evaluate()
    ended(desk, "any", count=2)
    desk.evaluate()
    assert (bool(desk.position.open), attempt(desk, "each").running) == (True, None)
    go.touch()
    desk.settle()
    evaluate_until(desk, lambda: attempt(desk, "each").counts[Came.TAKEN] == 2, "the other one")
    assert runs(log) == ["each baseline", "any baseline", "any baseline", "each canary"]


def test_a_folder_is_looked_into_after_each_evaluation_and_told_when_it_is_away_for_long(expecting: Expecting, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    desk = expecting(declared(Inbox(str(inbox), "*.txt")))
    desk.evaluate()
    wait_for(lambda: attempt(desk).away, "the folder to be missed")
    since = desk.hands.time
    desk.evaluate(times=2)
    assert alerts(desk) == {}
    desk.evaluate(times=2)
    assert alerts(desk)["tests"]["summary"] == 'evidence "tests" of checkout cannot come: its folder cannot be looked into'
    assert alerts(desk)["tests"]["description"].endswith("No new file is taken before that.")
    assert attempt(desk).away_since == since
    inbox.mkdir()
    evaluate_until(desk, lambda: not attempt(desk).away, "the folder to be seen")
    desk.evaluate()
    assert (alerts(desk), refusals(desk)) == ({}, [])


def test_a_result_is_kept_while_the_journal_cannot_be_written_and_no_run_is_wasted(expecting: Expecting, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    program = script(tmp_path / "soak.sh", f"echo run >> {log}; while [ ! -e {go} ]; do sleep 0.02; done; echo 9")
    desk = expecting(declared(scheduled(program)))
    desk.evaluate()
    began = desk.hands.time
    wait_for(lambda: runs(log), "the command to be run")
    with desk.journal_locked():
        go.touch()
        assert ended(desk).failed.endswith("the result is kept, and goes on record as soon as it can")
        assert (attempt(desk).running, figures(desk)) == (None, {})
    evaluate_until(desk, lambda: figures(desk) == {"value": 9}, "the result to be taken")
    wait_for(lambda: not attempt(desk).failed, "that to be told")
    assert (runs(log), dict(attempt(desk).counts), attempt(desk).next) == (["run"], {Came.FAILED: 1, Came.TAKEN: 1}, began + HOUR)


def test_a_result_is_read_as_it_is_and_told_without_values_of_the_environment(expecting: Expecting, tmp_path: Path) -> None:
    report = (
        '{"profile": "abcdefgh\\/ijkl", "suites": ["contract_vectors"], "total_cases": 19, "mismatches_total": 1,'
        ' "mismatches_by_suite": {"contract_vectors": 1},'
        ' "samples": [{"suite": "contract_vectors", "case_id": "\\u00E4bcdefghij", "mismatch_type": "x", "details": "by abcdefgh/ijkl"}]}'
    )
    junit = '<testsuite name="s" tests="1"><testcase classname="z" name="t[p@ss&amp;word&lt;1&gt;x]"><failure message="m"/></testcase></testsuite>'
    secrets = {"SUITES": "contract_vectors", "PLACE": "abcdefgh/ijkl", "CASE": "\u00e4bcdefghij", "WORD": "p@ss&word<1>x", "PIN": "1234567"}
    (tmp_path / "report").write_text(report, encoding="utf-8")
    (tmp_path / "junit").write_text(junit, encoding="utf-8")
    kinds = {"parity": "cat report", "junit": "cat junit", "number": "echo 1234567", "soak": "cat report"}
    programs = {kind: script(tmp_path / f"{kind}.sh", f"cd {tmp_path}; {text}") for kind, text in kinds.items()}
    made = [declared(scheduled(program, LONG, "", **secrets), kind, kind) for kind, program in programs.items()]
    desk = expecting(*made)
    evaluate_until(desk, lambda: all(attempt(desk, kind).counts for kind in kinds), "all of them")
    assert figures(desk, "parity")["mismatches"] == 1
    assert (figures(desk, "junit")["failures"], figures(desk, "number")) == (1, {"value": 1234567})
    told = [{**body, "figures": {}} for body in desk.bodies(Event.EVIDENCE)] + refusals(desk) + [attempt(desk, kind).failed for kind in kinds]
    assert [value for value in secrets.values() if value in json.dumps(told, ensure_ascii=False)] == []
    assert "(value of WORD)" in json.dumps(told)
