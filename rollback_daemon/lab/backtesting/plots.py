"""One picture for each trigger, as SVG inside a page: value against limit, pending, firing, what could not be told, the stage, what was decided.

Drawn by matplotlib, an extra (`plots`), imported only here and only when it is used. Must not live here: which values there are (`lines`), the page.
"""

import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rollback_daemon.governance.incident_plots import COLOURS, STYLE, dress, svg
from rollback_daemon.lab.backtesting.ledger import Decision, Ledger
from rollback_daemon.lab.backtesting.lines import FIRING, PENDING, UNKNOWN, Lines
from rollback_daemon.lab.backtesting.trigger_ledger import TriggerLedger
from rollback_daemon.lab.history import Grid
from rollback_daemon.rules.measures import Condition, Op
from rollback_daemon.signals.observation import show_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REMEDY = "--html needs matplotlib for its plots, which is not installed here; pip install 'rollback-daemon[plots]' adds it"
_LINES = ("value", "value-2", "value-3", "verified", "flags")
_BANDS = ((UNKNOWN, "axis", 0.22), (PENDING, "pending", 0.35), (FIRING, "firing", 0.35))
_TURNS = ["", "%Y", "%b", "%d %b", "%H:%M", "%H:%M"]  # what a year, month, day, hour, minute and second that begins another unit is called
_MOST_MARKS = 200
_FAR = 20  # times the height of the values that a limit may be away and still be drawn


def drawable() -> bool:
    """Whether there can be plots."""
    return importlib.util.find_spec("matplotlib") is not None


def plots(ledger: Ledger, grid: Grid, number: int) -> dict[str, str]:
    """The picture of each trigger that has something to show, by its name. `number` tells the rollout from the others of the page."""
    import matplotlib as mpl  # noqa: PLC0415 (see the module)

    with mpl.rc_context(STYLE):
        drawn = {name: _plot(one, ledger.decisions, grid, f"r{number}t{index}") for index, (name, one) in enumerate(ledger.triggers.items())}
        return {name: picture for name, picture in drawn.items() if picture}


def ladder(ledger: Ledger, grid: Grid, number: int) -> str:
    """The stages over time."""
    import matplotlib as mpl  # noqa: PLC0415 (see the module)

    with mpl.rc_context(STYLE):
        axes, figure = _axes(1.5)
        names = [stage.name for stage in ledger.rollout.stages]
        times = [at for at, _ in ledger.stays] + [grid.end]
        heights = [names.index(stage) for _, stage in ledger.stays]
        axes.step(times, [*heights, heights[-1]] if heights else [], where="post", color=COLOURS["value"], linewidth=1.8)
        axes.set_yticks(range(len(names)), [_plain(name) for name in names])
        axes.set_ylim(-0.3, len(names) - 0.7)
        axes.set_xlim(grid.start, max(grid.end, grid.start + grid.step))
        _marks(axes, ledger.decisions)
        return svg(figure, f"r{number}l", "stages over time")


def _plot(ledger: TriggerLedger, decisions: Sequence[Decision], grid: Grid, name: str) -> str:
    lines = ledger.lines
    if lines is None or not (lines.series or lines.flags):
        return ""
    axes, figure = _axes(2.5)
    span = max(grid.end - grid.start, grid.step)
    for flag, colour, alpha in _BANDS:
        for begin, end in lines.bands(flag):
            axes.axvspan(grid.start + begin * span, grid.start + end * span, facecolor=COLOURS[colour], alpha=alpha, linewidth=0)
    points = _values(axes, lines, grid)
    axes.set_xlim(grid.start, grid.start + span)
    axes.margins(y=0.15)
    for limit in _limits(ledger.trigger.test.condition):
        if _is_near(limit, points):
            axes.axhline(limit, color=COLOURS["limit"], linewidth=1.3, linestyle=(0, (5, 3)))
    _marks(axes, [one for one in decisions if ledger.trigger.name in one.triggers])
    return svg(figure, name, f"{len(lines.series)} series, {len(points)} points")


def _axes(height: float) -> tuple["Axes", Any]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 (see the module)
    from matplotlib.figure import Figure  # noqa: PLC0415 (see the module)

    figure = Figure(figsize=(13.6, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    dress(axes)
    axes.xaxis.get_major_formatter().zero_formats = _TURNS
    return axes, figure


def _values(axes: "Axes", lines: Lines, grid: Grid) -> list[float]:
    """Draw the series, with gaps where nothing was; returns every value drawn."""
    span = max(grid.end - grid.start, grid.step)
    every: list[float] = []
    for index, labels in enumerate(lines.series):
        points = list(lines.points(labels))
        every += [value for _, value in points]
        times, values = _with_gaps(points, lines.buckets)
        told = f"{lines.others} further series" if labels is None else show_labels(labels) or "value"
        style = {"color": COLOURS[_LINES[index % len(_LINES)]], "linewidth": 0.9}
        axes.plot([grid.start + at * span for at in times], values, label=_plain(told), marker="." if len(points) < 12 else None, **style)
    if len(lines.series) > 1:
        looks = {"frameon": False, "labelcolor": COLOURS["axis"], "fontsize": 9, "ncols": 6, "handlelength": 1.2, "borderaxespad": 0.1}
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), **looks)
    return every


def _with_gaps(points: Sequence[tuple[float, float]], buckets: int) -> tuple[list[float], list[float]]:
    times: list[float] = []
    values: list[float] = []
    for at, value in points:
        if times and at - times[-1] > 1.5 / buckets:
            times.append(at)
            values.append(math.nan)
        times.append(at)
        values.append(value)
    return times, values


def _limits(condition: Condition | None) -> list[float]:
    if condition is None:
        return []
    return [condition.limit, condition.upper] if condition.op in {Op.OUTSIDE, Op.WITHIN} else [condition.limit]


def _is_near(limit: float, points: Sequence[float]) -> bool:
    """Whether the values are still to be told apart with the limit in the picture."""
    if not points:
        return True
    low, high = min(points), max(points)
    return high == low or max(low - limit, limit - high, 0) <= _FAR * (high - low)


def _marks(axes: "Axes", decisions: Sequence[Decision]) -> None:
    """When something was rolled back, held or degraded, and when it was put back."""
    for one in decisions[:_MOST_MARKS]:
        if one.kind in {"rollback", "hold", "degrade", "freeze"} or one.kind.startswith("would"):
            axes.axvline(one.at, color=COLOURS["flags"], linewidth=1.2)
        elif one.kind in {"promote", "restore"}:
            axes.axvline(one.at, color=COLOURS["verified"], linewidth=1.0, linestyle=(0, (2, 2)))


def _plain(text: str) -> str:
    """The text as it is: to matplotlib a dollar begins a formula, and a label with an underscore at its front is not shown."""
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return ("\u200b" if shown.startswith("_") else "") + shown.replace("$", r"\$")


def in_words(ledger: TriggerLedger) -> str:
    """What a picture leaves out."""
    lines = ledger.lines
    if lines is None:
        return ""
    far = [limit for limit in _limits(ledger.trigger.test.condition) if not _is_near(limit, _every(lines))]
    return "the limit is far outside of the picture" if far else ""


def _every(lines: Lines) -> list[float]:
    return [value for labels in lines.series for _, value in lines.points(labels)]
