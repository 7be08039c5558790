"""The dotenv format, against python-dotenv's own reader and against `sh`."""

import io
import logging
import string
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.flags.stores.dotenv import check, edit, values
from rollback_daemon.flags.text_format import FormatError
from tests.flags.contract import Sample

SAMPLE = Sample(
    text=(
        "# grüße from the deploy script\n"
        "SECRET_KEY='hunter2'\n"
        "export USE_SPICE=true   # canary\n"
        'USE_PIPELEX="true"\n'
        "\n"
        "  PIPELEX_FALLBACK_MODE = false\n"
        "ROLLOUT_PERCENTAGE='10' # per cent\n"
    ),
    on={"USE_SPICE": "true", "USE_PIPELEX": "true", "PIPELEX_FALLBACK_MODE": "false", "ROLLOUT_PERCENTAGE": "10"},
    off={"USE_SPICE": "false", "USE_PIPELEX": "false", "PIPELEX_FALLBACK_MODE": "true", "ROLLOUT_PERCENTAGE": "0"},
    missing="ENABLE_HALO_ROUTER",
    broken="SECRET=hunter2\n\nUSE_SPICE='hunter2\n",
    broken_line=3,
)


EDITS = [
    ("A=1", "2", "A=2"),
    ("A=1\n", "2", "A=2\n"),
    ("A=1\r\nB=1\r\n", "2", "A=2\r\nB=1\r\n"),
    ("export A=1 # why", "2", "export A=2 # why"),
    ("A = '1' # why", "2", "A = '2' # why"),
    ('A="1"#why', "2", 'A="2"#why'),
    ("A=1", "a b", "A='a b'"),
    ("A=1", "it's", 'A="it\'s"'),
    ('A="1"', "$HOME", "A='$HOME'"),
    ('A="1"', 'say "so"', 'A="say \\"so\\""'),
    ("A='1'", "it's", 'A="it\'s"'),
    ("A=1", "", "A="),
    ("A=1 # why", "", "A='' # why"),
    ("A=\n", "2", "A=2\n"),
    ("A= # why\n", "2", "A=2 # why\n"),
    ("A\n", "2", "A=2\n"),
    ("export A", "2", "export A=2"),
    ("'A'=1", "2", "'A'=2"),
    ("A=1#2", "3", "A=3"),
    ("A=${B}\nB=1\n", "2", "A=2\nB=1\n"),
    ("A=1\nB=1\nA=2", "3", "A=3\nB=1\nA=3"),
    ("A=1\nA=2", "2", "A=2\nA=2"),
    ("\ufeffA=1", "2", "\ufeffA=2"),
    ("A='first\nsecond' # why\n", "x", "A='x' # why\n"),
    ("", "2", "A=2\n"),
    ("# none", "2", "# none\nA=2"),
    ("B=1", "2", "B=1\nA=2"),
    ("B=1\r\n", "2", "B=1\r\nA=2\r\n"),
    ("export B=1\nexport C=1\n", "2", "export B=1\nexport C=1\nexport A=2\n"),
    ('B="open\nA=1\n', "2", 'B="open\nA=2\n'),
    ("=\nA=1\n", "2", "=\nA=2\n"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "value", "after"), EDITS)
def test_only_the_value_changes(before: str, value: str, after: str) -> None:
    """Spacing, quotes, comments, line ends and broken lines elsewhere stay."""
    assert edit(before, {"A": value}) == after
    assert values(after, {"A"}) == {"A": value}


def test_a_value_is_read_without_interpolation() -> None:
    """What stands there is what is there."""
    assert values("A=${B}\nB=1", {"A"}) == {"A": "${B}"}


def test_the_later_of_two_counts_and_a_bare_key_holds_none() -> None:
    """As python-dotenv reads them."""
    assert values("A=1\nA=2\nB\n", {"A", "B", "C"}) == {"A": "2", "B": None}


@pytest.mark.parametrize("line", ["A='open", 'export A="open', "A = 'x' y", " A='open"])
def test_a_broken_line_about_one_of_our_keys_is_an_error(line: str) -> None:
    """Otherwise it would pass for a missing key, and be added a second time."""
    with pytest.raises(FormatError, match='the value of "A" cannot be parsed: close its quotes') as refusal:
        values(f"B=1\n\n{line}\n", {"A"})
    assert refusal.value.line == 3
    assert values(f"B=1\n\n{line}\n", {"B"}) == {"B": "1"}


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("A", True, "dotenv values are text: quote it"),
        ("A", 1, "dotenv values are text: quote it"),
        ("A", None, "dotenv values are text: quote it"),
        ("1A", "x", '"1A" is no dotenv key: use letters, digits, "_" and ".", and begin with a letter or "_"'),
        ("A-B", "x", '"A-B" is no dotenv key: use letters, digits, "_" and ".", and begin with a letter or "_"'),
        ("A", "\0", "a dotenv value cannot hold a NUL character: leave it out"),
        ("a.b_C1", "x", None),
    ],
)
def test_a_key_or_value_that_dotenv_cannot_hold_has_a_sentence(key: str, value: str, sentence: str | None) -> None:
    """For the person who wrote the rule file."""
    assert check(key, value) == sentence


