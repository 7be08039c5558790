"""The YAML format, against ruamel.yaml (YAML 1.2) and PyYAML (YAML 1.1)."""

import io
from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

from rollback_daemon.flags.store import FlagValue, Scalar, same
from rollback_daemon.flags.stores._yaml_scalar import rendered
from rollback_daemon.flags.stores.yaml_file import check, edit, values
from rollback_daemon.flags.text_format import FormatError
from tests.flags.contract import Sample

SAMPLE = Sample(
    text=(
        "# grüße\n"
        "---\n"
        "secret: hunter2\n"
        "flags:\n"
        "  checkout: {state: ENABLED, percent: 12.5}   # ramp\n"
        "  variants:\n"
        "    on: true\n"
        "    off: false\n"
        "  list:\n"
        "  - 1\n"
        "  - name: 'one'\n"
        "  agents:   # who\n"
        "    # first of all\n"
        "    - planner\n"
        "    - 'writer'   # grüße\n"
        "  flow: [ a, b ]\n"
        "stage:   canary # of three\n"
    ),
    on={"/flags/checkout/percent": 12.5, "/flags/variants/on": True, "/flags/list/0": 1, "/flags/list/1/name": "one", "stage": "canary",
        "/flags/agents": ("planner", "writer"), "/flags/flow": ("a", "b")},
    off={"/flags/checkout/percent": 0.5, "/flags/variants/on": False, "/flags/list/0": 0, "/flags/list/1/name": "two", "stage": "half",
         "/flags/agents": ("planner", "writer", "critic"), "/flags/flow": ("b",)},
    missing="added",
    broken="secret: hunter2\nflags:\n\t- [hunter2\n",
    broken_line=3,
)  # fmt: skip


