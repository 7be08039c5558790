"""What a journal must tell, however often its daemon was killed. Pure: records in, faults out.

Lives here: the rules. Must not live here: files, processes, chance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from rollback_daemon.errors import IllegalTransition
from rollback_daemon.journal.journal import Record
from rollback_daemon.judge.position import Position, fold
from rollback_daemon.judge.transitions import APART, Event, Kind
from tests.crashes.ladder import STAGES

_OF_TRANSITION = {Event.INTENDED, Event.APPLIED, Event.RAN, Event.DONE, Event.ABANDONED, Event.ATTEMPTED}


@dataclass(slots=True)
class Story:
    """One transition as the journal tells it. `entry` identifies the stay at the stage from which it was decided."""

    intended: Record
    entry: str
    ends: list[str] = field(default_factory=list)
    applied: list[Mapping[str, Any]] = field(default_factory=list)
    ran_well: bool = False

    @property
    def id(self) -> str:
        return str(self.intended.body["id"])

    @property
    def kind(self) -> str:
        return str(self.intended.body["kind"])

    @property
    def rise(self) -> int:
        """How many stages up; negative for down."""
        return STAGES.index(self.intended.body["to"]) - STAGES.index(self.intended.body["from"])


@dataclass(slots=True)
class Told:
    """A whole journal: its transitions, where it says that the rollout is, and what is wrong with it."""

    stories: list[Story] = field(default_factory=list)
    position: Position | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def open(self) -> Story | None:
        """The transition that has no end yet."""
        return self.stories[-1] if self.stories and not self.stories[-1].ends else None

    @property
    def overtaken(self) -> Iterator[str]:
        """Where the transitions led that the open one overtook: a kill right then finds the flags there."""
        for story in reversed(self.stories[:-1]):
            if "overtaken" not in story.ends:
                return
            yield str(story.intended.body["to"])


def tell(records: Iterable[Record]) -> Told:
    """Read a journal from its beginning. Each record must follow from those before it."""
    told = Told()
    stories: dict[str, Story] = {}
    checks: list[Record] = []
    for record in records:
        event = Event(record.kind)
        if event in APART:
            continue
        if event is Event.CHECKED:
            checks.append(record)
        if event is Event.INTENDED:
            _begin(told, stories, record)
        try:
            told.position = fold(told.position, event, record.body, record.at)
        except (IllegalTransition, ValueError) as error:
            told.faults.append(f"record {record.seq}: {error}")
        if event in _OF_TRANSITION and event is not Event.INTENDED:
            told.faults += _go_on(stories, record, event)
    told.faults += [fault for story in told.stories for fault in _judge(story, last=story is told.stories[-1])]
    told.faults += [*_repeated(told.stories), *_checked(checks)]
    return told


def _checked(checks: Iterable[Record]) -> Iterator[str]:
    """A step of a verification that has passed is not run again, and each follows the one before."""
    passed: dict[str, int] = {}
    for record in checks:
        identity, number = record.body["id"], record.body["number"]
        if number != passed.get(identity, 0):
            yield f"record {record.seq}: step {number} of the verification of {identity}, of which {passed.get(identity, 0)} have passed"
        if record.body["outcome"] == "pass":
            passed[identity] = number + 1


def unexplained_rises(seen: Sequence[tuple[datetime, str]], stories: Sequence[Story]) -> Iterator[str]:
    """Every rise that was seen in the flag file must be a promotion on record, and each promotion explains one rise."""
    promotions = [story.intended for story in stories if story.kind == Kind.PROMOTE]
    for (_, before), (at, after) in pairwise(seen):
        if STAGES.index(after) <= STAGES.index(before):
            continue
        explained = next((one for one in reversed(promotions) if one.body["to"] == after and one.at <= at), None)
        if explained is None:
            yield f'the flags rose from "{before}" to "{after}" at {at.isoformat()}, and no promotion on record says so'
        else:
            promotions.remove(explained)


def _begin(told: Told, stories: dict[str, Story], record: Record) -> None:
    if told.open:
        told.open.ends.append("overtaken")
    if record.body["id"] in stories:
        told.faults.append(f"record {record.seq}: {record.body['id']} is intended a second time")
    entered = told.position.entered.isoformat() if told.position else ""
    story = Story(record, f"{record.body['from']} since {entered}")
    stories[story.id] = story
    told.stories.append(story)


def _go_on(stories: Mapping[str, Story], record: Record, event: Event) -> Iterator[str]:
    story = stories.get(record.body["id"])
    if story is None:
        yield f"record {record.seq}: {record.kind} of {record.body['id']}, which was never intended"
        return
    if story.ends:
        yield f"record {record.seq}: {record.kind} of {story.id} after its end ({story.ends[0]})"
    match event:
        case Event.APPLIED:
            story.applied.append(record.body)
        case Event.RAN:
            story.ran_well = not record.body["error"]
        case Event.DONE | Event.ABANDONED:
            story.ends.append(event)


def _judge(story: Story, *, last: bool) -> Iterator[str]:
    """One transition: one end, one write, one direction, and the command run after the write."""
    if len(story.ends) != 1 and not (last and not story.ends):
        yield f"{story.id}: {len(story.ends)} ends: {', '.join(story.ends)}"
    if len(story.applied) > 1:
        yield f"{story.id}: its flags were written {len(story.applied)} times"
    if story.kind == Kind.PROMOTE and story.rise != 1:
        yield f"{story.id}: a promotion by {story.rise} stages"
    if story.kind == Kind.ROLLBACK and story.rise > 0:
        yield f"{story.id}: a rollback that raises"
    if story.ends[:1] == [Event.DONE] and story.applied and not story.ran_well:
        yield f"{story.id}: done, but its command did not run"


def _repeated(stories: Sequence[Story]) -> Iterator[str]:
    """An activation acts once at a stage; a second time only to go further down, together with others."""
    acted: dict[tuple[str, str], Story] = {}
    for story in stories:
        for activation in story.intended.body.get("activations", []):
            key = (story.entry, activation)
            before = acted.get(key)
            if before is not None and before.rise <= story.rise:
                yield f"{story.id}: {activation} had already led to {before.id}"
            acted[key] = story
