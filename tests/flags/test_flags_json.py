"""The JSON format, against the json module's own reader."""

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollback_daemon.flags.store import FlagValue, Scalar, same
from rollback_daemon.flags.stores.json_file import check, edit, values
from rollback_daemon.flags.text_format import FormatError, tokens
from tests.flags.contract import Sample

SAMPLE = Sample(
    text=(
        "{\n"
        '  "comment": "grüße",\n'
        '  "secret" : "hunter2",\n'
        '  "flags": {"orchestration": {"enabled": true, "end_percentage": 10.5},\n'
        '            "agents": [ "a", {"on": 1} ],\n'
        '            "names": [\n'
        '              "planner", "writer"\n'
        "            ] },\n"
        '\t"stage":"canary", "nothing": null\n'
        "}\n"
    ),
    on={
        "/flags/orchestration/enabled": True,
        "/flags/orchestration/end_percentage": 10.5,
        "/flags/agents/0": "a",
        "/flags/agents/1/on": 1,
        "/flags/names": ("planner", "writer"),
        "stage": "canary",
    },
    off={
        "/flags/orchestration/enabled": False,
        "/flags/orchestration/end_percentage": 0.1,
        "/flags/agents/0": "b",
        "/flags/agents/1/on": 0,
        "/flags/names": ("planner", "writer", "critic"),
        "stage": "off",
    },
    missing="added",
    broken='{\n  "secret": "hunter2",\n  "flags" hunter2\n}\n',
    broken_line=3,
)


EDITS = [
    ('{"a":1}', {"a": 2}, '{"a":2}'),
    ('{"a":1}', {"a": True}, '{"a":true}'),
    ('{"a":1}', {"a": 1.0}, '{"a":1}'),
    ('{"a":true}', {"a": 1.0}, '{"a":1.0}'),
    ('{"a":1.50}', {"a": 1.5}, '{"a":1.50}'),
    ('{"a":"x"}', {"a": None}, '{"a":null}'),
    ('{"a":"x"}', {"a": "é"}, '{"a":"\\u00e9"}'),
    ('{"ü":"x"}', {"ü": "é"}, '{"ü":"é"}'),
    ('{"a":1, "a":2}', {"a": 3}, '{"a":1, "a":3}'),
    ('{"\\u0061":1}', {"a": 2}, '{"\\u0061":2}'),
    (' [ 1 , {"a": 2} ] ', {"/1/a": 3, "/0": 4}, ' [ 4 , {"a": 3} ] '),
    ('{"a/b":1, "m~n":2, "":3}', {"/a~1b": 4, "/m~0n": 5, "/": 6}, '{"a/b":4, "m~n":5, "":6}'),
    ('{"~1":1, "/":2}', {"/~01": 3, "/~1": 4}, '{"~1":3, "/":4}'),
    ("{}", {"a": 1, "b": 2}, '{"a": 1, "b": 2}'),
    ("{\n}\n", {"a": 1, "b": 2}, '{\n  "a": 1,\n  "b": 2\n}\n'),
    ('{"a":1}', {"b": 2}, '{"a":1,"b":2}'),
    ('{"a": 1}', {"b": 2}, '{"a": 1, "b": 2}'),
    ('{\r\n\t"a": 1\r\n}', {"b": 2}, '{\r\n\t"a": 1,\r\n\t"b": 2\r\n}'),
    ('{"a" : 1 ,  "b" : 2 }', {"c": 3, "d": 4}, '{"a" : 1 ,  "b" : 2 ,  "c" : 3 ,  "d" : 4 }'),
    ('{"a": {}, "b": {\n    "c": 1\n  }}', {"/a/x": 1, "/b/d": 2}, '{"a": {"x": 1}, "b": {\n    "c": 1,\n    "d": 2\n  }}'),
    ('{"a":1}', {"a": 2, "/a": 2}, '{"a":2}'),
    ('{"a":["x"]}', {"a": ("x", "y")}, '{"a":["x","y"]}'),
    ('{"a": ["x"]}', {"a": ("y", "x")}, '{"a": ["y", "x"]}'),
    ('{"a": [ "x" , "y" ]}', {"a": ("x", "z", "y")}, '{"a": [ "x" , "z" , "y" ]}'),
    ('{"a": ["x", "y"]}', {"a": ()}, '{"a": []}'),
    ('{"a": [ ], "b":[]}', {"a": (1, 2), "b": (1, 2)}, '{"a": [1, 2], "b":[1,2]}'),
    ('{"a": [1.50, "\\u0061"]}', {"a": ("a", 1.5, 1)}, '{"a": ["\\u0061", 1.50, 1]}'),
    ('{"a": [1, true, "1", null]}', {"a": (None, "1", True, 1.0)}, '{"a": [null, "1", true, 1.0]}'),
    ('{"a": [1]}', {"a": (1.0,)}, '{"a": [1]}'),
    ('{\n  "a": [\n    "x",\n    "y"\n  ]\n}', {"a": ("y", "z", "q")}, '{\n  "a": [\n    "y",\n    "z",\n    "q"\n  ]\n}'),
    ('{\r\n  "a": [\r\n\t"x"\r\n  ]\r\n}', {"a": ("x", "y")}, '{\r\n  "a": [\r\n\t"x",\r\n\t"y"\r\n  ]\r\n}'),
    ('{"a": "x"}', {"a": ("x", "y"), "b": ("é",)}, '{"a": ["x", "y"], "b": ["\\u00e9"]}'),
    ('{"a": ["x", "y"]}', {"a": "x"}, '{"a": "x"}'),
    ('[["x"], 1]', {"/0": ("y",)}, '[["y"], 1]'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "change", "after"), EDITS)