EDITS = [
    ("a: 1", {"a": 2}, "a: 2"),
    ("a: 1\r\nb: 2\r\n", {"a": 3, "c": 4}, "a: 3\r\nb: 2\r\nc: 4\r\n"),
    ("a:   true   # why\n", {"a": False}, "a:   false   # why\n"),
    ("a: 'x'\n", {"a": "it's"}, "a: 'it''s'\n"),
    ('a: "x"\n', {"a": 'say "so"'}, 'a: "say \\"so\\""\n'),
    ("a: 'x'\n", {"a": "two\nlines"}, 'a: "two\\nlines"\n'),
    ("a: x\n", {"a": "off"}, 'a: "off"\n'),
    ("a: x\n", {"a": "22:30"}, 'a: "22:30"\n'),
    ("a: x\n", {"a": "10"}, 'a: "10"\n'),
    ("a: x\n", {"a": "new word"}, "a: new word\n"),
    ("a: x\n", {"a": "on # top"}, 'a: "on # top"\n'),
    ("a: 'x'\n", {"a": True}, "a: true\n"),
    ("a: true\n", {"a": "true"}, 'a: "true"\n'),
    ("a: 1\n", {"a": 1.0}, "a: 1\n"),
    ("a: x\n", {"a": 1e22}, "a: 1.0e+22\n"),
    ("a: 0x10\n", {"a": 16}, "a: 0x10\n"),
    ("a: 2024-01-01\n", {"a": "2024-01-01"}, "a: 2024-01-01\n"),
    ("a: 2024-01-01\n", {"a": "2024-01-02"}, 'a: "2024-01-02"\n'),
    ("a:\nb: 1\n", {"a": "x"}, "a: x\nb: 1\n"),
    ("a: # why\nb: 1\n", {"a": "x"}, "a: x # why\nb: 1\n"),
    ("a:", {"a": None}, "a:"),
    ("a: 1", {"a": None}, "a: null"),
    ("on: off\noff: 1\n", {"off": 2}, "on: off\noff: 2\n"),
    ("1: x\ntrue: x\n", {"1": "x2", "true": "z"}, "1: x2\ntrue: z\n"),
    ("a: &x true\nb: 1\n", {"a": False}, "a: &x false\nb: 1\n"),
    ("a: &x true\nb: *x # why\n", {"b": False}, "a: &x true\nb: false # why\n"),
    ("a: &x true\nb: *x\n", {"a": False, "b": False}, "a: &x false\nb: false\n"),
    ("- &x 1\n- *x\n", {"/1": 2}, "- &x 1\n- 2\n"),
    ("a: !!str 1\n", {"a": "2"}, 'a: "2"\n'),
    ("a: !!str &x 1\n", {"a": 2}, "a: &x 2\n"),
    ("a: &x\nb: 1\n", {"a": 1}, "a: &x 1\nb: 1\n"),
    ("d: &d {on: 1}\na:\n  <<: *d\n", {"/a/on": 2}, "d: &d {on: 1}\na:\n  <<: *d\n  \"on\": 2\n"),
    ("d: &d {on: 1}\na: {<<: *d}\n", {"/a/on": 2}, "d: &d {on: 1}\na: {<<: *d, \"on\": 2}\n"),
    ("d: &d {on: 1}\na: {<<: *d}\n", {"/a/on": 1}, "d: &d {on: 1}\na: {<<: *d}\n"),
    ("a: |  # why\n  one\n  two\n\n# end\nb: 1\n", {"a": "x"}, "a: x # why\n\n# end\nb: 1\n"),
    ("a: >-\n  one\n  two\nb: 1\n", {"a": "one two"}, "a: >-\n  one\n  two\nb: 1\n"),
    ("a: one\n  two\nb: 1\n", {"a": "x"}, "a: x\nb: 1\n"),
    ("a: {b: 1}\n", {"/a/c": "x"}, "a: {b: 1, c: x}\n"),
    ("a: {}\n", {"/a/c": "x", "/a/d": 1}, "a: {c: x, d: 1}\n"),
    ('{"a":"x"}\n', {"a": True, "b": "y"}, '{"a": true, "b": "y"}\n'),
    ('{\n  "a": 1,\n  "b": 2\n}\n', {"c": 3}, '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n'),
    ("a: {b: , c}\n", {"/a/b": 1}, "a: {b: 1 , c}\n"),
    ("a:\n  b: 1 # why\n\n# end\nc: 1\n", {"/a/d": 2}, "a:\n  b: 1 # why\n  d: 2\n\n# end\nc: 1\n"),
    ("a:\n- b: 1\n  c: 2\n- d\n", {"/a/0/e": 3}, "a:\n- b: 1\n  c: 2\n  e: 3\n- d\n"),
    ("a:\n  - x\n...\n", {"b": 1}, "a:\n  - x\nb: 1\n...\n"),
    ("a: |\n  text\n\nb: {c: |-\n", {"a": "text\n"}, None),
    ("a:\n  b: |\n    text\n# end\n", {"/a/c": 1}, "a:\n  b: |\n    text\n  c: 1\n# end\n"),
    ("", {"a": 1}, "a: 1\n"),
    ("# none", {"a": 1, "off": 2}, '# none\na: 1\n"off": 2'),
    ("---\na: 1\n", {"a": 2}, "---\na: 2\n"),
    ("%YAML 1.1\n---\na: on\n", {"a": False}, "%YAML 1.1\n---\na: false\n"),
    ("a: 1", {"b": 2}, "a: 1\nb: 2"),
    ("a: 1", {"a": (1, "off"), "b": ()}, 'a: [1, "off"]\nb: []'),
    ("{a: 'x'}", {"a": ("x", "y")}, "{a: ['x', 'y']}"),
    ("a: [x,y]  # c\n", {"a": ("y", "z")}, "a: [y,z]  # c\n"),
    ("a: ['x']\n", {"a": ("x", "y")}, "a: ['x', 'y']\n"),
    ("a: [\n  x,\n  y,\n]\n", {"a": ("y", "x", "z")}, "a: [\n  y,\n  x,\n  z,\n]\n"),
    ("a: [] # c\n", {"a": ("x", True)}, "a: [x, true] # c\n"),
    ("a: [x] # c\n", {"a": ()}, "a: [] # c\n"),
    ("a: [x]\n", {"a": "x"}, "a: x\n"),
    ("a: &x [1]\n", {"a": (2,)}, "a: &x [2]\n"),
    ("a: &x [1]\nb: *x\n", {"b": (2,)}, "a: &x [1]\nb: [2]\n"),
    ("x: &x 1\na: [*x, 2]\n", {"a": (2, 1)}, "x: &x 1\na: [2, *x]\n"),
    ("a:\n- x\n- y\nb: 1\n", {"a": ("y", "z")}, "a:\n- y\n- z\nb: 1\n"),
    ("a:\n  - x # 1\n  # of y\n  - y # 2\n\n# b\nb: 1\n", {"a": ("z", "y")}, "a:\n  - z\n  # of y\n  - y # 2\n\n# b\nb: 1\n"),
    ("a:\n  - x # 1\n  # of y\n  - y # 2\n", {"a": ("y", "x")}, "a:\n  # of y\n  - y # 2\n  - x # 1\n"),
    ("a:\r\n  -  'x'\r\n  -  y\r\n", {"a": ("x", "n")}, "a:\r\n  -  'x'\r\n  -  'n'\r\n"),
    ("a:\n  -\n  - x", {"a": (None, None, "x", "z")}, "a:\n  -\n  -\n  - x\n  - z"),
    ("a: # who\n  # c\n  - x\n  - y\nb: 1\n", {"a": ()}, "a: [] # who\n  # c\nb: 1\n"),
    ("a:\r\n- x\r\nb: 1\r\n", {"a": "x"}, "a: x\r\nb: 1\r\n"),
    ("- - x\n  - y\n- 1\n", {"/0": ("y",)}, "- - y\n- 1\n"),
    ("- - x\n  - y\n- 1\n", {"/0": ()}, "- []\n- 1\n"),
    ("a:\n- |\n  x\n\n- y\n", {"a": ("y", "x\n")}, "a:\n- y\n- |\n  x\n"),
    ("ключ: да # 🙂\nb: 1\n", {"ключ": "нет", "b": "🙂"}, 'ключ: "нет" # 🙂\nb: "🙂"\n'),
    ("a: 'x\ty' # 1\t2\n", {"a": "2"}, "a: '2' # 1\t2\n"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "change", "after"), EDITS)
