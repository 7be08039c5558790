"""How an act of a test is written: `{at: 10m, promote: "as agreed", by: ann, refused: [soak]}`.

Lives here: the forms. Must not live here: what an act asks of the judge (`acts`).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from rollback_daemon.rules.schema import Flag
from rollback_daemon.schema import Duration, Limit, Part, Text

DEEDS = (
    "promote",
    "rollback",
    "hold",
    "resume",
    "restore",
    "rehearse",
    "propose",
    "vote",
    "withdraw",
    "resolve",
    "checkpoint",
    "evidence",
    "break_glass",
    "acknowledge",
    "cancel",
    "postmortem",
    "flags",
)
"""Everything that somebody may do in a test."""

Decision = Literal["GO", "NO-GO"]
UNSAID = "as the test says"


class RollbackTo(Part):
    """A rollback to a named stage, or to the one before."""

    to: str | None = None
    reason: Text = UNSAID


class VotePart(Part):
    """A vote on the proposal that stands."""

    decision: Decision
    role: str | None = None
    reason: Text = UNSAID
    conditions: list[Text] = []


class ResolvePart(Part):
    """Somebody's NO-GO is resolved on record."""

    of: Text
    reason: Text = UNSAID


class CheckpointPart(Part):
    """A checkpoint with its decision."""

    checkpoint: Text
    decision: Decision = "GO"
    reason: Text = UNSAID


class EvidencePart(Part):
    """A file that is handed in; its text is only a digest.

    `figures`: what the file comes to, for evidence that the rules declare; it is made at that time.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"evidence": "tests", "figures": {"pass_rate": "97%"}}]})
    evidence: Text
    file: Text = "result.txt"
    figures: dict[Text, Limit] | None = None
    reason: Text = UNSAID


class AlertPart(Part):
    """The alert that it is about."""

    alert: Text | None = None
    reason: Text = UNSAID


class PostmortemPart(Part):
    """Fields of the report that a person writes, and that it is complete."""

    root_cause: Text | None = None
    users_affected: Text | None = None
    fix_plan: Text | None = None
    issues: Text | None = None
    follow_up: Text | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Short:
    """A form that is also written as a text alone, which is what it has under `name`."""

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self._full, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}

    def _full(self, value: Any) -> Any:
        return {self.name: value} if isinstance(value, str) else value


class Act(Part):
    """One thing that somebody does at a time, right after the evaluation of that time. `refused`: that it may not be done, and the codes of why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"at": "10m", "promote": "as agreed"}]})
    at: Duration
    by: Text = "somebody"
    refused: list[Text] | None = None
    promote: Text | None = None
    rollback: Annotated[RollbackTo, Short("reason")] | None = None
    hold: Text | None = None
    resume: Text | None = None
    restore: Text | None = None
    rehearse: Text | None = None
    propose: Text | None = None
    vote: Annotated[VotePart, Short("decision")] | None = None
    withdraw: Text | None = None
    resolve: ResolvePart | None = None
    checkpoint: Annotated[CheckpointPart, Short("checkpoint")] | None = None
    evidence: Annotated[EvidencePart, Short("evidence")] | None = None
    break_glass: Text | None = None
    acknowledge: Annotated[AlertPart, Short("alert")] | None = None
    cancel: Annotated[AlertPart, Short("reason")] | None = None
    postmortem: PostmortemPart | None = None
    flags: dict[Text, Flag] | None = None

    @model_validator(mode="after")
    def _one_deed(self) -> Self:
        given = [name for name in DEEDS if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"{' and '.join(given)} at once" if given else "nothing"
            raise ValueError(f"does {what}; give one of {', '.join(DEEDS)}")
        if self.acknowledge and self.acknowledge.alert is None:
            raise ValueError('"acknowledge" needs the alert: {alert: NAME, reason: ...}')
        if self.flags is not None and self.refused is not None:
            raise ValueError("nobody can refuse that somebody changes flags; leave refused out")
        return self

    @property
    def deed(self) -> str:
        """Which of the deeds it is."""
        return next(name for name in DEEDS if getattr(self, name) is not None)
