"""Broken rule files and exactly what is said of them.

`bad/CASE.yml`, or a folder `bad/CASE/` of files that are loaded together, stands beside `bad/CASE.txt`. File names in the
messages are relative to the folder of the files.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon import documents
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.rules.load import load, load_all

BAD = Path(__file__).parent / "bad"
GOOD = Path(__file__).parent / "good"
CASES = sorted(path.stem for path in BAD.glob("*.txt"))
JARGON = ("Input should be", "validation error", "Traceback", "object at 0x", "pydantic", "NoneType", "valid dictionary")


def complaints(files: list[Path], folder: Path) -> str:
    """What is said of the files, with their names relative to `folder`."""
    with pytest.raises(ConfigurationError) as caught:
        load_all(files)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_file_is_told_all_its_mistakes(case: str) -> None:
    folder = BAD / case if (BAD / case).is_dir() else BAD
    files = sorted(folder.glob("*.yml")) if folder != BAD else [BAD / f"{case}.yml"]
    assert complaints(files, folder).splitlines() == (BAD / f"{case}.txt").read_text(encoding="utf-8").splitlines()


def test_every_broken_file_has_its_message() -> None:
    files = {path.stem for path in BAD.iterdir() if path.suffix != ".txt"}
    assert files == set(CASES)
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES)
def test_messages_speak_of_rule_files_and_not_of_their_machinery(case: str) -> None:
    said = (BAD / f"{case}.txt").read_text(encoding="utf-8")
    assert not [word for word in JARGON if word in said]
    assert not [line for line in said.splitlines() if line.endswith(".")]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert complaints([tmp_path / "absent.yml"], tmp_path) == "absent.yml: cannot be read: no such file or directory"


def test_a_folder_is_no_rule_file(tmp_path: Path) -> None:
    (tmp_path / "folder.yml").mkdir()
    assert complaints([tmp_path / "folder.yml"], tmp_path) == "folder.yml: cannot be read: is a directory"


def test_what_nobody_wrote_by_hand_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.yml").open("wb") as file:
        file.truncate(4_000_001)
    assert complaints([tmp_path / "huge.yml"], tmp_path) == "huge.yml: is larger than 4 MB; split it"
    assert complaints([Path("/dev/zero")], tmp_path) == "/dev/zero: is larger than 4 MB; split it"


def test_files_that_cannot_be_read_do_not_hide_the_others(tmp_path: Path) -> None:
    said = complaints([BAD / "empty-path.yml", tmp_path / "absent.yml"], tmp_path)
    assert "absent.yml: cannot be read" in said
    assert "flags.path: must not be empty" in said


def _places(value: Any, trail: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [trail, *(place for key, part in inside for place in _places(part, (*trail, key)))]


def _with(value: Any, trail: tuple[Any, ...], new: Any) -> Any:
    if not trail:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[trail[0]] = _with(value[trail[0]], trail[1:], new)
    return copy


WHOLE = documents.read(GOOD / "everything.yml").value
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5m", "1%", "up", "up > 1", "-1s", "x[5m]", "baseline"])
)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=4)


@given(changes=st.lists(st.tuples(st.sampled_from(_places(WHOLE)), ANYTHING), min_size=1, max_size=4))
def test_whatever_is_put_into_a_rule_file_is_loaded_or_told_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[Any, Any]]
) -> None:
    value = WHOLE
    for trail, new in changes:
        if trail in _places(value):
            value = _with(value, trail, new)
    file = tmp_path_factory.getbasetemp() / "changed.yml"
    file.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    problems = _problems(file)
    assert not [problem for problem in problems for word in JARGON if word in problem.text]
    assert all(problem.line > 0 for problem in problems if problem.path)


def _problems(file: Path) -> list[Problem]:
    try:
        load(file)
    except ConfigurationError as error:
        return error.problems
    return []
