"""What follows a rollback, or completion, from a rule file as written to what it means.

Lives here: what takes two keys to be told about verification, ways back, limits and follow-ups. Must not live here: single keys and their types
(`schema_aftercare`), who is told (`build_telling`), the ladder (`build`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rollback_daemon.documents import Step as Key
from rollback_daemon.durations import format_duration
from rollback_daemon.rules.aftercare import Aftercare, AtMost, FollowUps, LogScan, Proof, Recovery, Way, WayKind
from rollback_daemon.rules.build_commands import command
from rollback_daemon.rules.build_duties import step
from rollback_daemon.rules.build_telling import escalation, hooks, target
from rollback_daemon.rules.conditions import Notes
from rollback_daemon.rules.model import Gate, Stage
from rollback_daemon.rules.salvage import Salvaged
from rollback_daemon.rules.schema_actions import PREVIOUS
from rollback_daemon.rules.schema_aftercare import LogStepPart, ProofPart, SignalsStepPart, ThenPart, VerifyPart, WayPart

_Where = tuple[Key, ...]
_PATIENCE = 2  # how many times its own length a recovery may take, unless told


@dataclass(frozen=True, slots=True)
class AftercareRules:
    """Builds the aftercare of one file, writing what is wrong into `notes`. `placed` names a path of the file from the root."""

    notes: Notes
    usable: Salvaged
    stages: Sequence[Stage]
    gates: Sequence[Gate]
    interval: timedelta
    placed: Callable[[str], str]

    def aftercare(self) -> Aftercare:
        """All of it."""
        written, usable = self.usable.file, self.usable
        known = self.stages if "stages" not in usable.lost else (*self.stages, None)
        most = written.max_rollbacks
        steps = list(usable.entries("verify", written.verify))
        return Aftercare(
            verify=tuple(self._proofs(steps, ("verify",))),
            only_at=dict(self._only_at(steps)),
            ways=tuple(self._ways(written.flags.backups)) or (Way(),),
            cooldown=written.cooldown,
            max_rollbacks=AtMost(most.count, most.in_) if most else None,
            postmortem=written.resume is not None,
            escalation=escalation(self.notes, usable.entries("escalation", written.escalation), known),
            hooks=tuple(hooks(self.notes, usable.entries("hooks", written.hooks), self.placed)),
            follow_ups=self._follow_ups(),
        )

    # verification

    def _proofs(self, parts: Iterable[tuple[int, ProofPart | VerifyPart]], trail: _Where) -> Iterator[Proof]:
        for index, part in parts:
            yield self._proof(part, (*trail, index))

    def _only_at(self, parts: Iterable[tuple[int, VerifyPart]]) -> Iterator[tuple[int, frozenset[str]]]:
        known = [stage.name for stage in self.stages]
        for number, (index, part) in enumerate(parts):
            if part.stages is None:
                continue
            if self.usable.kept.get("stages", known):  # empty: nothing of them could be read
                self.notes.stages(part.stages, known, ("verify", index, "stages"))
            yield number, frozenset(part.stages)

    def _proof(self, part: ProofPart | VerifyPart, trail: _Where) -> Proof:
        match part:
            case LogStepPart():
                return LogScan(self.placed(part.log), part.without)
            case SignalsStepPart():
                return self._recovery(part, trail)
            case _:
                return step(self.notes, part, trail)

    def _recovery(self, part: SignalsStepPart, trail: _Where) -> Recovery:
        names = [] if isinstance(part.signals, str) else part.signals
        self._check_gates(names, (*trail, "signals"))
        within = part.within or max(_PATIENCE * part.for_, part.for_ + 4 * self.interval)
        if within < part.for_:
            self.notes.say((*trail, "within"), f"is shorter than for ({format_duration(part.for_)}), so that it could never pass; make it longer")
        return Recovery(part.for_, within, frozenset(names))

    def _check_gates(self, names: Sequence[str], trail: _Where) -> None:
        """Note what cannot pass again: no gate at all, one that is not there, and one about triggers, whose past does not change."""
        seen = [gate.name for gate in self.gates if not gate.quiet and (gate.blocking or names)]
        if not seen and "gates" not in self.usable.lost:
            self.notes.say(trail, "there is no blocking gate about a signal that could pass again; add one to gates")
            return
        self.notes.distinct(names, trail)
        quiet = {gate.name for gate in self.gates if gate.quiet}
        for index, name in enumerate(names):
            if name in quiet:
                self.notes.say((*trail, index), f'the gate "{name}" is about triggers, which tell nothing of a recovery; name gates about signals')
            else:
                self.notes.unknown("gate", name, seen, (*trail, index))

    # ways back

    def _ways(self, backups: int) -> Iterator[Way]:
        before: list[WayPart] = []
        deepest: Stage | None = None
        for index, part in self.usable.entries("ways_back", self.usable.file.ways_back):
            trail = ("ways_back", index)
            if index == 0 and part != "flags":
                self.notes.say(trail, "must be flags: they are set first, and other ways follow where that cannot be verified")
            if part in before and not (isinstance(part, ThenPart) and part.then.rollback == PREVIOUS):  # twice is two stages down
                self.notes.say(trail, "stands here twice; keep one")
            if part == "backup" and not backups:
                self.notes.say(trail, "needs copies of the flag file, and flags.backups is 0; make that 1 or more")
            before.append(part)
            way = self._way(part, trail)
            deepest = self._deeper(deepest, way, trail)
            yield way

    def _way(self, part: WayPart, trail: _Where) -> Way:
        if isinstance(part, str):
            return Way(WayKind(part))
        if isinstance(part, ThenPart):
            known = self.stages if "stages" not in self.usable.lost else (*self.stages, None)
            to = target(self.notes, part.then.rollback, known, (*trail, "then", "rollback"))
            return Way(WayKind.THEN, to=to, after=part.then.after)
        return Way(WayKind.COMMAND, command(self.notes.document, part.command, part.timeout, part.env))

    def _deeper(self, deepest: Stage | None, way: Way, trail: _Where) -> Stage | None:
        """The lowest stage that ways lead to so far; one that leads no lower would never be taken."""
        to = next((stage for stage in self.stages if way.kind is WayKind.THEN and stage.name == way.to), None)
        if to is None or deepest is None:
            return to or deepest
        if deepest.number < to.number < len(self.stages) - 1:  # of the highest one it is said already
            text = f'"{to.name}" is not below "{deepest.name}", to which a way before it leads; put the higher stage first'
            self.notes.say((*trail, "then", "rollback"), text)
        return min(to, deepest, key=lambda stage: stage.number)

    # after completion

    def _follow_ups(self) -> FollowUps | None:
        part = self.usable.file.follow_up
        if part is None:
            return None
        for index, (one, following) in enumerate(zip(part.after, part.after[1:], strict=False)):
            if following <= one:
                text = f"{format_duration(following)} is not after {format_duration(one)}; write them in their order"
                self.notes.say(("follow_up", "after", index + 1), text)
        trail = ("follow_up", "checks")
        for index, check in enumerate(part.checks):
            if isinstance(check, SignalsStepPart):
                self.notes.say((*trail, index), "every follow-up looks at all gates by itself; leave it out")
            if isinstance(check, LogStepPart):
                self.notes.say((*trail, index), "a log is scanned from a rollback on, and here there is none; use a command")
        steps = [(index, one) for index, one in enumerate(part.checks) if not isinstance(one, SignalsStepPart)]
        return FollowUps(tuple(part.after), tuple(self._proofs(steps, trail)))
