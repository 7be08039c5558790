"""The limit that a condition of an analysis means, laid on its query. Must not live here: what the condition means (`conditions`)."""

from dataclasses import dataclass
from typing import Any

from rollback_daemon.lab.importing.conditions import Meaning, Reach
from rollback_daemon.lab.importing.draft import plain
from rollback_daemon.lab.importing.expressions import Unmappable
from rollback_daemon.rules import promql

_DISTANCES = {"==": "at_most", "!=": "above"}  # of 0; unlike a comparison with bool, a distance leaves NaN what it is
_AGGREGATES = {"above": "min", "at_least": "min", "below": "max", "at_most": "max"}


@dataclass(frozen=True, slots=True)
class Laid:
    """The query as a signal asks it, and its limit as a trigger has it; `told` is to be said of both."""

    expr: str
    limit: dict[str, Any]
    told: str = ""


def lay(query: str, meant: Meaning, *, counted: bool = False) -> Laid:
    """The query with the limit. `counted`: for violations, which know no `at_least`. Raises Unmappable where no query with a limit says the same."""
    expr, told = query, ""
    if meant.reach is Reach.ALL:
        if meant.limit not in _AGGREGATES:
            raise Unmappable("fails when all series are bad, in a way that no single limit can say")
        expr = f"{_AGGREGATES[meant.limit]}({_closed(query)})"
        told = f"fails only when all series are bad; so their {'least' if expr.startswith('min') else 'greatest'} is looked at"
    figures = [plain(figure) for figure in meant.figures]
    if meant.limit in _DISTANCES:
        distance = f"({_closed(expr)}) - {_operand(meant.figures[0])}"
        expr = f"abs({f'vector({distance})' if promql.is_scalar(expr) else distance})"
        said = f"the signal is the distance from {figures[0]}, as no limit says {meant.limit}"
        return Laid(expr, {_DISTANCES[meant.limit]: 0}, "; ".join(filter(None, (told, said))))
    if counted and meant.limit == "at_least":
        said = f"the signal has its sign turned, as violations know no at_least: at most {plain(-meant.figures[0])} is what at least {figures[0]} was"
        return Laid(f"-({_closed(expr)})", {"at_most": plain(-meant.figures[0])}, "; ".join(filter(None, (told, said))))
    return Laid(expr, {meant.limit: figures if len(figures) > 1 else figures[0]}, told)


def _operand(figure: float) -> str:
    return f"{plain(figure)}" if figure >= 0 else f"({plain(figure)})"


def _closed(query: str) -> str:
    """The query, with an end to a comment in its last line."""
    return f"{query}\n" if "#" in query else query