def test_only_the_value_changes(before: str, change: dict[str, FlagValue], after: str | None) -> None:
    """Comments, order, quotes, indentation, anchors and markers stay."""
    if after is None:
        with pytest.raises(FormatError, match="not valid YAML"):
            edit(before, change)
        return
    assert edit(before, change) == after
    assert values(after, change) == change


HARMFUL = [
    ("a: &x true\nb: *x\n", {"a": False}, 'setting "a" would change other values too', 0),
    ("d: &d {on: 1}\na: {<<: *d}\n", {"/d/on": 2}, 'setting "/d/on" would change other values too', 0),
    ("d: &d {on: 1}\na: *d\n", {"/d/off": 2}, 'setting "/d/off" would change other values too', 0),
    ("d: &d {on: 1}\na: *d\n", {"/a/on": 2}, '"a" is an alias, shared with others: write it out first', 2),
    ("d: &d {x: {on: 1}}\na: {<<: *d}\n", {"/a/x/on": 2}, '"/a/x/on" has no parent of its own: add a mapping "/a/x"', 0),
    ("a: 1\n---\nb: 1\n", {"a": 2}, "the file holds several documents: keep the flags in a file of one document", 2),
    ("a:\n  b: 1\n", {"a": 2}, '"a" holds a mapping, not a single value: name a value inside it', 2),
    ("a: [1, [2]]\n", {"a": 2}, '"a" holds a list of more than single values: name a value inside it', 1),
    ("a:\n- b: 1\n", {"a": (1,)}, '"a" holds a list of more than single values: name a value inside it', 2),
    ("a: [!mine 1]\n", {"a": (1,)}, '"a" holds a value of a type that is no flag: write text, a number or a boolean', 1),
    ("a: !mine [1]\n", {"a": (1,)}, '"a" holds a value of a type that is no flag: write text, a number or a boolean', 1),
    ("a: [1, # why\n  2]\n", {"a": (1,)}, "a list in brackets with a comment in it cannot be set: edit it by hand", 1),
    ("a: &x [1]\nb: *x\n", {"a": (2,)}, 'setting "a" would change other values too', 0),
    ("a: &x\n- 1\nb: *x\n", {"a": (2,)}, 'setting "a" would change other values too', 0),
    ("a: [&x 1, 2]\nb: *x\n", {"a": (2,)}, 'setting "a" would change other values too', 0),
    ("? a\n: - 1\n", {"a": ()}, "a list behind a key of several lines cannot be set: edit it by hand", 2),
    ("a: [1]\n", {"/a/1": 2}, '"/a/1" cannot be added: its parent is no mapping', 1),
    ("a: 1\n", {"/b/c": 2}, '"/b/c" has no parent of its own: add a mapping "b" first', 0),
    ("a: 1\nb: 1\na: 2\n", {"a": 3}, 'the key "a" stands twice in one mapping: remove one of them', 3),
    ("a: !mine 1\n", {"a": 3}, '"a" holds a value of a type that is no flag: write text, a number or a boolean', 1),
    ("a: [1\n", {"a": 1}, "this is not valid YAML: mend it by hand", 2),
    ("a: '1'\t# why\n", {"a": 1}, "this is not valid YAML (a tab stands where this reader wants spaces): mend it by hand", 1),
    ("a: 1\nb: \x01\n", {"a": 1}, "this is not valid YAML: mend it by hand", 2),
    ("just text\n", {"a": 1}, '"a" cannot be added: its parent is no mapping', 1),
    ("a: { # c\n}\n", {"/a/b": 1}, "a key cannot be added to an empty object with a comment in it", 1),
    ("[" * 1500, {"a": 1}, "this YAML is nested too deeply: mend it by hand", 0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "change", "sentence", "line"), HARMFUL)
