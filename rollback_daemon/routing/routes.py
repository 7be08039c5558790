"""Which side of a rollout serves a request: the declaration, and the decision.

Lives here: what the flags mean, which key is bucketed, what is told beside the answer. Pure. Must not live here: files, OpenFeature, arithmetic of
buckets. On its own nobody is exposed: what cannot be decided is an error, and the application's default counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from rollback_daemon.flags.store import FlagValue
from rollback_daemon.routing.buckets import BUCKETS, PER_PERCENT, bucket_of, threshold_of

CONTROL, EXPERIMENT = "control", "experiment"
TARGETING_KEY = "targetingKey"
"""Among `Routing.keys`: the targeting key of OpenFeature's evaluation context; every other name is one of its attributes."""

Answer = str | bool | int | float
Metadata = dict[str, Answer]


class Mode(Enum):
    """What a value of the deciding flag means."""

    CONTROL = "control"
    """All are served by the control."""
    SHADOW = "shadow"
    """All are served by the control; the experiment is to be asked, too, and its answer not served."""
    SPLIT = "split"
    """The bucket decides."""
    EXPERIMENT = "experiment"
    """All are served by the experiment."""


class Unroutable(ValueError):
    """The flags do not say how to route. The sentence names the key and the remedy."""


class NoSuchFlag(LookupError):
    """The flag that decides is not there."""


class UnusableKey(ValueError):
    """A targeting key that is no text. The sentence names the attribute, never what it holds."""


class NoKey(LookupError):
    """The bucket is to decide, and the context has none of the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How the requests of one rollout are divided.

    `flag` is the key that applications ask for; they get `control` or `experiment`. `decided_by` is the flag whose value `modes` explains (as it
    stands in the file: `true` of JSON is "true"); None: it is always split. `percent` is the flag that holds the percentage of a split. `salt`
    sets this rollout apart from others: two with the same salt pick the same people, and changing it deals everybody anew. `keys` are looked for in
    their order, the first that is there counts. `tags` are told beside every answer. Raises ValueError with everything that is wrong.
    """

    flag: str
    control: Answer
    experiment: Answer
    salt: str
    decided_by: str | None = None
    modes: Mapping[str, Mode] = field(default_factory=dict)
    percent: str | None = None
    keys: tuple[str, ...] = ("session_name", "user", TARGETING_KEY)
    tags: Mapping[str, Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        splits = self.decided_by is None or Mode.SPLIT in self.modes.values()
        wrong = {
            "flag: name what applications ask for": not self.flag,
            "salt: give each rollout one of its own, without a zero character": not self.salt or "\0" in self.salt,
            "control, experiment: they must differ, and be of one type": type(self.control) is not type(self.experiment)
            or self.control == self.experiment,
            "modes: say what each value of the deciding flag means": self.decided_by is not None and not self.modes,
            "decided_by: name the flag whose values `modes` explains": self.decided_by is None and bool(self.modes),
            "percent: name the flag that holds the percentage": splits and not self.percent,
            "keys: name what to bucket by": splits and not self.keys,
        }
        if any(wrong.values()):
            raise ValueError(f"routing of {self.flag!r}: " + "; ".join(text for text, is_so in wrong.items() if is_so))

    @property
    def flags(self) -> frozenset[str]:
        """The keys of the flag file that decide."""
        return frozenset(key for key in (self.decided_by, self.percent) if key)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a rollout is: what its flags say to everybody alike. `stage` is the value of the deciding flag; `open` counts the buckets exposed."""

    stage: str
    mode: Mode
    open: int


@dataclass(frozen=True, slots=True)
class Route:
    """One answer. `metadata` says why, for audit: with a bucket below the percentage it is the experiment. It never holds the key itself."""

    value: Answer
    side: str
    metadata: Metadata


def standing(routing: Routing, values: Mapping[str, FlagValue]) -> Standing:
    """How far the rollout is, by the flags in `values`. A percentage counts at a split only.

    Raises NoSuchFlag, or Unroutable.
    """
    mode, stage = Mode.SPLIT, "split"
    if routing.decided_by is not None:
        if routing.decided_by not in values:
            raise NoSuchFlag(f'"{routing.decided_by}" is not there')
        stage = _text(values[routing.decided_by])
        if stage not in routing.modes:
            raise Unroutable(f'"{routing.decided_by}" holds "{stage}", which is none of: {", ".join(routing.modes)}')
        mode = routing.modes[stage]
    if mode is not Mode.SPLIT:
        return Standing(stage, mode, BUCKETS if mode is Mode.EXPERIMENT else 0)
    if routing.percent is None or routing.percent not in values:
        raise Unroutable(f'"{routing.percent}" is not there: at "{stage}" it must say how many per cent')
    try:
        return Standing(stage, mode, threshold_of(values[routing.percent]))
    except ValueError as error:
        raise Unroutable(f'"{routing.percent}": {error}') from None


def route(routing: Routing, at: Standing, targeting_key: str | None, attributes: Mapping[str, object]) -> Route:
    """The answer to one request. At 0 and at 100 % it needs no key: a rollback reaches everybody.

    Raises NoKey, or UnusableKey.
    """
    metadata: Metadata = {**routing.tags, "stage": at.stage, "percent": at.open / PER_PERCENT}
    bucket = 0
    try:
        name, bucket = _bucket(routing, targeting_key, attributes)
        metadata["bucket"] = bucket / PER_PERCENT
        metadata["bucketed_by"] = name
    except (NoKey, UnusableKey):
        if 0 < at.open < BUCKETS:
            raise
    side = EXPERIMENT if bucket < at.open else CONTROL
    metadata["side"] = side
    if at.mode is Mode.SHADOW:
        metadata["shadow"] = routing.experiment
    return Route(routing.experiment if side == EXPERIMENT else routing.control, side, metadata)


def _bucket(routing: Routing, targeting_key: str | None, attributes: Mapping[str, object]) -> tuple[str, int]:
    """The bucket of the first key that is there, and the key's name. An empty one is not there; a whole number counts as its digits."""
    for name in routing.keys:
        key = targeting_key if name == TARGETING_KEY else attributes.get(name)
        if key is None or key == "":
            continue
        # never on to the next one: that would move this session to another side
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise UnusableKey(f'"{name}" is neither text nor a whole number: give it as text')
        try:
            return name, bucket_of(routing.salt, str(key))
        except UnicodeEncodeError:
            raise UnusableKey(f'"{name}" holds half of a surrogate pair: give the whole character') from None
    raise NoKey(f"to be split by, the context must have one of: {', '.join(routing.keys)}")


def _text(value: FlagValue) -> str:
    """A flag's value as a key of `modes`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
