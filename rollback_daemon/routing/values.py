"""A flag's value in the type that an application asks for.

Lives here: which value counts as which type. Pure. Must not live here: OpenFeature's details, files.
"""

import math
from enum import Enum
from typing import Any

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Kind(Enum):
    """The types of OpenFeature."""

    BOOLEAN = "true or false"
    STRING = "text"
    INTEGER = "a whole number"
    FLOAT = "a number"
    OBJECT = "a list"


def read_as(kind: Kind, value: Any, *, lenient: bool = False) -> Any:
    """`value` as that type. Types count, as in the file; an integer is its own float. `lenient`: text is read as what it says, as in a dotenv file.

    Raises TypeError, in words without the value.
    """
    found = _exactly(kind, value)
    if found is None and lenient and isinstance(value, str):
        found = _said(kind, value)
    if found is None:
        raise TypeError(f"is not {kind.value}")
    return found


def _exactly(kind: Kind, value: Any) -> Any:
    match kind, value:
        case (Kind.BOOLEAN, bool()) | (Kind.STRING, str()):
            return value
        case (Kind.INTEGER | Kind.FLOAT, int() | float()) if not isinstance(value, bool):
            return _number(kind, value)
        case Kind.OBJECT, list() | tuple():
            return list(value)
    return None


def _number(kind: Kind, value: float) -> float | None:
    if kind is Kind.FLOAT:
        return float(value)
    return int(value) if math.isfinite(value) and value == int(value) else None


def _said(kind: Kind, text: str) -> Any:
    if kind is Kind.BOOLEAN:
        return _WORDS.get(text.strip().lower())
    try:
        number = int(text) if kind is Kind.INTEGER else float(text)
    except ValueError:
        return None
    return number if kind in {Kind.INTEGER, Kind.FLOAT} and math.isfinite(number) else None
