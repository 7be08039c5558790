"""Values that are told nowhere, in whatever way they are written."""

import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.transitions.hiding import LEAST, Hiding

WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON with slashes escaped, and large digits": lambda value: json.dumps(value)[1:-1].replace("/", "\\/").replace("\\u00e4", "\\u00E4"),
    "JSON in JSON": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "XML": html.escape,
    "XML by numbers": lambda value: "".join(f"&#x{ord(one):X};" for one in value),
    "XML in JSON": lambda value: json.dumps(html.escape(value))[1:-1],
    "an address": lambda value: urllib.parse.quote(value, safe=""),
    "a form": urllib.parse.quote_plus,
    "Python": lambda value: ascii(value)[1:-1],
}
VALUES = ["p@ss&word<1>x", "abcdefgh/ijkl", "\u00e4bcdefghij", 'C:\\new\\"x"', "a b+c%d", "x\N{GRINNING FACE}y'z", "two\nlines\tof it", "hunter2"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_hidden_however_it_is_escaped(value: str, way: str) -> None:
    assert Hiding({"TOKEN": value})(f"with [{WAYS[way](value)}] in it") == "with [(value of TOKEN)] in it"


def test_what_is_no_value_stays_as_it_is() -> None:
    said = 'a "b"\\n &amp; 100% + %41\n'
    assert (Hiding({"SEED": "7", "MODE": "off", "DRY": "true"})(said), Hiding()(said), Hiding({"TOKEN": "hunter2"})(said)) == (said, said, said)
    assert Hiding({"PIN": "1234"})("1234567") == "(value of PIN)567"


@pytest.mark.parametrize("cut", ["\N{HORIZONTAL ELLIPSIS}", "..."])
def test_what_is_left_of_a_value_where_a_text_was_cut_is_hidden_too(cut: str) -> None:
    hide = Hiding({"TOKEN": "s3cret-token-of-ours"})
    assert hide(f"login s3cret-to{cut}, s3c{cut}") == f"login (value of TOKEN){cut}, s3c{cut}"


@given(
    st.lists(st.text('ab\\"&;/%+2 \u00e4', min_size=LEAST, max_size=12).filter(lambda one: len(one.strip()) >= LEAST), min_size=1, max_size=3),
    st.lists(st.tuples(st.text('ab\\"&;/%+2 \u00e4', max_size=12), st.sampled_from(sorted(WAYS))), max_size=4),
)
def test_nothing_of_any_value_is_left_as_it_is(values: list[str], between: list[tuple[str, str]]) -> None:
    hide = Hiding({f"V{number}": value for number, value in enumerate(values)})
    said = hide("".join(text + WAYS[way](values[index % len(values)]) for index, (text, way) in enumerate(between)))
    assert not any(value.strip() in part for value in values for part in said.split("(value of "))