keys = st.sampled_from(["A", "B", "C", "D.E", "_F"])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.text("'\"\\$`#= \n\rab~", max_size=8)
changes = st.dictionaries(keys, texts, max_size=4)
lines = st.one_of(
    st.builds("{}{}{}{}{}".format, st.sampled_from(["", " ", "export ", "\t"]), keys, st.sampled_from(["=", " = ", "= "]),
              st.sampled_from(["", "x", "a b", "'q r'", '"q"', '"a\\"b"', "'two\nlines'", "x#y", "${A}", "'"]),
              st.sampled_from(["", "  ", " # c", "# c"])),
    st.sampled_from(["", "  ", "# comment", "A", "export B", "='", '"', "bad 'line", "\\", "é=ü"]),
)  # fmt: skip
files = st.builds(
    lambda bom, parts, end, last: bom + end.join(parts) + (end if last else ""),
    st.sampled_from(["", "\ufeff"]), st.lists(lines, max_size=7), st.sampled_from(["\n", "\r\n"]), st.booleans(),
)  # fmt: skip


logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # it warns of each broken line, and there are many here


def oracle(text: str) -> dict[str, str | None]:
    return dict(dotenv_values(stream=io.StringIO(text, newline=""), interpolate=False))


@settings(deadline=None, max_examples=400)
@given(files, changes)
def test_python_dotenv_reads_the_new_values_and_all_others_as_before(text: str, wanted: dict[str, str]) -> None:
    """Editing twice is editing once, and a file that cannot be edited safely says so."""
    try:
        edited = edit(text, wanted)
    except FormatError:
        return
    assert values(edited, wanted) == wanted
    assert oracle(edited) == {**oracle(text), **wanted}
    assert edit(edited, wanted) == edited


@given(st.text("AB='\"\\#$ \n\rexport", max_size=40), changes)
def test_any_text_at_all_is_edited_safely_or_not_at_all(text: str, wanted: dict[str, str]) -> None:
    """Also one that no person would write."""
    try:
        edited = edit(text, wanted)
    except FormatError:
        return
    assert oracle(edited) == {**oracle(text), **wanted}


@given(files)
def test_reading_agrees_with_python_dotenv(text: str) -> None:
    """Key by key, but for a key that also stands in a broken line."""
    for key, value in oracle(text).items():
        with suppress(FormatError):
            assert values(text, {key}) == {key: value}


@given(files, changes)
def test_everything_before_the_first_and_behind_the_last_of_our_keys_is_the_same_characters(text: str, wanted: dict[str, str]) -> None:
    """And a file that has the flags so is not changed at all."""
    try:
        edited = edit(text, wanted)
    except FormatError:
        return
    places = [place for key in wanted for place in (text.find(key), text.rfind(key)) if place >= 0]
    first = min(places, default=len(text))
    assert edited[:first] == text[:first]
    behind = text[max(places, default=len(text)) :].partition("\n")[2]
    assert "'" in behind or behind in edited  # it may be the second line of a value of ours
    assert edit(edited, wanted) == edited


@settings(deadline=None, max_examples=25)
@given(st.text(string.printable.replace("\r", ""), max_size=20), st.sampled_from(["A=1\n", "A='1'\n", 'export A="1" # why\n']))
def test_sh_reads_the_same_where_any_quoting_allows_it(value: str, text: str) -> None:
    """Sourced with every variable exported."""
    if ("'" in value and ("$" in value or "`" in value)) or "\\" in value:
        return  # no quoting means the same to both
    edited = edit(text, {"A": value})
    read = subprocess.run(["sh", "-c", f"set -a\n{edited}\nprintf '%s.' \"$A\""], capture_output=True, check=True)
    assert read.stdout.decode() == value + "."


@pytest.mark.parametrize("value", ["a\\b", "C:\\dir", "\\'", "a\\\\b", "tail\\"])
def test_backslashes_reach_sh_too(value: str) -> None:
    """In the quotes that mean the same to both."""
    edited = edit("A=1\n", {"A": value})
    read = subprocess.run(["sh", "-c", f"{edited}printf '%s.' \"$A\""], capture_output=True, check=True)
    assert read.stdout.decode() == value + "."


def test_a_file_opened_with_universal_newlines_reads_the_same(tmp_path: Path) -> None:
    """A carriage return in a value is written as an escape."""
    path = tmp_path / ".env"
    path.write_text(edit("A=1\n", {"A": "one\r\ntwo\rthree"}), newline="")
    assert dotenv_values(path, interpolate=False) == {"A": "one\r\ntwo\rthree"}