def test_only_the_value_changes(before: str, change: dict[str, FlagValue], after: str) -> None:
    """Formatting, order and all other members stay, and a new member looks like its neighbours."""
    assert edit(before, change) == after
    assert values(after, change) == change


HARMFUL = [
    ('{\n"a": {"b": 1}}', {"a": 1}, '"a" holds an object, not a single value: name a value inside it', 2),
    ('{"a": [1, [2]]}', {"a": 1}, '"a" holds an array of more than single values: name a value inside it', 1),
    ('{"a":\n[{}]}', {"a": ("x",)}, '"a" holds an array of more than single values: name a value inside it', 2),
    ('{"a": [1, 2]}', {"a": (1,), "/a/1": 3}, '"/a/1" lies within "a", which is to be set, too: name one of them', 0),
    ('{"a": [1]}', {"a": (1,), "/a": (True,)}, '"/a" is named in two ways, with two values: name it once', 0),
    ('{"a": 1}', {"/b/c": 1}, '"/b/c" has no parent: add an object "b" first', 0),
    ('{"a":\n1}', {"/a/b": 1}, '"/a/b" cannot be added: its parent is no object', 2),
    ('{"a": [1]}', {"/a/1": 1}, '"/a/1" cannot be added: its parent is no object', 1),
    ('{"a": [1]}', {"/a/00": 1}, '"/a/00" cannot be added: its parent is no object', 1),
    ("3", {"a": 1}, '"a" cannot be added: its parent is no object', 1),
    ('{"a": 1}', {"a": 1, "/a": True}, '"/a" is named in two ways, with two values: name it once', 0),
    ("", {"a": 1}, "this is not valid JSON (column 1): mend it by hand", 1),
    ('{"a": 1,}', {"a": 1}, "this is not valid JSON (column 9): mend it by hand", 1),
    ("[" * 100_000, {"a": 1}, "this JSON is beyond what can be read: mend it by hand", 0),
    ('{"a": ' + "1" * 5000 + "}", {"a": 1}, "this JSON is beyond what can be read: mend it by hand", 0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "change", "sentence", "line"), HARMFUL)
def test_what_would_lose_content_is_an_error(text: str, change: dict[str, FlagValue], sentence: str, line: int) -> None:
    """With the line and the remedy."""
    with pytest.raises(FormatError) as refusal:
        edit(text, change)
    assert (str(refusal.value), refusal.value.line) == (sentence, line)


def test_reading_an_object_as_a_flag_is_an_error_and_reading_a_missing_place_is_not() -> None:
    """The one is a mistake in the rule, the other a flag that is not there yet."""
    with pytest.raises(FormatError, match='"a" holds an object'):
        values('{"a": {"b": 1}}', {"a"})
    assert values('{"a": {"b": 1}}', {"/a/c", "/x/y", "/a/b/z", "q"}) == {}


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("a", True, None),
        ("/a~0b~1c/0", 1.5, None),
        ("", 1, "a key cannot be empty: name a top-level key, or a JSON Pointer such as /flags/NAME"),
        ("/a~2", 1, '"/a~2" is no JSON Pointer: in one, "~" is written "~0" and "/" within a name "~1"'),
        ("/a~", 1, '"/a~" is no JSON Pointer: in one, "~" is written "~0" and "/" within a name "~1"'),
        ("a~", 1, None),
        ("a", float("inf"), "a flag cannot be infinite or not a number: write a finite number"),
        ("a", "\udc80", "the value holds half of a surrogate pair, which no file can hold: write the whole character"),
        ("a", ("x", 1, None, False), None),
        ("a", (1.0, float("nan")), "a flag cannot be infinite or not a number: write a finite number"),
        ("a", ("\udc80",), "the value holds half of a surrogate pair, which no file can hold: write the whole character"),
        ("a", ("x", ("y",)), "a list can hold single values only: text, numbers, true or false"),
        ("\ud800", 1, "the key holds half of a surrogate pair, which no file can hold: write the whole character"),
    ],
)
def test_a_key_or_value_that_json_cannot_hold_has_a_sentence(key: str, value: FlagValue, sentence: str | None) -> None:
    """For the person who wrote the rule file."""
    assert check(key, value) == sentence


