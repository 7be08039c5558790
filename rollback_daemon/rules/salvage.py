"""What can still be checked of a rule file in which some keys are wrong in themselves.

A person should learn of every mistake at once, so a misspelt key in one trigger must not hide an unknown signal in another. The entries that are
wrong are left out and remembered, so that nobody is told of a mistake that only follows from another one.

Lives here: leaving out. Must not live here: finding or wording mistakes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from rollback_daemon.documents import Trail
from rollback_daemon.rules.schema import RuleFile

T = TypeVar("T")

_NAMED_BY = {"stages": "stage", "gates": "gate", "triggers": "alert"}
_NAMELESS = {"verify", "ways_back", "escalation", "hooks"}  # nothing else mentions their entries
_INNER: Mapping[str, Mapping[str, Any]] = {  # what is wrong in these goes alone
    "rehearsal": {"steps": [{"command": ["true"]}]},
    "scorecard": {},
    "follow_up": {},
}
_STAND_INS: Mapping[str, Any] = {
    "rollout": "unknown",
    "owner": "unknown",
    "flags": {"store": "", "path": "unknown"},
    "baseline": {"unknown": ""},
    "stages": [{"stage": "unknown", "exposure": 1, "set": {"unknown": ""}}],
    "triggers": [{"alert": "unknown", "expr": "vector(0)"}],
}


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The part of a file that can be used.

    `kept`: for each list of which entries are left out, the numbers of the others in the file. `lost`: the top-level keys that are not as the
    file has them. `names`: the names of the `signals`, `stages`, `gates` and `triggers` that were left out; to mention one is no mistake.
    """

    file: RuleFile
    kept: Mapping[str, Sequence[int]]
    lost: frozenset[str] = frozenset()
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def entries(self, key: str, parts: Sequence[T]) -> Iterator[tuple[int, T]]:
        """The entries that are left of a list, each with its number in the file."""
        return zip(self.kept.get(key, range(len(parts))), parts, strict=False)  # a stand-in has no number


def whole(file: RuleFile) -> Salvaged:
    """A file without anything wrong in itself."""
    return Salvaged(file, {})


def salvage(value: Any, wrong: Iterable[Trail]) -> Salvaged | None:
    """What is left of `value` without the entries that the trails `wrong` lead into; None if that is nothing."""
    trails = set(wrong)
    if () in trails or not isinstance(value, dict):
        return None
    entries = {trail[:2] for trail in trails if len(trail) > 1 and trail[0] in {*_NAMED_BY, *_NAMELESS, "signals", "baseline"}}
    inner = {trail for trail in trails if len(trail) > 1 and trail[0] in _INNER}
    tops = {str(trail[0]) for trail in trails - inner if trail[:2] not in entries}
    left = {key: part for key, part in value.items() if key not in tops}
    kept: dict[str, Sequence[int]] = {}
    for key in {str(entry[0]) for entry in entries} & left.keys():
        if isinstance(left[key], list):
            kept[key] = [index for index in range(len(left[key])) if (key, index) not in entries]
            left[key] = [left[key][index] for index in kept[key]]
            if key in _NAMELESS and not left[key]:
                del left[key]
        else:
            left[key] = {name: part for name, part in left[key].items() if (key, name) not in entries}
    for key in _INNER.keys() & left.keys() & {trail[0] for trail in inner}:
        left[key] = {**_INNER[key], **_without(left[key], [trail[1:] for trail in inner if trail[0] == key])}
    for key, stand_in in _STAND_INS.items():
        if not left.get(key):
            left[key], kept[key] = stand_in, []
    lost = frozenset(tops | {str(trail[0]) for trail in entries | inner})
    names = {key: frozenset(_names(value, key, entries, tops)) for key in ("signals", *_NAMED_BY)}
    try:
        return Salvaged(RuleFile.model_validate(left), kept, lost, names)
    except ValidationError:
        return None


def _without(part: Mapping[str, Any], wrong: Iterable[Trail]) -> dict[str, Any]:
    """A rehearsal or a scorecard without what is wrong in it: a key, or one part of the scorecard."""
    left = dict(part)
    for trail in wrong:
        if trail[0] == "parts" and len(trail) > 1 and isinstance(left.get("parts"), dict):
            left["parts"] = {name: one for name, one in left["parts"].items() if name != trail[1]}
        else:
            left.pop(str(trail[0]), None)
    return left


def _names(value: Mapping[str, Any], key: str, entries: Iterable[Trail], tops: Iterable[str]) -> Iterator[str]:
    """The names under `key` that were left out, as far as they can be read."""
    part = value.get(key)
    for at in part if key in tops and isinstance(part, dict) else [entry[1] for entry in entries if entry[0] == key]:
        if key == "signals":
            yield str(at)
        elif part and isinstance(entry := part[at], dict):
            yield str(entry.get(_NAMED_BY[key]))
