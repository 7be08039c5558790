"""pydantic's complaints in our own words: what is wrong, and what would be right.

Lives here: the translation of a ValidationError into trails and sentences, and the keys that a schema knows. Must not live here: files, places.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from rollback_daemon.documents.yaml_nodes import Step, Trail

_SENTENCES = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "none_required": "must be empty",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_too_short": "must not be empty",
}
_FORMS = {"model_type", "model_attributes_type", "dict_type"}
_ALIKE = 0.8  # of 1, by difflib: a slip of the fingers, not another word
_UNSAID = object()
_WITHOUT_VALUE = {"too_short", "too_long", "string_too_short"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong at `trail`.

    `at_key`: the key itself is wrong, not its value. `missing`: nothing is there. `meant`: the key that the person probably had in mind.
    """

    trail: Trail
    text: str
    at_key: bool = False
    missing: bool = False
    meant: str = ""


def complaints(schema: type[BaseModel], value: Any, error: ValidationError, unsaid: Collection[str] = ()) -> list[Complaint]:
    """Everything that `error` says about `value`; what several members of a union say about one place is said in one sentence.

    What stands under one of the keys `unsaid` is never repeated: somebody may have written a secret there.
    """
    found: dict[tuple[Trail, bool], list[str]] = {}
    everything = [_complaint(schema, value, detail, unsaid) for detail in error.errors(include_url=False)]
    meant = {(*one.trail[:-1], one.meant) for one in everything if one.meant}
    for one in everything:
        if one.missing and one.trail in meant:  # it is there, misspelt
            continue
        texts = found.setdefault((one.trail, one.at_key), [])
        if one.text not in texts:
            texts.append(one.text)
    return [Complaint(trail, " or ".join(texts).replace(" or must be ", " or "), at_key) for (trail, at_key), texts in found.items()]


def _complaint(schema: type[BaseModel], value: Any, detail: Any, unsaid: Collection[str]) -> Complaint:
    loc, kind = detail["loc"], detail["type"]
    if not isinstance(detail["input"], (dict, list, type(None))) and not {*loc}.isdisjoint(unsaid):
        detail = {**detail, "input": _UNSAID}
    if loc and loc[-1] == "[key]":
        return Complaint(_real(value, loc[:-1]), _sentence(kind, detail), at_key=True)
    trail = _real(value, loc)
    if kind == "extra_forbidden":
        key, known = str(trail[-1]), sorted(_known_keys(schema, loc[:-1]))
        return Complaint(trail, f'unknown key "{key}"; {did_you_mean(key, known)}', at_key=True, meant=closest(key, known) or "")
    if kind == "missing":
        return Complaint(trail, f'"{trail[-1]}" is missing; it must be given{_instead(schema, loc, detail["input"])}', missing=True)
    return Complaint(trail, _sentence(kind, detail) + (_form(schema, loc) if kind in _FORMS else ""))


def _instead(schema: type[BaseModel], loc: Trail, beside: Any) -> str:
    """What stands in a mapping that may have any key, and was perhaps meant as the one that is missing."""
    strangers = set(map(str, beside)) - _known_keys(schema, loc[:-1]) if isinstance(beside, dict) else set()
    meant = difflib.get_close_matches(str(loc[-1]), sorted(strangers), n=1, cutoff=_ALIKE)
    return f'; is it "{meant[0]}", misspelt?' if meant else ""


def spoken(detail: Any) -> str:
    """One of pydantic's error details in our own words, without its place."""
    if detail["type"] == "missing":
        return "is missing; it must be given"
    if detail["type"] == "extra_forbidden":
        return "is not known here; leave it out"
    return _sentence(detail["type"], detail)


def _sentence(kind: str, detail: Any) -> str:
    context = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_short" and context.get("min_length") == 1:
        return "must not be empty"
    if kind == "string_type":
        quote = "" if isinstance(detail["input"], (dict, list, type(None))) else "; quote it"
        return f"must be text{_got(detail['input'])}{quote}"
    said = _SENTENCES[kind].format(**context) if kind in _SENTENCES else str(detail["msg"])  # theirs may hold braces: a pattern
    sentence = said.replace("'", '"')
    return sentence if kind in _WITHOUT_VALUE else sentence + _got(detail["input"])


def _got(value: Any) -> str:
    if value is _UNSAID:
        return ""
    if isinstance(value, (dict, list)):
        return f", not a {'mapping' if isinstance(value, dict) else 'list'}"
    if value is None:
        return ", not nothing"
    if isinstance(value, str):
        return f', not "{value if len(value) <= 60 else value[:57] + "..."}"'
    return f", not {str(value).lower() if isinstance(value, bool) else value}"


def did_you_mean(name: str, known: Iterable[str], nothing: str = "none is known here") -> str:
    """The second half of "unknown X": the name that was probably meant, or all that there are."""
    names = list(known)
    if close := closest(name, names):
        return f'did you mean "{close}"?'
    return f"known here: {', '.join(names)}" if names else nothing


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def _real(value: Any, loc: Iterable[Step]) -> Trail:
    """pydantic's location without the steps (names of union members) that are not in the data; a last, missing key stays."""
    steps, trail = list(loc), []
    for index, step in enumerate(steps):
        inside = (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int) and step < len(value))
        if inside:
            value = value[step]
        if inside or (index == len(steps) - 1 and isinstance(value, dict)):
            trail.append(step)
    return tuple(trail)


@cache
def _json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    return schema.model_json_schema()


def _known_keys(schema: type[BaseModel], loc: Iterable[Step]) -> set[str]:
    """The keys that the schema knows at a location."""
    return {name for member in _at(schema, loc) for name in member.get("properties", {})}


def _form(schema: type[BaseModel], loc: Iterable[Step]) -> str:
    """How the mapping at a location looks, if the schema has an example of it."""
    examples = (one for member in _at(schema, loc) for one in member.get("examples", ()))
    example = next((one for one in examples if isinstance(one, dict)), None)
    return f"; write for instance {yaml.safe_dump(example, default_flow_style=True, sort_keys=False, width=200).strip()}" if example else ""


def _at(schema: type[BaseModel], loc: Iterable[Step]) -> list[dict[str, Any]]:
    """The parts of the JSON Schema that are about a location."""
    root = _json_schema(schema)
    here: list[dict[str, Any]] = [root]
    for step in loc:
        here = [after for one in here for after in _children(root, one, step)] or here
    return [member for one in here for member in _members(root, one)]


def _members(root: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in part:
        yield from _members(root, root["$defs"][part["$ref"].rsplit("/", 1)[1]])
    elif "anyOf" in part or "oneOf" in part:
        for member in part.get("anyOf", []) + part.get("oneOf", []):
            yield from _members(root, member)
    else:
        yield part


def _children(root: dict[str, Any], part: dict[str, Any], step: Step) -> Iterator[dict[str, Any]]:
    for member in _members(root, part):
        if member.get("title") == step:  # the name of a union's member
            yield member
        elif isinstance(step, int) and "items" in member:
            yield member["items"]
        elif step in member.get("properties", {}):
            yield member["properties"][step]
        elif isinstance(member.get("additionalProperties"), dict):
            yield member["additionalProperties"]
        else:
            yield from member.get("patternProperties", {}).values()