def test_what_would_harm_other_values_is_an_error(text: str, change: dict[str, FlagValue], sentence: str, line: int) -> None:
    """With the line and the remedy."""
    with pytest.raises(FormatError) as refusal:
        edit(text, change)
    assert str(refusal.value).startswith(sentence)
    assert refusal.value.line == line


def test_values_are_read_through_aliases_and_merge_keys() -> None:
    """As every reader does."""
    text = "d: &d {on: 1, off: 2}\na: {<<: *d, on: 3}\nb: *d\nc: {<<: [{x: 1}, *d]}\n"
    assert values(text, {"/a/on", "/a/off", "/b/on", "/c/x", "/c/off", "/c/z"}) == {
        "/a/on": 3,
        "/a/off": 2,
        "/b/on": 1,
        "/c/x": 1,
        "/c/off": 2,
    }


def test_a_mapping_within_itself_comes_to_an_end() -> None:
    """Also in the proof."""
    text = "a: &a\n  self: *a\n  on: 1\n  <<: *a\nb: 1\n"
    assert values(text, {"/a/self/self/on", "/a/off"}) == {"/a/self/self/on": 1}
    assert edit(text, {"b": 2}) == text.replace("b: 1", "b: 2")


def test_many_aliases_of_aliases_are_proven_in_good_time() -> None:
    """A small file can stand for a very large one."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    text = "l0: &l0 [x]\n" + levels + "flag: true\n"
    assert edit(text, {"flag": False}).endswith("flag: false\n")


def test_a_key_or_value_is_checked_as_in_json() -> None:
    """Pointers and numbers have the same rules."""
    assert check("/a~2", 1)
    assert check("a", float("inf"))
    assert check("on", "off") is None


def new(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def old(text: str) -> Any:
    return yaml.safe_load(text)


def means(text: str, document: Any) -> bool:
    try:
        return repr(new(text)) == repr(document)
    except YAMLError:
        return False


characters = st.characters(exclude_categories=["Cs"])
traps = st.sampled_from(
    ["on", "off", "Yes", "no", "y", "N", "true", "NULL", "~", "", "null", "22:30", "1:2:3", "012", "0o7", "0x1F", "1_000",
     "1e3", ".inf", "-.INF", ".nan", "2024-01-01", "2001-12-14t21:59:43.10-05:00", "=", "<<", "-", "- a", "? a", ": a", "a: b",
     "a #b", "#a", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "[a", "a]", "{a", "a,b", "'a", '"a', "---", "...", "a\tb",
     " a", "a ", "\n", "\u2028", "\x85", "\ufeff", "🙂", "0b1", "+1"]
)  # fmt: skip
scalars: st.SearchStrategy[Scalar] = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | traps | st.text(characters, max_size=8)
)


@settings(max_examples=400, deadline=None)
@given(
    scalars,
    st.sampled_from([None, "'", '"', "|"]),
    st.sampled_from(["a: {}\n", "a: [{}, 1]\n", "- {}\n- 1\n", "{{a: {}, b: 1}}\n", "{} : 1\n"]),
)
def test_readers_of_both_versions_agree_on_what_is_written(value: Scalar, quotes: str | None, layout: str) -> None:
    """PyYAML is YAML 1.1, ruamel.yaml 1.2; a value means the same to both, in block and in flow style."""
    text = layout.format(rendered(value, quotes))
    assert repr(new(text)) == repr(old(text))
    assert repr(value) in repr(new(text)) or (value is None and "None" in repr(new(text)))


@pytest.mark.parametrize("word", ["y", "N", "on", "No", "TRUE", "null", "None", "off"])
def test_words_that_any_reader_could_take_for_a_boolean_are_quoted(word: str) -> None:
    """Also those that only the specification of YAML 1.1 calls so."""
    assert rendered(word, None) == (word if word == "None" else f'"{word}"')


arrays = st.lists(scalars, max_size=4).map(tuple)
names = st.sampled_from(["a", "b", "on", "off", "yes", "x-y", "1", "a b", "ü", "c", "no"])
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=10)
documents = st.dictionaries(names, trees, max_size=4)


def dumped(document: Any, *, flow: bool | None, width: int, indent: int) -> str:
    dumper = YAML(typ="safe", pure=True)
    dumper.default_flow_style, dumper.width, dumper.allow_unicode = flow, width, True
    dumper.map_indent, dumper.sequence_indent = indent, indent
    stream = io.StringIO()
    dumper.dump(document, stream)
    return stream.getvalue()


def places(tree: Any, way: str = "", *, lists: bool = False) -> list[str]:
    """A pointer to every single value of a tree; with `lists`, to every list of single values instead of to these."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    leaf = lists and isinstance(tree, list) and not any(isinstance(inner, dict | list) for inner in tree)
    if members is None or leaf:
        return [way] if way else []
    return [place for name, inner in members for place in places(inner, f"{way}/{name}", lists=lists)]


