"""The result of a backtest as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.

Lives here: what the page is made of. Must not live here: how it looks (`templates/backtest.html.j2`), facts (`report`), drawing (`plots`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rollback_daemon.lab.backtesting import plots, words
from rollback_daemon.lab.backtesting.ledger import Ledger
from rollback_daemon.lab.history import Grid

_MOST_ROWS = 200


def html(document: Mapping[str, Any], ledgers: Sequence[Ledger]) -> str:
    """The whole page. Whatever stands in rule files and labels is shown as it is, and as nothing else. `ledgers` are those of the rollouts."""
    import jinja2  # noqa: PLC0415 (only who makes a page needs it)

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in ("rollback_daemon.lab.backtesting", "rollback_daemon.governance")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        share=words.share,
        span=words.span,
        figure=words.figure,
        clock=words.clock,
        limit=words.limit,
        closest=words.closest,
        longest=words.longest,
        unknown=words.unknown,
        fire=words.fire,
        decision=words.decision,
        reasons=words.reasons,
        score=words.score,
        later=words.later,
        stood=words.stood,
        changes=words.changes,
        headline=words.headline,
    )
    parts = [_part(one, ledger, number) for number, (one, ledger) in enumerate(zip(document["rollouts"], ledgers, strict=False))]
    return environment.get_template("backtest.html.j2").render(d=document, parts=parts, most=_MOST_ROWS)


def _part(one: Mapping[str, Any], ledger: Ledger, number: int) -> dict[str, Any]:
    grid = Grid(datetime.fromisoformat(one["from"]), ledger.rollout.interval, one["evaluations"])
    fires = sorted(((trigger, fire) for trigger in one["triggers"] for fire in trigger["fires"]), key=lambda pair: str(pair[1]["fired"]))
    return {
        "r": one,
        "fired": words.fired(one),
        "begins": words.begins(one),
        "ends": words.ends(one),
        "plots": plots.plots(ledger, grid, number),
        "said": {name: plots.in_words(trigger) for name, trigger in ledger.triggers.items()},
        "ladder": plots.ladder(ledger, grid, number),
        "fires": fires,
    }
