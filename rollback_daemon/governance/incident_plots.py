"""The signals around an incident as SVG that stands inside an HTML page: value, limit, pending, firing, and the moments that count.

Colours are names that the page gives a meaning to, so the same picture is light or dark with it. Lives here: drawing with matplotlib, which is an
extra (`plots`) and imported only when it is used. Must not live here: which signals there are (`incident_signals`), the page (`incident_html`).
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rollback_daemon.durations import format_number
from rollback_daemon.governance.entries import Entry
from rollback_daemon.signals.observation import show_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REMEDY = "there are no plots, because matplotlib is not installed here; pip install 'rollback-daemon[plots]' adds them"
"""What a report says that was made without."""
COLOURS = {"value": "#010101", "value-2": "#010102", "value-3": "#010103", "limit": "#010104", "pending": "#010105", "firing": "#010106"}
COLOURS |= {"flags": "#010107", "verified": "#010108", "grid": "#010109", "axis": "#01010a"}
STYLE = {"svg.fonttype": "none", "font.size": 10.5, "axes.linewidth": 0.7, "font.family": "sans-serif"}
_FONTS = re.compile(r"'DejaVu Sans'[^;\"]*")
_MOST_PLOTS = 6
_TICKS = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]  # for years, months, days, hours, minutes, seconds
_LEAST_BEFORE = timedelta(minutes=2)


def plots(report: Mapping[str, Any]) -> list[Entry] | None:
    """One for each signal: `title`, `expr`, `unit`, `limit`, `svg`. None where matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 (see the module)
    except ImportError:
        return None
    with mpl.rc_context(STYLE):
        groups = [drawn for group in _grouped(report["signals"]) if (drawn := [one for one in group if one["points"]])][:_MOST_PLOTS]
        return [_plot(report, group, number, wide=len(groups) == 1) for number, group in enumerate(groups)]


def _grouped(signals: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The series of one signal share a plot."""
    for _, same in groupby(signals, key=lambda one: (one["name"], one["expr"])):
        yield list(same)


def _plot(report: Mapping[str, Any], drawn: list[Entry], number: int, *, wide: bool) -> Entry:
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 (see the module)
    from matplotlib.figure import Figure  # noqa: PLC0415 (see the module)

    figure = Figure(figsize=(13.6, 3.2) if wide else (6.6, 2.7), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    dress(axes)
    _shade(axes, report["phases"], {name for one in drawn for name in one["alerts"]})
    _lines(axes, drawn)
    _moments(axes, report["times"])
    axes.set_xlim(*_span(report, drawn))
    return {
        "title": drawn[0]["name"],
        "expr": drawn[0]["expr"],
        "unit": drawn[0]["unit"],
        "limit": drawn[0]["limit"],
        "svg": svg(figure, f"p{number}", f"{len(drawn)} series of {len(drawn[0]['points'])} points"),
    }


def dress(axes: "Axes") -> None:
    """Axes as every plot of ours has them."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 (see the module)

    locator = AutoDateLocator(minticks=3, maxticks=7, tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC, formats=_TICKS, zero_formats=_TICKS, show_offset=False))
    axes.yaxis.set_major_formatter(lambda value, _: format_number(value))
    axes.set_facecolor("none")
    axes.figure.set_facecolor("none")
    axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(COLOURS["grid"])
    axes.tick_params(colors=COLOURS["axis"], length=0, pad=5)


def _shade(axes: "Axes", phases: Iterable[Mapping[str, Any]], alerts: set[str]) -> None:
    for one in phases:
        if one["alert"] in alerts and one["to"]:
            colour = COLOURS[one["phase"]]
            axes.axvspan(_time(one["from"]), _time(one["to"]), facecolor=colour, alpha=0.22, linewidth=0)


def _lines(axes: "Axes", series: list[Entry]) -> None:
    for one, colour in zip(series, ("value", "value-2", "value-3"), strict=False):
        times = [datetime.fromtimestamp(point[0], UTC) for point in one["points"]]
        few = len(times) < 12
        label = show_labels(tuple(sorted(one["labels"].items()))) or one["name"]
        values = [float(point[1]) for point in one["points"]]
        axes.plot(times, values, color=COLOURS[colour], linewidth=1.6, marker="o" if few else None, markersize=4, label=label)
    for limit in series[0]["lines"]:
        axes.axhline(limit, color=COLOURS["limit"], linewidth=1.3, linestyle=(0, (5, 3)))
    if len(series) > 1:
        axes.legend(loc="upper left", frameon=False, labelcolor=COLOURS["axis"], fontsize=9.5)
    axes.margins(x=0.01, y=0.15)


def _moments(axes: "Axes", times: Mapping[str, Any]) -> None:
    """When the flags were changed, and when that was verified."""
    for name in ("flags", "verified"):
        if times[name]:
            at = _time(times[name])
            axes.axvline(at, color=COLOURS[name], linewidth=1.4)
            axes.annotate(
                name,
                (at, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right" if name == "flags" else "left",
                color=COLOURS[name],
                fontsize=10,
                annotation_clip=False,
            )


def _span(report: Mapping[str, Any], drawn: list[Entry]) -> tuple[datetime, datetime]:
    """What is shown: three times as long before the breach as what followed, so that what happened has room, as far as there are points."""
    times = [datetime.fromtimestamp(point[0], UTC) for one in drawn for point in one["points"]]
    known = report["times"]
    story = [_time(known[name]) for name in ("breached", "decided", "flags", "verified") if known[name]]
    last = max(*times, *story)
    before = max(3 * (last - min(story)), _LEAST_BEFORE)
    first = max(min(story) - before, min(*times, *story))
    edge = max(last - first, timedelta(seconds=1)) / 80
    return first - edge, last + edge


def svg(figure: Any, name: str, said: str) -> str:
    """The picture without its head, its ids unlike those of one with another `name`, its colours as names, with `said` for who cannot see it."""
    import matplotlib as mpl  # noqa: PLC0415 (see the module)

    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"plot-{name}"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, value in COLOURS.items():
        text = text.replace(value, f"var(--{colour})")
    text = re.sub(r'( id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = _FONTS.sub("system-ui, sans-serif", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="plot: {said}" ', 1)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
