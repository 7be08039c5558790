"""How evidence that is read into figures is written: its kind, what the rules may say to that kind, and how old it may be.

Must not live here: the kinds themselves (`evidence`), what is required of a stage (`schema_duties`).
"""

import functools
import operator
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, ValidationError, create_model
from pydantic_core import InitErrorDetails

from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.kind import Kind
from rollback_daemon.rules.schema_sources import SourcePart
from rollback_daemon.schema import Interval, Part

FOLLOWED_KIND = "jsonl"
"""What a file that is followed is read as."""


class DeclaredPart(Part):
    """What every kind has."""

    kind: str
    max_age: Interval
    per_stage: bool = False
    from_: SourcePart | None = Field(default=None, alias="from")


def _tag(name: str) -> str:
    return f"{name} evidence"


def not_followed(kind: str) -> str:
    """What is said of a kind that cannot be followed."""
    return f"only what grows line by line can be followed, and {kind} is read as a whole; use folder, or command"


def _of_kind(name: str, kind: Kind) -> type[BaseModel]:
    """The kind's own settings, beside what every kind has."""
    title = f"{name.title().replace('_', '')}EvidencePart"
    form: dict[str, Any] = {
        "kind": (Annotated[str, Field(json_schema_extra={"const": name})], ...),
        "max_age": (Interval, ...),
        "per_stage": (bool, False),
        "from_": (SourcePart | None, Field(default=None, alias="from")),
    }
    return create_model(title, __base__=kind.settings, __cls_kwargs__={"title": _tag(name)}, __doc__=kind.summary, **form)


_PARTS = {name: _of_kind(name, kind) for name, kind in KINDS.items()}
_SETTINGS = {name: set(kind.settings.model_fields) for name, kind in KINDS.items()}
_OF_ANY = set[str]().union(*_SETTINGS.values())


def _known(value: Any) -> Any:
    """The kind is told before anything is validated, so that a wrong one is one mistake, and hides no other."""
    if not isinstance(value, dict):
        return value
    kind = value.get("kind")
    known = isinstance(kind, str) and kind in KINDS
    wrong = [*_of_another(str(kind), value)] if known else [_mistake((), value, _unknown(kind))]
    if not wrong:
        return value
    foreign = _OF_ANY - _SETTINGS[str(kind)] if known else _OF_ANY
    rest = {key: one for key, one in value.items() if key not in foreign} | ({} if known else {"kind": ""})
    try:
        (_PARTS[str(kind)] if known else DeclaredPart).model_validate(rest)
    except ValidationError as error:
        wrong += [
            InitErrorDetails(type=one["type"], loc=one["loc"], input=one["input"], ctx=one.get("ctx", {})) for one in error.errors(include_url=False)
        ]
    raise ValidationError.from_exception_data("evidence", wrong)


def _mistake(place: tuple[int | str, ...], value: Any, text: str) -> InitErrorDetails:
    return InitErrorDetails(type="value_error", loc=place, input=value, ctx={"error": ValueError(text)})


def _unknown(kind: Any) -> str:
    if kind is None:
        return f"does not say of which kind it is; add kind: one of {', '.join(KINDS)}"
    return f'unknown kind "{kind}"; {did_you_mean(str(kind), KINDS)}'


def _of_another(kind: str, value: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    """What only another kind has: most likely the kind is wrong, and not each of the keys."""
    foreign = [key for key in value if key in _OF_ANY - _SETTINGS[kind]]
    if foreign:
        owners = [name for name, own in _SETTINGS.items() if own.issuperset(foreign)]
        whose = f"of {' and '.join(owners)}" if owners else "of other kinds"
        text = f"the kind {kind} has no {', '.join(foreign)}, which {'are' if len(foreign) > 1 else 'is'} {whose}; give the kind that is meant"
        yield _mistake(("kind",), kind, text)
    source = value.get("from")
    if foreign and isinstance(source, dict) and "follow" in source and kind != FOLLOWED_KIND:  # where nothing else is wrong, the builder says so
        yield _mistake(("from", "follow"), source["follow"], not_followed(kind))


def _discriminated(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return _tag(str(kind) if kind in KINDS else next(iter(KINDS)))


if TYPE_CHECKING:
    Declaration = DeclaredPart  # with the settings of which kind, the registry knows
else:
    Declaration = Annotated[
        functools.reduce(operator.or_, [Annotated[part, Tag(_tag(name))] for name, part in _PARTS.items()]),
        Discriminator(_discriminated),
        BeforeValidator(_known),
    ]
