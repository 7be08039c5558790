"""Every rollout in a line: what the home page shows, and which lines have changed since somebody looked last.

A line is made anew when its rollout has been judged or something happened to it, and counts as changed when it looks different: a thousand rollouts
in which little happens cost little. Lives here: the lines. Must not live here: routes, facts (`views`, `attention`, `headroom`).
"""

import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback_daemon.durations import format_duration
from rollback_daemon.faces import attention, headroom, views
from rollback_daemon.faces.attention import Need, Urgency
from rollback_daemon.faces.headroom import Headroom
from rollback_daemon.faces.page.urls import Urls
from rollback_daemon.judge.reasons import Code
from rollback_daemon.watch import Watch

if TYPE_CHECKING:
    from jinja2 import Environment

_LATE = timedelta(seconds=30)
_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Rung:
    """A stage in the ladder. `place`: `done`, `here`, `next` or `ahead`."""

    name: str
    exposure: float
    place: str


@dataclass(frozen=True, slots=True)
class Row:
    """One rollout as a line. `armed`: whether any trigger may act where it stands, of which `headroom` is the least that is known."""

    name: str
    owner: str
    labels: tuple[str, ...]
    observed: bool
    phase: str
    stage: str
    rungs: tuple[Rung, ...]
    exposure: float | None
    since: str | None
    needs: tuple[Need, ...]
    headroom: Headroom | None
    armed: bool
    next: str

    @property
    def urgency(self) -> Urgency:
        """That of what is most pressing."""
        return min((one.urgency for one in self.needs), default=Urgency.NONE)

    @property
    def asks(self) -> bool:
        """Whether it needs a person."""
        return self.urgency <= Urgency.ASKED

    def matches(self, text: str, phase: str) -> bool:
        """Whether it has all of these words, and is in that phase (`needs`: whether it needs a person)."""
        if phase and phase != self.phase and not (phase == "needs" and self.asks):
            return False
        said = " ".join([self.name, self.owner, *self.labels, self.stage, self.phase, self.next, *(f"{one.word} {one.text}" for one in self.needs)])
        return all(word in said.lower() for word in text.lower().split())


def ladder(watch: Watch) -> tuple[Rung, ...]:
    """The rungs, from the bottom."""
    position = watch.state.position
    stage = watch.rollout.stage(position.stage) if position else None
    here = stage.number if stage else -1
    places = {here: "here", here + 1: "next"}
    return tuple(Rung(one.name, one.exposure, places.get(one.number, "done" if one.number < here else "ahead")) for one in watch.rollout.stages)


def row(watch: Watch, now: datetime) -> Row:
    """The line of one rollout."""
    rollout, judgement, told = watch.rollout, watch.judgement, views.summary(watch)
    needs = attention.needs(rollout, watch.state, judgement)
    if judgement is not None and is_late(watch, now):
        late = Need(Urgency.CRITICAL, "not evaluated", f"nothing has been evaluated since {judgement.at:%H:%M:%S}Z", judgement.at)
        needs = (late, *needs)
    return Row(
        rollout.name,
        rollout.owner,
        tuple(f"{name}={value}" for name, value in rollout.labels.items()),
        not rollout.enforce,
        told["phase"] or "",
        told["stage"] or "",
        ladder(watch),
        told["exposure"],
        told["since"],
        needs,
        headroom.worst(judgement.triggers) if judgement else None,
        any(one.armed for one in judgement.triggers) if judgement else False,
        steady(watch, told["next"]),
    )


def steady(watch: Watch, text: str) -> str:
    """What comes next, with the time at which a wait is over in the place of what is left of it, which would be another in every evaluation."""
    rollout, state, judgement = watch.rollout, watch.state, watch.judgement
    stage = rollout.stage(state.position.stage) if state.position else None
    for one in judgement.blockers if judgement else ():
        if one.code is Code.SOAK and judgement and stage:
            over = judgement.at + stage.soak - state.soaked
            text = text.replace(one.sentence, f'it soaks for {format_duration(stage.soak)} at "{stage.name}", until {_about(over)}')
        elif one.code is Code.COOLDOWN and rollout.aftercare.cooldown and state.aftermath.last:
            text = text.replace(one.sentence, f"no promotion before {_about(state.aftermath.last + rollout.aftercare.cooldown)}")
    return text


