"""`gate` and `shadow-diff`: what they print and write, and the exit code."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rollback_daemon.errors import Refused
from rollback_daemon.faces.cli.written_pair import Different, write_both, write_one
from tests.evidence.raw import both, case, text
from tests.faces.http.bench import Ran, rollbackd

GO, NO_GO, USAGE, UNKNOWN = 0, 1, 2, 3
SMOKE = [one for name in ("FIN-01", "SAL-01", "STK-01", "WR-02") for one in both(name, critical=True)]


def write(folder: Path, name: str, *cases: dict[str, Any], engine: str = "v3_canary") -> Path:
    (folder / name).write_bytes(text(*cases, engine=engine).replace(b"2026-11-20", b"2026-01-20"))
    return folder / name


def gate(folder: Path, *words: str | Path, stage: int = 25) -> Ran:
    asked = ("--stage", str(stage), "--latency-p95-sla-ms", "5000", "--label", "assistant-v3", "--out-dir", "out")
    return rollbackd("gate", *words, *asked, cwd=folder)


def test_a_go_is_written_and_printed_and_names_the_next_stage(tmp_path: Path) -> None:
    one, other = write(tmp_path, "a.json", *SMOKE[:4]), write(tmp_path, "b.json", *SMOKE[4:])
    ran = gate(tmp_path, "--raw", one.name, other.name, other.name, "--baseline-correction-rate", "3%")
    assert (ran.code, ran.err) == (GO, "")
    first, second, warned, head, *lines = ran.out.splitlines()
    assert (first, second) == ("release gate assistant-v3, stage 25 %, engine v3_canary", "GO: promote to 50 %")
    assert warned == "warning: of 8 runs the p95 is the slowest one"
    assert head.split() == ["CHECK", "OUTCOME", "VALUE", "LIMIT", "WHAT", "WAS", "SEEN"]
    assert any(line.split()[:7] == ["latency_p95", "pass", "812", "ms", "at", "most", "5000"] for line in lines)
    assert lines[-1] == "written: out/assistant-v3_release_gate_stage25.json and out/assistant-v3_release_gate_stage25.md"
    data = (tmp_path / "out/assistant-v3_release_gate_stage25.json").read_bytes()
    said = json.loads(data)
    assert (said["overall_go"], said["next_stage"], said["decision"]) == (True, "50", "go")
    assert [one["check"] for one in said["checks"]][-1] == "correction_trend"
    assert {file["file"] for file in said["files"]} == {"a.json", "b.json"}
    markdown = (tmp_path / "out/assistant-v3_release_gate_stage25.md").read_text()
    assert markdown.startswith("# Release gate assistant-v3: stage 25 %, GO\n\n**promote to 50 %**\n")
    assert hashlib.sha256(data).hexdigest() in markdown


def test_a_no_go_says_what_to_do_and_which_cases_and_does_not_overwrite_what_was_decided_before(tmp_path: Path) -> None:
    good = write(tmp_path, "good.json", *SMOKE)
    bad = write(tmp_path, "bad.json", {**SMOKE[0], "passed": False}, *SMOKE[1:], case(run=2, critical=True))
    ran = gate(tmp_path, "--raw", bad.name, "--format", "json")
    assert (ran.code, ran.json["overall_go"], ran.json["next_stage"]) == (NO_GO, False, None)
    assert ran.json["next"] == "roll back now, and open a defect for each failed check: critical_cases, role_parity"
    assert ran.json == json.loads((tmp_path / "out/assistant-v3_release_gate_stage25.json").read_text())
    assert "| FIN-01 | ai.reader | 1 | did not pass | bad.json: cases\\[0\\] |" in (tmp_path / "out/assistant-v3_release_gate_stage25.md").read_text()
    again = gate(tmp_path, "--raw", good.name)
    assert (again.code, again.out) == (USAGE, "")
    both_files = "out/assistant-v3_release_gate_stage25.md and out/assistant-v3_release_gate_stage25.json"
    assert again.err.startswith(f"rollbackd: it is go, but {both_files} are there already and say something else; give another --label")
    assert gate(tmp_path, "--raw", good.name, "--force").code == GO


def test_what_cannot_be_told_is_neither(tmp_path: Path) -> None:
    ran = gate(tmp_path, "--raw", write(tmp_path, "a.json", *SMOKE[::2]).name)
    assert ran.code == UNKNOWN
    assert "CANNOT TELL: stay at 25 %, get results for what cannot be told (role_parity), and gate again" in ran.out
    assert "no case was run as ai.operator" in ran.out


def test_broken_files_are_told_all_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"engine": "v3')
    wrong = write(tmp_path, "wrong.json", case(passed="\x1b[31m"), {"id": "SAL-01"})
    ran = gate(tmp_path, "--raw", "cut.json", "--raw", wrong.name, "--raw", "not-there.json")
    assert (ran.code, ran.out) == (USAGE, "")
    lines = ran.err.splitlines()
    assert lines[0].startswith("cut.json:1:12: is no JSON: unterminated string")
    assert "not-there.json: cannot be read: no such file or directory" in lines
    assert 'wrong.json: cases[0] (FIN-01).passed: must be true or false, not "\\x1b[31m"' in lines
    assert 'wrong.json: cases[1] (SAL-01).run: "run" is missing; it must be given' in lines
    assert lines[-1] == "rollbackd: 9 problems; nothing was decided, and nothing written"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stage", "33"), "--stage 33 is no stage; they are 10, 25, 50, 100"),
        (("--latency-p95-sla-ms", "nan"), "--latency-p95-sla-ms nan is no limit"),
        (("--label", "../etc"), '--label "../etc" is no name of a file'),
        (("--min-pass-rate", "95"), "--min-pass-rate 95 is no rate; it must be from 0 to 1"),
        (("--baseline-correction-rate", "3"), "--baseline-correction-rate 3 is no rate; it must be from 0 to 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, words: tuple[str, str], said: str) -> None:
    asked = {"--stage": "10", "--latency-p95-sla-ms": "5000", "--label": "a", "--out-dir": "out", **dict([words])}
    ran = rollbackd("gate", "--raw", "a.json", *(word for pair in asked.items() for word in pair), cwd=tmp_path)
    assert (ran.code, ran.out) == (USAGE, "")
    assert said in ran.err


def test_a_comparison_is_printed_and_written(tmp_path: Path) -> None:
    old = write(tmp_path, "v2.json", *SMOKE, *both("GEN-07", passed=False), engine="v2")
    new = write(tmp_path, "v3.json", {**SMOKE[0], "passed": False}, *SMOKE[1:], *both("GEN-07"), case("NEW-01"), engine="v3_shadow")
    ran = rollbackd("shadow-diff", "--v2-raw", old.name, "--v3-raw", new.name, "--out", "diff.json", cwd=tmp_path)
    assert (ran.code, ran.err) == (NO_GO, "")
    first, second, third, _, *lines = ran.out.splitlines()
    assert first == "shadow diff of v2 and v3_shadow"
    assert second == "NO-GO: no canary: mend what regressed in a critical case, and compare again"
    assert third == "regressed 1, improved 2, new 1, missing 0, unchanged 7"
    assert " ".join(lines[0].split()) == "regressed FIN-01 as ai.reader critical worse: passed v2.json: cases[0], v3.json: cases[0]"
    said = json.loads((tmp_path / "diff.json").read_text())
    assert (said["canary_allowed"], said["counts"]["improved"], said["regressed_critical"][0]["case"]) == (False, 2, "FIN-01")
    back = rollbackd("shadow-diff", "--v2-raw", new.name, "--v3-raw", old.name, "--format", "json", cwd=tmp_path)
    assert back.code == USAGE
    assert "the two are given the wrong way round" in back.err


def test_two_files_are_written_both_or_neither(tmp_path: Path) -> None:
    first, second = tmp_path / "new/a.md", tmp_path / "new/a.json"
    write_both(first, b"1", second, b"2", force=False)
    write_both(first, b"1", second, b"2", force=False)
    with pytest.raises(Different, match=r"a\.json"):
        write_both(first, b"1", second, b"3", force=False)
    write_both(first, b"4", second, b"5", force=True)
    assert (first.read_bytes(), second.read_bytes()) == (b"4", b"5")
    blocked = tmp_path / "new/b.json"
    (blocked / "inside").mkdir(parents=True)
    for before in (None, b"old"):
        if before:
            (tmp_path / "new/b.md").write_bytes(before)
        with pytest.raises(Refused, match="name a file"):
            write_both(tmp_path / "new/b.md", b"new", blocked, b"2", force=True)
        assert ((tmp_path / "new/b.md").read_bytes() if before else None) == before
    assert {one.name for one in (tmp_path / "new").iterdir()} == {"a.md", "a.json", "b.md", "b.json"}


def test_a_file_that_cannot_be_written_is_a_clear_refusal(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="create it, or correct the path"):
        write_one(tmp_path / "nowhere/a.json", b"")
    with pytest.raises(Refused, match="name a file"):
        write_one(tmp_path, b"")
    assert list(tmp_path.iterdir()) == []
