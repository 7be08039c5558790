"""How it is written how long a trigger may go without sight: `errors` and `no_data`.

Lives here: single keys and their types. Must not live here: what takes two keys of a trigger to be told (`build_triggers`).
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from rollback_daemon.rules.model import ActionKind
from rollback_daemon.schema import Interval, Part

_THEN = [ActionKind.HOLD.value, ActionKind.ROLLBACK.value, ActionKind.ALERT.value]
_WORD, _BUDGET = "no_data in a word", "no_data for a time"


def _then(value: Any) -> ActionKind:
    if not isinstance(value, str) or value not in _THEN:
        given = f', not "{value}"' if isinstance(value, str) else ""
        raise ValueError(f'must be "hold", "rollback" (to where the trigger\'s own action goes, else to the previous stage) or "alert"{given}')
    return ActionKind(value)


Then = Annotated[ActionKind, BeforeValidator(_then), WithJsonSchema({"enum": _THEN})]


class ErrorsPart(Part):
    """How many evaluations in a row may have a failed query, and what follows after one more."""

    model_config = ConfigDict(title="errors", json_schema_extra={"examples": [{"at_most": 5, "then": "hold"}]})
    at_most: int = Field(ge=0, le=10_000)
    then: Then


class NoDataPart(Part):
    """For how long there may be no data, and what follows then."""

    model_config = ConfigDict(title="no_data", json_schema_extra={"examples": [{"for": "10m", "then": "hold"}]})
    for_: Interval = Field(alias="for")
    then: Then


def _counts_as(value: Any) -> Any:
    if value == "breach":
        raise ValueError(
            "lack of data that counts as a breach is followed by the action of the trigger, after its own for; write no_data: breach alone"
        )
    return value


class CountedNoDataPart(NoDataPart):
    """For how long there may be no data, what follows then, and what it counts as meanwhile."""

    model_config = ConfigDict(title=_BUDGET)
    counts_as: Annotated[Literal["hold", "ignore", "drop"] | None, BeforeValidator(_counts_as)] = None


NoData = Annotated[
    Annotated[Literal["hold", "breach", "ignore", "drop"], Tag(_WORD)] | Annotated[CountedNoDataPart, Tag(_BUDGET)],
    Discriminator(lambda value: _BUDGET if isinstance(value, (dict, CountedNoDataPart)) else _WORD),
]
"""What lack of data counts as, for how long there may be none, or both."""
