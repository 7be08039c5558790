"""What people, and checks outside Prometheus, owe a rollout: approvals and other requirements, steps to run, rehearsals, preflight, scorecard.

Lives here: nouns. Must not live here: the ladder (`model`), whether something is fulfilled (the judge), how a step is run (`transitions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.rules.measures import Condition


@dataclass(frozen=True, slots=True)
class Approvals:
    """Whose GO a promotion needs: that of `needed` different people, each in another of the `roles`, while it is no older than `expires`."""

    roles: tuple[str, ...]
    needed: int
    expires: timedelta

    def __str__(self) -> str:
        how = f"{self.needed} of {len(self.roles)}: " if self.needed < len(self.roles) else ""
        return how + ", ".join(self.roles)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Something that must be on record, by name; `within` is how old it may be, None: as old as the present stage.

    `good`: what its figures must be, by their names. Only what is read into figures can be asked for that.
    """

    name: str
    within: timedelta | None = None
    good: Mapping[str, Condition] = field(default_factory=dict)

    @property
    def how_good(self) -> str:
        """`stage == 10, overall_go == 1`; empty where nothing is asked of its figures."""
        return ", ".join(f"{name} {condition}" for name, condition in self.good.items())


@dataclass(frozen=True, slots=True)
class Requires:
    """What people and the world outside Prometheus must have said before a stage is climbed to.

    `config`: values that keys of the flag file must have before, and as long as the rollout is there; those of the stages below, overlaid.
    """

    approvals: Approvals | None = None
    checkpoints: tuple[str, ...] = ()
    evidence: tuple[Fresh, ...] = ()
    rehearsal: timedelta | None = None  # how old the last rehearsal that passed may be
    config: Mapping[str, FlagValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments; there is no shell. `env` is added to the daemon's own environment."""

    argv: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=60)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inbox:
    """A folder that evidence is laid into; its files are those whose names match the pattern `files`."""

    folder: str
    files: str


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A command that makes evidence, run `every` so often: what it prints, or the file `result` that it writes."""

    command: Command
    every: timedelta
    result: str = ""


@dataclass(frozen=True, slots=True)
class Followed:
    """A file that grows; its figures are those of its last lines, and never go on record as a file does."""

    path: str


@dataclass(frozen=True, slots=True)
class Declared:
    """Evidence that is read into figures: of which `kind`, with which `settings` of that kind, and how old it may be to tell anything.

    `read_as` identifies kind and settings: figures that others have made are not those that the rules speak of. `comes`: how it comes by itself;
    None where somebody hands it in. `per_stage`: it tells of the stage at which it was handed in, and of no other.
    """

    name: str
    kind: str
    settings: Any
    max_age: timedelta
    read_as: str
    comes: Inbox | Scheduled | Followed | None = None
    per_stage: bool = False


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """A GET that must be answered with 2xx; `expect` are values that its JSON must have at these pointers."""

    url: str
    expect: Mapping[str, FlagValue] = field(default_factory=dict)
    timeout: timedelta = timedelta(seconds=10)


Step = Command | HttpCheck
"""One thing that must succeed."""


class OnRaise(StrEnum):
    """What follows when somebody else raised the flags."""

    REVERT = "revert"
    ALERT = "alert"


class OnLower(StrEnum):
    """What follows when a person lowered the flags. To put them up again is no choice."""

    ADOPT = "adopt"
    ALERT = "alert"


class OnOther(StrEnum):
    """What follows when the flags are those of no stage."""

    ALERT = "alert"
    ROLLBACK = "rollback"  # to the baseline


@dataclass(frozen=True, slots=True)
class OnDrift:
    """What follows when somebody else changed the flags."""

    raised: OnRaise = OnRaise.REVERT
    lowered: OnLower = OnLower.ADOPT
    other: OnOther = OnOther.ALERT


@dataclass(frozen=True, slots=True)
class Rehearsing:
    """How a rollback is rehearsed: to which stage (None: the previous one), and what must succeed there before the way back up."""

    to: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Backups:
    """Files of which the newest must be no older than `within`. `pattern` is a glob."""

    pattern: str
    within: timedelta


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is looked at before day one, beside queries and flags. `disk_free` is a share (0-1) of the disks of flags and journal."""

    services: tuple[str, ...] = ()
    alert_rules: tuple[str, ...] = ()
    backups: tuple[Backups, ...] = ()
    disk_free: float = 0.2


CHECKS = ("soak", "flags", "config", "checkpoints", "approvals", "decision", "rehearsal", "evidence")
"""What the scorecard can count beside gates, by the names that the compliance report uses."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the scorecard: its points, shared equally by its checks, which are named as the compliance report names them."""

    name: str
    points: float
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scoring:
    """The scorecard: from `go` points on it is GO, from `monitor` on GO with monitoring, below NO-GO. Without parts, the usual ones."""

    parts: tuple[Part, ...] = ()
    go: float = 90
    monitor: float = 70
