"""One file as it was read: its values, where each stands, and what is wrong with it.

Lives here: reading a file, and problems with their places. Must not live here: YAML itself (`yaml_nodes`), pydantic's words (`complaints`),
what any key means.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rollback_daemon.documents.complaints import Complaint, complaints
from rollback_daemon.documents.yaml_nodes import NotYaml, Place, Step, Trail, Values, read_each, read_values
from rollback_daemon.errors import ConfigurationError, Problem

_MOST_BYTES = 4_000_000  # the largest that are published have a tenth of that, and YAML is read slowly
_PLAIN = re.compile(r"[\w-]+")
T = TypeVar("T", bound=BaseModel)


@dataclass(slots=True)
class Document:
    """One file: its values, where each stands, and what was wrong with it as YAML. `digest` identifies the text (SHA-256)."""

    file: str
    value: Any = None
    places: dict[Trail, Place] = field(default_factory=dict)
    keys: dict[Trail, Place] = field(default_factory=dict)
    ambiguous: dict[Trail, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[Trail] = field(default_factory=set)
    digest: str = ""

    def problem(self, trail: Iterable[Step], text: str, *, key: bool = False) -> Problem:
        """A problem at the value (or its key) that `trail` leads to, or at the nearest place above it."""
        path: Trail = tuple(trail)
        known = self.keys if key and path in self.keys else self.places
        place = path
        while place and place not in known:
            place = place[:-1]
        line, column = known.get(place, (0, 0))
        return Problem(self.file, line, column, path_of(path), text)

    def reject_if(self, problems: list[Problem]) -> None:
        """Raise ConfigurationError with the document's own problems and these, if there are any."""
        if everything := [*self.problems, *problems]:
            raise ConfigurationError(everything)


def read(file: str | Path) -> Document:
    """Read a YAML file. Raises ConfigurationError for one that cannot be read, is too large or is no YAML; lesser mistakes are in `problems`."""
    return parse(_text(file), str(file))


def read_all(file: str | Path) -> list[Document]:
    """Read a file of several YAML documents, empty ones left out; otherwise as `read`."""
    text = _text(file)
    try:
        return [_document(read, text, str(file)) for read in read_each(text)]
    except NotYaml as error:
        raise ConfigurationError([Problem(str(file), *error.place, "", str(error))]) from error


def parse(text: str, file: str) -> Document:
    """Parse YAML text as `read` does; `file` is only a name for the messages."""
    try:
        return _document(read_values(text), text, file)
    except NotYaml as error:
        raise ConfigurationError([Problem(file, *error.place, "", str(error))]) from error


def _text(file: str | Path) -> str:
    try:
        if Path(file).is_fifo():  # reading it could wait for ever
            raise ConfigurationError([Problem(str(file), 0, 0, "", "cannot be read: is a pipe")])
        with Path(file).open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1)  # its size is not asked for: a device has none, and no end either
        if len(text) > _MOST_BYTES:
            raise ConfigurationError([Problem(str(file), 0, 0, "", f"is larger than {_MOST_BYTES // 10**6} MB; split it")])
        return text.decode("utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigurationError([Problem(str(file), 0, 0, "", f"cannot be read: {reason}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([Problem(str(file), 0, 0, "", f"is not UTF-8 at byte {error.start}; save it as UTF-8")]) from error


def _document(read: Values, text: str, file: str) -> Document:
    problems = [Problem(file, *mistake.place, path_of(mistake.trail), mistake.text) for mistake in read.mistakes]
    broken = {mistake.trail for mistake in read.mistakes if mistake.broken}
    return Document(file, read.value, read.places, read.keys, read.ambiguous, problems, broken, hashlib.sha256(text.encode()).hexdigest())


def validate(document: Document, schema: type[T], unsaid: Collection[str] = ()) -> tuple[T | None, list[Problem]]:
    """The document as `schema`, or every reason why it is not, each at its place. No reason repeats what stands under one of the keys `unsaid`."""
    written, found = examine(document, schema, unsaid)
    return written, [document.problem(one.trail, one.text, key=one.at_key) for one in found]


def examine(document: Document, schema: type[T], unsaid: Collection[str] = ()) -> tuple[T | None, list[Complaint]]:
    """As `validate`, with trails where that has places. Nothing is said of a value that could not even be read as YAML."""
    if not isinstance(document.value, dict):
        text = "is empty; see `rollbackd schema`" if document.value is None else "must be a mapping of keys to values"
        return None, [] if () in document.broken else [Complaint((), text)]
    try:
        return schema.model_validate(document.value), []
    except ValidationError as error:
        return None, [one for one in complaints(schema, document.value, error, unsaid) if one.trail not in document.broken]


def path_of(trail: Iterable[Step]) -> str:
    """A trail as people read it: `triggers[2].for`, `baseline["/checkout/v2"]`."""
    return "".join(map(_step, trail)).removeprefix(".")


def _step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN.fullmatch(step) else f'["{step}"]'