def put(tree: Any, pointer: str, value: FlagValue) -> None:
    *ways, last = pointer.removeprefix("/").split("/")
    for way in ways:
        tree = tree[int(way) if isinstance(tree, list) else way]
    tree[int(last) if isinstance(tree, list) else last] = value


def alike(left: Any, right: Any) -> bool:
    """Equal with types and order; an integer may stand for its own float."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(map(str, left)) == list(map(str, right)) and all(map(alike, left.values(), right.values()))
    if isinstance(left, list) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(alike, left, right))
    return same(left, right) or (isinstance(left, date) and isinstance(right, date) and left == right)


@settings(max_examples=300, deadline=None)
@given(
    documents,
    st.sampled_from([True, False, None]),
    st.sampled_from([20, 80]),
    st.sampled_from([2, 4]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.data(),
)
def test_ruamel_reads_the_new_values_and_all_others_as_before(
    document: Any, flow: bool | None, width: int, indent: int, end: str, lists: bool, data: st.DataObject
) -> None:
    """Editing twice is editing once; a layout that is too unusual is an error, never a wrong file."""
    text = dumped(document, flow=flow, width=width, indent=indent).replace("\n", end)
    assume(means(text, document))  # the dumper forgets to quote a question mark in flow style
    known = places(document, lists=lists)
    some = st.sampled_from(known) if known else st.nothing()
    added = st.sampled_from(["added", "off too", "nine"])
    wanted = data.draw(st.dictionaries(some | added, arrays | scalars if lists else scalars, max_size=4))
    edited = edit(text, wanted)
    for key, value in wanted.items():
        put(document, key, value)
    assert alike(new(edited), document), edited
    assert values(edited, wanted).keys() == wanted.keys()
    assert all(same(value, wanted[key]) for key, value in values(edited, wanted).items())
    assert edit(edited, wanted) == edited


lines = st.sampled_from(
    ["a: 1", "b: &x on", "c: *x", "d: {e: 1, f: *x}", "  g: 2", "h:", "- 1", "  - i: 2", "# c", "", "j: |", "  text",
     "k: 'q'  # c", "l: [1, {m: 2}]", "n: !t 1", "o: &y {a: 1}", "p:", "  <<: *y", "  q: 3", "...", "? r", ": 4", "\ts",
     "a: 2", '"t": "u', '  v"', "- y # d", "  - z", "w: [1, a]", "w: &w [1,", " on] # e", "s: *w"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    st.lists(lines, max_size=10).map("\n".join),
    st.sampled_from(["a", "b", "c", "/d/e", "/d/f", "h", "j", "k", "/l/1/m", "/o/a", "/p/a", "/p/q", "r", "t", "/h/0", "w", "s", "/w/1"]),
    scalars | arrays,
)
def test_any_layout_at_all_is_edited_safely_or_not_at_all(text: str, key: str, value: FlagValue) -> None:
    """ruamel.yaml, asked anew, finds every other value as it was."""
    try:
        edited = edit(text, {key: value})
        before = new(text) or {}
    except (FormatError, YAMLError, ReusedAnchorWarning):
        return  # the oracle refuses more than we do: tags of one's own, keys and anchors twice
    after = new(edited)
    place = key if key.startswith("/") else "/" + key
    others = {other for other in places(before) if other != place and not other.startswith(f"{place}/")}
    assert {other for other in places(after) if other != place and not other.startswith(f"{place}/")} == others
    assert same(_at(after, place), value)
    assert all(repr(_at(after, other)) == repr(_at(before, other)) for other in others)


def _at(tree: Any, pointer: str) -> Any:
    for way in pointer.removeprefix("/").split("/"):
        tree = tree[int(way)] if isinstance(tree, list) else next(value for name, value in tree.items() if str(name) == way)
    return tree
