"""`rollbackd import`: what is printed where, exit codes, files that are not overwritten, and files that cannot be imported."""

import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from rollback_daemon.documents import parse
from rollback_daemon.errors import ConfigurationError
from rollback_daemon.faces.cli import app
from rollback_daemon.lab.importing import FORMATS, gather
from rollback_daemon.lab.importing.draft import Draft, Wanted
from rollback_daemon.lab.importing.writing import written
from rollback_daemon.rules.load import load

HERE = Path(__file__).parent / "imports"
YES, NO, USAGE = 0, 1, 2
KNOWN = "; known are " + ", ".join(one.what for one in FORMATS.values())


def imported(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, words)])


def test_a_rule_file_is_printed_and_the_notes_beside_it(tmp_path: Path) -> None:
    ran = imported(HERE / "alerts.yml", "--rollout", "shop", "--action", "hold")
    assert ran.exit_code == YES
    (tmp_path / "shop.yml").write_text(ran.stdout)
    assert load(tmp_path / "shop.yml").name == "shop"
    assert ran.stderr.splitlines()[-1] == "carried over 5 of 8 rules, 1 recording rule left to the server; 14 notes"


def test_the_rollout_has_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "my shop.rules.yml").write_text((HERE / "alerts.yml").read_text())
    assert "rollout: my-shop\n" in imported(tmp_path / "my shop.rules.yml").stdout


def test_triggers_alone_can_be_pasted() -> None:
    printed = imported(HERE / "analysis.yaml", "--only", "triggers", "--arg", "service=shop")
    keys = [line for line in printed.stdout.splitlines() if line[0] not in " #"]
    assert keys == ["signals:", "triggers:"]
    assert "asks for interval: 10s, or less, in the rule file that it is pasted into" in printed.stderr


def test_json_has_the_rules_the_notes_and_the_counts() -> None:
    ran = imported(HERE / "flagger.yaml", "--format", "json")
    told = json.loads(ran.stdout)
    assert (told["carried"], told["total"], told["recording"]) == (4, 7, 0)
    assert told["rules"]["triggers"][1]["violations"] == {"signal": "inline", "above": 0.5, "at_least": 10, "every": "1m"}
    assert told["notes"][0].keys() == {"kind", "file", "line", "column", "path", "text"}
    assert {note["kind"] for note in told["notes"]} == {"left out", "differs", "renamed", "stays where it is"}


def test_a_file_that_is_there_is_overwritten_only_by_force(tmp_path: Path) -> None:
    there = tmp_path / "there.yml"
    there.write_text("kept")
    ran = imported(HERE / "objects.yaml", "--output", there)
    assert (ran.exit_code, there.read_text()) == (USAGE, "kept")
    assert ran.stderr == f"rollbackd: {there} is there already; say --force to overwrite it\n"
    ran = imported(HERE / "objects.yaml", "--output", there, "--force")
    assert (ran.exit_code, ran.stdout) == (YES, "")
    assert [trigger.name for trigger in load(there).triggers] == ["WebDown", "ShopDown"]


def test_nothing_carried_over_is_a_no(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{record: a, expr: b}]}]\n")
    ran = imported(tmp_path / "rules.yml", "--output", tmp_path / "out.yml")
    assert (ran.exit_code, ran.stdout, (tmp_path / "out.yml").exists()) == (NO, "", False)


def test_arguments_and_names_of_the_wrong_form_are_refused() -> None:
    assert imported(HERE / "objects.yaml", "--arg", "x").stderr == 'rollbackd: --arg "x" is no argument; write it like --arg name=value\n'
    assert imported(HERE / "objects.yaml", "--rollout", "a b").exit_code == USAGE


BAD = {
    "empty": ("", "bad.yml: is empty" + KNOWN),
    "text": ("hello", "bad.yml:1:1: has nothing in it that can be imported" + KNOWN),
    "another kind": ("kind: Service\n", "bad.yml:1:1: has nothing in it that can be imported (it is a Service)" + KNOWN),
    "tabs": ("groups:\n\t- name: x\n", "bad.yml:2:1: is not valid YAML: found character '\\t' that cannot start any token"),
    "a key twice": ("groups: []\ngroups: []\n", 'bad.yml:2:1: groups: the key "groups" stands here twice (first in line 1); keep one'),
    "groups that are none": ("groups: 5\n", "bad.yml:1:9: groups: must be a list"),
    "a group that is none": ("groups: [5]\n", "bad.yml:1:10: groups[0]: must be a mapping of keys to values"),
    "rules that are none": ("groups: [{rules: {a: b}}]\n", "bad.yml:1:18: groups[0].rules: must be a list"),
    "labels that are none": (
        "groups: [{rules: [{alert: A, expr: up == 0, labels: [a]}]}]\n",
        "bad.yml:1:53: groups[0].rules[0].labels: must be a mapping of keys to values",
    ),
    "a spec that is none": ("kind: PrometheusRule\nspec: x\n", "bad.yml:2:7: spec: must be a mapping of keys to values"),
    "a template of Helm": (
        "groups:\n{{- if .Values.on }}\n- name: x\n{{- end }}\n",
        "; it looks like a template of Helm, which is to be rendered first (helm template)",
    ),
    "a bomb": (
        "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(7)),
        "expands to more than 250000 values",
    ),
}


@pytest.mark.parametrize(("text", "told"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_imported_is_told_with_place_and_cause(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad.yml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        gather([tmp_path / "bad.yml"], Wanted())
    assert told in str(caught.value).replace(f"{tmp_path}/", "")


def test_all_files_are_told_at_once_and_nothing_is_printed(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("a: [")
    ran = imported(tmp_path / "bad.yml", tmp_path / "absent.yml", HERE / "objects.yaml")
    assert (ran.exit_code, ran.stdout) == (USAGE, "")
    assert [line.split(":")[0].removeprefix(f"{tmp_path}/") for line in ran.stderr.splitlines()] == ["absent.yml", "bad.yml"]


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.yml").open("wb") as file:
        file.truncate(4_000_001)
    with pytest.raises(ConfigurationError, match="is larger than 4 MB; split it"):
        gather([tmp_path / "huge.yml"], Wanted())


def test_anchors_and_merge_keys_are_followed(tmp_path: Path) -> None:
    text = "x: &rule {expr: up == 0, labels: {severity: critical}}\ngroups: [{name: g, rules: [{<<: *rule, alert: A}, {<<: *rule, alert: B}]}]\n"
    (tmp_path / "rules.yml").write_text(text)
    assert [one["expr"] for one in gather([tmp_path / "rules.yml"], Wanted()).triggers] == ["up == 0", "up == 0"]


def test_a_file_with_nothing_in_it_is_told_beside_one_with_mistakes(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("groups: 5\n")
    (tmp_path / "b.yml").write_text("kind: Service\n")
    with pytest.raises(ConfigurationError) as caught:
        gather([tmp_path / "a.yml", tmp_path / "b.yml"], Wanted())
    assert [problem.text.split(";")[0] for problem in caught.value.problems] == [
        "must be a list",
        "has nothing in it that can be imported (it is a Service)",
    ]


@settings(max_examples=40)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20))
def test_what_is_written_reads_back_as_it_was(figure: float, text: str) -> None:
    draft = Draft(triggers=[{"alert": "A", "above": figure, "annotations": {"text": text}, "action": "alert"}], origins=["a\nb.yml:1"])
    assume(text.isprintable() or text.isascii())
    document = parse(written({"triggers": draft.triggers}, draft, "a\nb.yml"), "written.yml")
    assert document.value == {"triggers": draft.triggers}
    assert document.problems == []