characters = st.characters(exclude_categories=["Cs"])
scalars: st.SearchStrategy[Scalar] = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(characters, max_size=8)
)
names = st.sampled_from(["a", "b", "a/b", "m~n", "", "ü", "0", "a\n"]) | st.text(characters, max_size=3)
arrays = st.lists(scalars, max_size=4).map(tuple)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12)
documents = st.dictionaries(names, trees, max_size=5)
layouts = st.sampled_from([{}, {"indent": 2}, {"indent": "\t", "ensure_ascii": False}, {"separators": (",", ":")}, {"separators": (" , ", " : ")}])


def places(tree: Any, way: str = "", *, lists: bool = False) -> list[str]:
    """A pointer to every single value of a tree; with `lists`, to every list of single values instead of to these."""
    if isinstance(tree, dict):
        inside = [(f"{way}/{name.replace('~', '~0').replace('/', '~1')}", inner) for name, inner in tree.items()]
        return [place for pointer, inner in inside for place in places(inner, pointer, lists=lists)]
    if isinstance(tree, list) and not (lists and not any(isinstance(inner, dict | list) for inner in tree)):
        return [place for index, inner in enumerate(tree) for place in places(inner, f"{way}/{index}", lists=lists)]
    return [way] if way else []


def put(tree: Any, pointer: str, value: FlagValue) -> None:
    *ways, last = tokens(pointer)
    for way in ways:
        tree = tree[int(way) if isinstance(tree, list) else way]
    tree[int(last) if isinstance(tree, list) else last] = value


@settings(deadline=None)
@given(documents, layouts, st.booleans(), st.data())
def test_json_reads_the_new_values_and_all_others_as_before(document: Any, layout: Any, lists: bool, data: st.DataObject) -> None:
    """Editing twice is editing once, and setting the old values again gives the old text."""
    text = json.dumps(document, **layout)
    known = places(document, lists=lists)
    some = st.sampled_from(known) if known else st.nothing()
    added = st.text(string.ascii_letters, min_size=5, max_size=5)
    wanted = data.draw(st.dictionaries(some | added, arrays | scalars if lists else scalars, max_size=4))
    edited = edit(text, wanted)
    for key, value in wanted.items():
        put(document, key, value)
    assert repr(json.loads(edited)) == repr(document) or same_tree(json.loads(edited), document)
    assert all(same(value, wanted[key]) for key, value in values(edited, wanted).items())
    assert values(edited, wanted).keys() == wanted.keys()
    assert edit(edited, wanted) == edited


def same_tree(left: Any, right: Any) -> bool:
    """Equal with types; an integer may stand for its own float, in the same order."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same_tree(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same_tree, left, right))
    return same(left, right)


@settings(deadline=None)
@given(documents, layouts, st.data())
def test_every_character_outside_the_value_stays(document: Any, layout: Any, data: st.DataObject) -> None:
    """A value set and set back leaves the text as it was, for text written by the json module."""
    text = json.dumps(document, **layout)
    known = places(document)
    if known:
        place = data.draw(st.sampled_from(known))
        old = values(text, {place})[place]
        edited = edit(text, {place: data.draw(scalars)})
        again = edit(edited, {place: old})
        assert again == text or json.loads(again) == json.loads(text)
        head = next((n for n, (x, y) in enumerate(zip(text, edited, strict=False)) if x != y), len(text))
        tail = next((n for n, (x, y) in enumerate(zip(text[::-1], edited[::-1], strict=False)) if x != y), len(text))
        assert len(text) - head - tail <= len(json.dumps(old))


spaces = st.text(" \t\n", max_size=3)


@settings(deadline=None)
@given(arrays, arrays | scalars, st.lists(spaces, min_size=8, max_size=8), layouts)
def test_of_an_array_that_is_set_nothing_around_it_changes(before: Any, after: FlagValue, gaps: list[str], layout: Any) -> None:
    """Whatever the space in it and around it; and what it holds then is what was asked for."""
    inside = f"{gaps[0]},{gaps[1]}".join(json.dumps(value, **layout) for value in before)
    array = f"[{gaps[2]}{inside}{gaps[3]}]"
    head, tail = f'{{"x": [1, {{}}],{gaps[4]}"a"{gaps[5]}:{gaps[6]}', f'{gaps[7]}, "b" : 1e3}}'
    edited = edit(head + array + tail, {"a": after})
    assert edited.startswith(head)
    assert edited.endswith(tail)
    assert same(values(edited, {"a"})["a"], after)
    if before and isinstance(after, tuple) and after:
        written = edited[len(head) : len(edited) - len(tail)]
        assert written.startswith("[" + gaps[2])
        assert written.endswith(gaps[3] + "]")
        assert same(values(edit(edited, {"a": before}), {"a"})["a"], before)


@given(st.text('{}[]":,\\u0a1 \ntrue', max_size=30))
def test_any_text_at_all_is_edited_safely_or_not_at_all(text: str) -> None:
    """What json.loads rejects is rejected."""
    try:
        edited = edit(text, {"a": "x"})
    except FormatError:
        return
    before = json.loads(text)
    assert json.loads(edited) == {**before, "a": "x"}
