"""A request that may not be done, and what every request of a person begins with. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rollback_daemon.errors import OperationRefused
from rollback_daemon.judge.position import Position
from rollback_daemon.judge.reasons import Code, Reason
from rollback_daemon.judge.state import State
from rollback_daemon.rules.model import Rollout


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, as the daemon found out, and the roles that its configuration gives them."""

    name: str
    roles: frozenset[str] = field(default_factory=frozenset)


class Refusal(OperationRefused):
    """A request that may not be done now, with every reason."""

    def __init__(self, what: str, reasons: Iterable[Reason]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"{what}: " + "; ".join(map(str, self.reasons)))

    @property
    def unknown(self) -> bool:
        """Whether nothing speaks against it except that something could not be told."""
        return all(reason.code.unknown for reason in self.reasons)


def known(rollout: Rollout, state: State) -> Position:
    """Where the rollout stands. Raises Refusal where that is not known yet."""
    if state.position is None:
        raise Refusal(f"{rollout.name} cannot be changed", [Reason(Code.NOT_EVALUATED, "its flags have not been read yet")])
    return state.position


def refuse_if_observing(rollout: Rollout, what: str) -> None:
    """Raises Refusal for a rollout whose flags are not touched."""
    if not rollout.enforce:
        raise Refusal(what, [Reason(Code.OBSERVING, "its mode is observe, in which no flag is touched")])


def said(by: str, reason: str) -> str:
    """A person's reason, as it goes on record."""
    return f"{by}: {reason}"