def _about(at: datetime) -> str:
    """To the minute, so that it stays the same while time passes."""
    whole = at + timedelta(seconds=30)
    return f"{whole.day} {whole:%b %H:%M}Z"


def is_late(watch: Watch, now: datetime) -> bool:
    """Whether its evaluation is overdue by more than what a busy machine explains."""
    return watch.judgement is not None and now - watch.judgement.at > max(_LATE, _INTERVALS * watch.rollout.interval)


@dataclass(slots=True)
class _Line:
    """What is kept of a rollout: of which state it was made, and when (in versions) it looked different last."""

    of: tuple[object, ...]
    row: Row
    html: str
    version: int


class Board:
    """All lines, as they were when somebody looked last. Thread-safe."""

    def __init__(self, templates: "Environment") -> None:
        self._template = templates.get_template("row.html.j2")
        self._lock = threading.Lock()
        self._epoch = secrets.token_hex(4)
        self._version, self._changed = 0, False
        self._lines: dict[str, _Line] = {}
        self._gone: dict[str, int] = {}
        self._prefix: str | None = None

    def look(self, watches: Sequence[Watch], urls: Urls, now: datetime) -> "Lines":
        """The lines as they are now."""
        with self._lock:
            if urls.prefix != self._prefix:  # the links are others
                self._lines, self._gone, self._prefix = {}, {}, urls.prefix
                self._epoch = secrets.token_hex(4)
            for watch in watches:
                self._take(watch, urls, now)
            self._forget({watch.rollout.name for watch in watches})
            self._version += self._changed
            self._changed = False
            every = sorted(self._lines.values(), key=lambda one: (one.row.urgency, one.row.name))
            return Lines(f"{self._epoch}.{self._version}", tuple((one.row, one.html, one.version) for one in every), dict(self._gone), _seen(watches))

    def _take(self, watch: Watch, urls: Urls, now: datetime) -> None:
        name, known = watch.rollout.name, self._lines.get(watch.rollout.name)
        of = (watch.rollout, watch.state, watch.judgement, is_late(watch, now))
        if known is not None and all(one is other for one, other in zip(known.of, of, strict=True)):
            return
        made = row(watch, now)
        if known is not None and known.row == made:
            known.of = of
            return
        html = self._template.render(row=made, url=urls)
        if known is not None and known.html == html:
            known.of, known.row = of, made
            return
        self._lines[name] = _Line(of, made, html, self._version + 1)
        self._changed = True

    def _forget(self, names: set[str]) -> None:
        for name in self._lines.keys() - names:
            del self._lines[name]
            self._gone[name] = self._version + 1
            self._changed = True
        self._gone = {name: version for name, version in self._gone.items() if name not in names}


def _seen(watches: Iterable[Watch]) -> str | None:
    """When the last evaluation was."""
    return views.time_of(max((watch.judgement.at for watch in watches if watch.judgement), default=None))


@dataclass(frozen=True, slots=True)
class Lines:
    """What the home page shows. `have` names this state of it."""

    have: str
    lines: tuple[tuple[Row, str, int], ...]
    gone: Mapping[str, int]
    evaluated: str | None

    @property
    def rows(self) -> list[Row]:
        """The lines' facts, the most pressing first."""
        return [one for one, _, _ in self.lines]

    def since(self, have: str) -> dict[str, Any] | None:
        """What has changed since that state: lines by name with their order, and names that are gone; None where that state is not known."""
        epoch, _, number = have.partition(".")
        if epoch != self.have.partition(".")[0] or not (number.isascii() and number.isdigit() and len(number) < 12):
            return None
        version = int(number)
        changed = {one.name: [int(one.urgency), html] for one, html, changed in self.lines if changed > version}
        return {"rows": changed, "gone": [name for name, at in self.gone.items() if at > version]}
