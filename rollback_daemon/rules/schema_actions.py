"""How an action is written: a word, or a rollback or a degradation with what belongs to it.

Lives here: the forms of an action, and the mistakes in them. Must not live here: whether its stage and its flags are known (`build_triggers`).
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from rollback_daemon.rules.model import Action, ActionKind
from rollback_daemon.schema import duration

PREVIOUS = "previous"
"""How a rule file names the stage below the present one."""
_PLAIN = [kind.value for kind in ActionKind if kind is not ActionKind.DEGRADE]
_USAGE = f"use one of {', '.join(_PLAIN)}, {{rollback: STAGE}} or {{degrade: {{KEY: value}}}}"
_CLEAR_FOR = re.compile(r"clear for (\S+)")
_SPOKEN = re.compile(r"rollback(?: to ([\w.-]+))?(?: in (\w+))?")  # as a person says it
_BESIDE = {"rollback": "in", "degrade": "until"}


def _action(value: Any) -> Action:
    if isinstance(value, str) and value in _PLAIN:
        return Action(ActionKind(value))
    if not isinstance(value, dict) or len(kinds := [kind for kind in _BESIDE if kind in value]) != 1:
        name = value if isinstance(value, str) else next(iter(value)) if isinstance(value, dict) and len(value) == 1 else None
        raise ValueError(_unknown(name))
    _check_alone(value, kinds[0])
    return _rollback(value) if kinds == ["rollback"] else _degrade(value)


def _unknown(name: Any) -> str:
    if name == "degrade":
        return f"degrade needs the flags that it sets; {_USAGE}"
    if isinstance(name, str) and (told := _SPOKEN.fullmatch(name)):
        return f'unknown action "{name}"; write {{rollback: {told[1] or PREVIOUS}{f", in: {told[2]}" if told[2] else ""}}}'
    return f'unknown action "{name}"; {_USAGE}' if isinstance(name, str) else f"must be an action; {_USAGE}"


def _check_alone(value: Mapping[Any, Any], kind: str) -> None:
    others = [str(key) for key in value if key not in {kind, _BESIDE[kind]}]
    if others:
        raise ValueError(f'"{others[0]}" does not belong to {kind}; beside it only {_BESIDE[kind]} can stand')


def _rollback(value: Mapping[str, Any]) -> Action:
    stage = value["rollback"]
    if not isinstance(stage, str):
        raise ValueError(f"the stage to go back to must be text; {_USAGE}")
    ahead = _longer_than_nothing(value["in"], "in", "leave it out for a rollback at once") if "in" in value else None
    return Action(ActionKind.ROLLBACK, None if stage == PREVIOUS else stage, in_=ahead)


def _degrade(value: Mapping[str, Any]) -> Action:
    flags = value["degrade"]
    if not isinstance(flags, dict) or not flags:
        raise ValueError(_unknown("degrade"))
    until = _clear_for(value["until"]) if "until" in value else None
    return Action(ActionKind.DEGRADE, flags=flags, until=until)  # the values are looked at where the baseline is known


def _clear_for(value: Any) -> timedelta:
    match = _CLEAR_FOR.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("until must say for how long its triggers are to be clear, like: clear for 10m")
    return _longer_than_nothing(match[1], "until", "write it like: clear for 10m")


def _longer_than_nothing(value: Any, key: str, remedy: str) -> timedelta:
    try:
        length = duration(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if not length:
        raise ValueError(f"{key}: must be longer than 0s; {remedy}")
    return length


_SCHEMA = {
    "anyOf": [
        {"enum": _PLAIN},
        {
            "type": "object",
            "properties": {"rollback": {"type": "string"}, "in": {"type": ["string", "integer"], "examples": ["30m"]}},
            "required": ["rollback"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "degrade": {"type": "object", "minProperties": 1, "additionalProperties": {"type": ["string", "number", "boolean", "array"]}},
                "until": {"type": "string", "pattern": "^clear for ", "examples": ["clear for 10m"]},
            },
            "required": ["degrade"],
            "additionalProperties": False,
        },
    ]
}

ActionPart = Annotated[Action, BeforeValidator(_action), WithJsonSchema(_SCHEMA)]
"""What a trigger leads to."""
