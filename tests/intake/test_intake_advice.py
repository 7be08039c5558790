"""What `check` and `preflight` say of evidence that comes by itself: how it is understood, what leaves a gap, and what is not there."""

from pathlib import Path

from rollback_daemon.governance.program_checks import missing
from rollback_daemon.rules.advice import understood, warnings
from rollback_daemon.rules.load import load
from rollback_daemon.rules.model import Rollout

RULES = """
rollout: demo
owner: team-shop
flags: {store: dotenv, path: .env}
baseline: {USE_X: "false"}
evidence:
  tests: {kind: junit, max_age: 1d, from: {folder: inbox, files: "*.xml"}}
  cases: {kind: results, max_age: 1d, from: {folder: inbox, files: "*.xml"}}
  raw: {kind: results, max_age: 1d, from: {folder: inbox, files: "*.json"}}
  soak: {kind: soak, max_age: 6h30m, from: {command: [bin/soak, --profile, ci], every: 6h, timeout: 1h}}
  parity: {kind: parity, max_age: 7h, per_stage: true, from: {command: [bin/parity], every: 6h, timeout: 1h, result: parity.json}}
  by-hand: {kind: number, max_age: 1h}
stages:
  - {stage: canary, exposure: 10%, set: {USE_X: "true"}}
triggers:
  - {alert: Down, expr: up < 1, severity: critical}
"""


def written(folder: Path) -> Rollout:
    (folder / "demo.yml").write_text(RULES, encoding="utf-8")
    return load(folder / "demo.yml")


def test_each_has_a_line_that_says_how_it_comes(tmp_path: Path) -> None:
    lines = [line.replace(f"{tmp_path}/", "") for line in understood(written(tmp_path)) if line.startswith("evidence ")]
    assert lines == [
        'evidence tests: files "*.xml" that are laid into inbox, read as junit; the newest counts for 1d',
        'evidence cases: files "*.xml" that are laid into inbox, read as results; the newest counts for 1d',
        'evidence raw: files "*.json" that are laid into inbox, read as results; the newest counts for 1d',
        "evidence soak: bin/soak --profile ci is run every 6h, within 1h, and what it prints is read as soak; it counts for 6h30m",
        "evidence parity: bin/parity is run every 6h, within 1h, and what it writes to parity.json is read as parity; it counts for 7h at its stage",
    ]


def test_a_gap_between_two_runs_and_files_that_are_read_twice_are_warned_of(tmp_path: Path) -> None:
    assert [str(one).removeprefix(f"{tmp_path}/demo.yml:") for one in warnings(written(tmp_path)) if "evidence" in one.path] == [
        '8:54: evidence.cases.from.folder: is that of "tests", with the same files, and each file is read as both; give them other names',
        "10:31: evidence.soak.max_age: is shorter than every and timeout together (7h): a slow run leaves a gap in which nothing is known",
    ]


def test_folders_and_programs_that_are_not_there_are_named_at_their_place(tmp_path: Path) -> None:
    rollout = written(tmp_path)
    folders, programs = ["tests", "cases", "raw"], ["soak", "parity"]
    wanted = [f"evidence.{name}.from.command" for name in programs] + [f"evidence.{name}.from.folder" for name in folders]
    assert [".".join(map(str, trail)) for trail, _ in missing(rollout)] == wanted
    (tmp_path / "inbox").mkdir()
    (tmp_path / "bin").mkdir()
    for name in programs:
        (tmp_path / "bin" / name).touch(mode=0o755)
    assert list(missing(rollout)) == []


def test_a_limit_of_a_ratio_that_was_most_likely_meant_in_percent_is_warned_of(tmp_path: Path) -> None:
    ratio = "signals: {rate: {evidence: tests, field: pass_rate}, ran: {evidence: tests, field: tests}}\n"
    limits = {"Rate": "signal: rate, at_least: 98", "Good": "signal: rate, at_least: 98%", "Ran": "signal: ran, at_least: 98"}
    gates = "gates:\n" + "".join(f"  - {{gate: {name}, {limit}}}\n" for name, limit in limits.items())
    needs = "requires: {evidence: [{evidence: tests, figures: {pass_rate: 95}}]}"
    text = RULES.replace('set: {USE_X: "true"}', f'set: {{USE_X: "true"}}, {needs}').replace("triggers:\n", f"{ratio}{gates}triggers:\n")
    (tmp_path / "demo.yml").write_text(f"{text}  - {{alert: RateLow, signal: rate, below: 95}}\n", encoding="utf-8")
    assert [f"{one.path}: {one.text}" for one in warnings(load(tmp_path / "demo.yml")) if "ratio" in one.text] == [
        "stages[0].requires.evidence[0].figures.pass_rate: pass_rate is a ratio, from 0 to 1, and never == 95; for percent write 95%",
        "gates[0].at_least: pass_rate is a ratio, from 0 to 1, and never >= 98; for percent write 98%",
        "triggers[1].below: pass_rate is a ratio, from 0 to 1, and always < 95; for percent write 95%",
    ]
