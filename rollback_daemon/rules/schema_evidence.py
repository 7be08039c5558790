"""How evidence that is read into figures is written: its kind, what the rules may say to that kind, and how old it may be.

Must not live here: the kinds themselves (`evidence`), what is required of a stage (`schema_duties`).
"""

import functools
import operator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, create_model

from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.kind import Kind
from rollback_daemon.rules.schema_sources import SourcePart
from rollback_daemon.schema import Interval, Part


class DeclaredPart(Part):
    """What every kind has."""

    kind: str
    max_age: Interval
    per_stage: bool = False
    from_: SourcePart | None = Field(default=None, alias="from")


def _tag(name: str) -> str:
    return f"{name} evidence"


def _of_kind(name: str, kind: Kind) -> Any:
    """The kind's own settings, beside what every kind has."""
    title = f"{name.title().replace('_', '')}EvidencePart"
    form: dict[str, Any] = {
        "kind": (Annotated[str, Field(json_schema_extra={"const": name})], ...),
        "max_age": (Interval, ...),
        "per_stage": (bool, False),
        "from_": (SourcePart | None, Field(default=None, alias="from")),
    }
    part = create_model(title, __base__=kind.settings, __cls_kwargs__={"title": _tag(name)}, __doc__=kind.summary, **form)
    return Annotated[part, Tag(_tag(name))]


def _known(value: Any) -> Any:
    """The kind is told before anything is validated, so that a misspelt one is one mistake."""
    if not isinstance(value, dict):
        return value
    kind = value.get("kind")
    if kind is None:
        raise ValueError(f"does not say of which kind it is; add kind: one of {', '.join(KINDS)}")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f'unknown kind "{kind}"; {did_you_mean(str(kind), KINDS)}')
    return value


def _discriminated(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return _tag(str(kind) if kind in KINDS else next(iter(KINDS)))


if TYPE_CHECKING:
    Declaration = DeclaredPart  # with the settings of which kind, the registry knows
else:
    Declaration = Annotated[
        functools.reduce(operator.or_, [_of_kind(*one) for one in KINDS.items()]),
        Discriminator(_discriminated),
        BeforeValidator(_known),
    ]
