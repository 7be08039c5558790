"""The report of one incident as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.

Lives here: the page's values in words. Must not live here: how it looks (`templates/incident.html.j2`), facts (`incident_report`), drawing
(`incident_plots`).
"""

from collections.abc import Mapping
from typing import Any

from rollback_daemon.governance.happenings import flag, number
from rollback_daemon.governance.incident_plots import REMEDY, plots
from rollback_daemon.governance.incident_words import FIELDS, QUESTIONS, cause, clock, lasted, offset, outcome, short, tone
from rollback_daemon.governance.markdown_moves import share


def incident_html(report: Mapping[str, Any]) -> str:
    """The whole page. Whatever people wrote stands in it as they wrote it, and as nothing else."""
    import jinja2  # noqa: PLC0415 (only who makes a page needs it)

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rollback_daemon.governance"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clock=clock, lasted=lasted, short=short, share=share, flag=flag, number=number)
    drawn = plots(report)
    told = {"outcome": outcome(report), "tone": tone(report), "cause": cause(report), "fields": FIELDS, "questions": QUESTIONS}
    start = report["times"]["breached"] or report["times"]["decided"]
    return environment.get_template("incident.html.j2").render(
        r=report,
        plots=drawn or [],
        no_plots=REMEDY if drawn is None else "" if drawn else "no values of its signals are on record, so there is nothing to plot",
        offset=lambda at: offset(start, at),
        **told,
    )
