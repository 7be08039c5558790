"""Evidence that is read into figures, and the signals that are such figures, from a rule file as written to what they mean.

Must not live here: single keys and their types (`schema_evidence`), reading a file (`evidence`), what counts (the judge).
"""

import hashlib
import json
from collections.abc import Mapping

from rollback_daemon.documents import Document, Step
from rollback_daemon.documents.complaints import did_you_mean
from rollback_daemon.durations import format_duration
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.lines import Settings
from rollback_daemon.rules.build_commands import command, placed
from rollback_daemon.rules.conditions import NO_LIMIT, OPS, Notes
from rollback_daemon.rules.duties import Declared, Followed, Inbox, Scheduled
from rollback_daemon.rules.measures import Condition, OnNoData, Op, Signal
from rollback_daemon.rules.schema_duties import EvidencePart, FigurePart
from rollback_daemon.rules.schema_evidence import FOLLOWED_KIND, DeclaredPart, not_followed
from rollback_daemon.rules.schema_measures import SignalPart
from rollback_daemon.rules.schema_sources import FollowedPart, InboxPart, ScheduledPart
from rollback_daemon.signals.questions import FollowedFigure

_OF_OTHERS = ("needs", "max_age", "baseline")
_UNITS = {"count": "", "percent": "%"}  # as limits are written; the other units of figures are those of limits


def declared(notes: Notes, document: Document, name: str, part: DeclaredPart) -> Declared:
    """One declaration; what is wrong with where it comes from is noted."""
    written = json.dumps(part.model_dump(mode="json", exclude={"max_age", "from_", "per_stage"}), sort_keys=True)
    read_as = f"{part.kind} {hashlib.sha256(written.encode()).hexdigest()[:16]}"
    if part.per_stage and isinstance(part.from_, FollowedPart):
        notes.say(("evidence", name, "per_stage"), "is about what is handed in, and a file that is followed always tells of now; leave it out")
    return Declared(name, part.kind, part, part.max_age, read_as, _comes(notes, document, ("evidence", name), part), part.per_stage)


def _comes(notes: Notes, document: Document, trail: tuple[Step, ...], part: DeclaredPart) -> Inbox | Scheduled | Followed | None:
    """How it comes by itself."""
    match part.from_:
        case None:
            return None
        case InboxPart(folder=folder, files=files):
            return Inbox(placed(document, folder), files)
        case FollowedPart(follow=path):
            if part.kind != FOLLOWED_KIND:
                notes.say((*trail, "from", "follow"), not_followed(part.kind))
            return Followed(placed(document, path))
        case ScheduledPart() as run:
            made = Scheduled(command(document, run.command, run.timeout, run.env), run.every, placed(document, run.result) if run.result else "")
            if run.timeout > run.every:
                text = f"is longer than every ({format_duration(run.every)}); a run has to end before the next one begins"
                notes.say((*trail, "from", "timeout"), text)
            if part.max_age < run.every:
                text = f"is shorter than every ({format_duration(run.every)}), so that between two runs nothing would be known; make it longer"
                notes.say((*trail, "max_age"), text)
            return made


def unit_of(kind: str, field: str) -> str:
    """The unit of a figure, as signals have it."""
    unit = KINDS[kind].figures[field].unit
    return _UNITS.get(unit, unit)


def figure(notes: Notes, name: str, part: SignalPart, known: Mapping[str, Declared] | None) -> Signal:
    """The signal that is a figure of evidence; what is wrong with it is noted. `known` is None where the declarations could not be read."""
    trail: tuple[Step, ...] = ("signals", name)
    for key in _OF_OTHERS:
        if getattr(part, key) is not None:
            hint = "; how old it may be is said under evidence" if key == "max_age" else ""
            notes.say((*trail, key), f"is about a query, and a signal that is a figure of evidence asks none{hint}")
    asked, unit = part.evidence or "", part.unit
    source = None if known is None else known.get(asked)
    if known is not None and source is None:
        notes.say((*trail, "evidence"), f'unknown evidence "{asked}"; {did_you_mean(asked, known, "there is none; add it under evidence")}')
    figures = KINDS[source.kind].figures if source else {}
    if part.field is None:
        notes.say(trail, "needs the field of the evidence that it is" + (f": one of {', '.join(figures)}" if figures else ""))
    elif source and part.field not in figures:
        notes.say((*trail, "field"), f'the kind {source.kind} has no field "{part.field}"; {did_you_mean(part.field, figures)}')
    elif source and not unit:
        unit = unit_of(source.kind, part.field)
    followed = _followed(notes, (*trail, "field"), source, part.field) if source and part.field and part.field in figures else ""
    return Signal(name, "", unit, OnNoData(part.no_data), evidence=asked, figure=part.field or "", followed=followed)


def _followed(notes: Notes, trail: tuple[Step, ...], source: Declared, figure: str) -> str:
    """The question for the figure, where it is one of a file that is followed."""
    if not isinstance(source.comes, Followed):
        return ""
    if figure == "lines":
        notes.say(trail, "is of a file that is read as a whole, and this one is followed; its figures are value and samples")
    written = source.settings.model_dump(mode="json", include=set(Settings.model_fields)) | {"window": format_duration(source.settings.window)}
    return FollowedFigure(source.comes.path, figure, source.max_age.total_seconds(), written).question()


def good(notes: Notes, part: EvidencePart, known: Mapping[str, Declared] | None, trail: tuple[Step, ...]) -> dict[str, Condition]:
    """What the figures of required evidence must be; what is wrong with it is noted. `known` as above."""
    source = (known or {}).get(part.evidence)
    if part.within is None and not part.figures:
        notes.say(trail, f"needs within or figures; for one that was made since the stage began, write the name alone: {part.evidence}")
    if part.figures and known is not None and source is None:
        text = f'no figures are read of "{part.evidence}", which is not declared; {did_you_mean(part.evidence, known, "add it under evidence")}'
        notes.say((*trail, "figures"), text)
    if source is None:
        return {}
    asked, wanted = KINDS[source.kind].figures, dict[str, Condition]()
    for name, limit in part.figures.items():
        place = (*trail, "figures", name)
        if name not in asked:
            notes.say(place, f'the kind {source.kind} has no field "{name}"; {did_you_mean(name, asked)}')
            continue
        unit = unit_of(source.kind, name)
        if not isinstance(limit, FigurePart):
            wanted[name] = Condition(Op.EQUAL, notes.number(limit, unit, place))
        elif condition := notes.condition(limit, OPS, unit, place):
            wanted[name] = condition
        else:
            notes.say(place, NO_LIMIT)
    return wanted
