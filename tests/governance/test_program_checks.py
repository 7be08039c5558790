"""Whether what a rule file names is there, on real files: programs, secret files and logs."""

from pathlib import Path

import pytest

from rollback_daemon.governance.finding import Finding
from rollback_daemon.governance.program_checks import findings, missing, why_away
from rollback_daemon.judge.reasons import Outcome
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout

BASE = """\
rollout: demo
owner: team-shop
flags: {store: dotenv, path: .env, after_change: {command: [bin/reload]}}
baseline: {USE_X: "false"}
stages:
  - {stage: canary, exposure: 10%, set: {USE_X: "true"}}
triggers: [{alert: Down, expr: up, below: 1}]
"""
MORE = """\
rehearsal: {steps: [{command: [bin/rehearse]}]}
verify: [{http: 'http://127.0.0.1:8000/'}, {command: [bin/smoke]}, {log: logs/app.log, without: ERROR}]
ways_back: [flags, {command: [bin/install]}]
hooks:
  - {hook: Ticket, on: [ready], command: [bin/ticket]}
  - {hook: Chat, on: [ready], http: 'https://chat.example.com/', secret_file: chat.key}
follow_up: {checks: [{command: [bin/later]}]}
"""
PROGRAMS = ("reload", "rehearse", "smoke", "install", "ticket", "later")
NAME = "programs, secret files and logs"


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    """A rollout of which everything is there."""
    for folder in ("bin", "logs"):
        (tmp_path / folder).mkdir()
    for name in PROGRAMS:
        (tmp_path / "bin" / name).touch(mode=0o755)
    (tmp_path / "chat.key").write_text("s3cr3t", encoding="utf-8")
    return loaded(tmp_path, BASE + MORE)


def loaded(folder: Path, text: str) -> Rollout:
    (folder / "demo.yml").write_text(text, encoding="utf-8")
    return load(folder / "demo.yml")


def places(rollout: Rollout) -> list[str]:
    return [".".join(map(str, trail)) for trail, _ in missing(rollout)]


def test_nothing_is_said_where_everything_is_there_and_the_log_is_yet_to_be_written(rollout: Rollout) -> None:
    assert list(missing(rollout)) == []
    assert list(findings(rollout)) == [Finding(NAME, Outcome.PASS, "all that the rule file names are there")]


def test_each_program_that_cannot_be_run_is_named_at_its_place(rollout: Rollout, tmp_path: Path) -> None:
    for name in PROGRAMS:
        (tmp_path / "bin" / name).chmod(0o644)
    assert places(rollout) == [
        "flags.after_change.command",
        "rehearsal.steps.0.command",
        "verify.1.command",
        "ways_back.1.command",
        "hooks.0.command",
        "follow_up.checks.0.command",
    ]
    (found,) = findings(rollout)
    assert found.outcome is Outcome.FAIL
    assert f'"{tmp_path}/bin/install" is no program that can be run on this machine' in found.evidence


def test_a_secret_that_is_not_there(rollout: Rollout, tmp_path: Path) -> None:
    (tmp_path / "chat.key").unlink()
    assert list(missing(rollout)) == [(("hooks", 1, "secret_file"), f'the secret file "{tmp_path}/chat.key" cannot be read on this machine')]


@pytest.mark.parametrize("odd", ["no folder", "a folder"])
def test_a_log_that_cannot_be_scanned(rollout: Rollout, tmp_path: Path, odd: str) -> None:
    if odd == "no folder":
        (tmp_path / "logs").rmdir()
    else:
        (tmp_path / "logs" / "app.log").mkdir()
    assert places(rollout) == ["verify.2.log"]


def test_a_program_is_looked_for_where_its_own_environment_says(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "our-smoke").touch(mode=0o755)
    text = BASE.replace(", after_change: {command: [bin/reload]}", "")
    assert places(loaded(tmp_path, f"{text}verify: [{{command: [our-smoke]}}]\n")) == ["verify.0.command"]
    assert places(loaded(tmp_path, f"{text}verify: [{{command: [our-smoke], env: {{PATH: {tmp_path}/bin}}}}]\n")) == []


def test_there_is_no_check_where_nothing_is_named(tmp_path: Path) -> None:
    assert list(findings(loaded(tmp_path, BASE.replace(", after_change: {command: [bin/reload]}", "")))) == []


def test_where_evidence_comes_from_is_named_by_check_and_has_a_check_of_its_own_in_the_preflight(rollout: Rollout, tmp_path: Path) -> None:
    evidence = (
        "evidence:\n"
        "  a: {kind: number, max_age: 1d, from: {folder: inbox}}\n"
        "  b: {kind: jsonl, field: /ms, max_age: 1d, from: {follow: logs/b.jsonl}}\n"
    )
    told = loaded(tmp_path, BASE + MORE + evidence)
    assert places(told) == ["evidence.a.from.folder", "evidence.b.from.follow"]
    assert [one.outcome for one in findings(told)] == [Outcome.PASS]
    assert why_away(told.evidence[1]) == f'the log "{tmp_path}/logs/b.jsonl", which is followed, is not there; does its writer run, and write there?'
    (tmp_path / "inbox").mkdir()
    (tmp_path / "logs" / "b.jsonl").touch()
    assert [why_away(one) for one in told.evidence] == ["", ""]
