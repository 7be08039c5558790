"""`python -m rollback_daemon.lab.grafana [FOLDER]` writes the dashboards, by default to grafana/dashboards of where it is run.

Lives here: the command, and what is written. Must not live here: what is on them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from rollback_daemon.lab.grafana.board import GUARD, OVERVIEW, ROLLOUT, Places
from rollback_daemon.lab.grafana.guard import guard
from rollback_daemon.lab.grafana.overview import overview
from rollback_daemon.lab.grafana.rollout import rollout


def texts(places: Places) -> Mapping[str, str]:
    """Every dashboard as it stands in its file, by the file's name."""
    made = {OVERVIEW: overview(places), ROLLOUT: rollout(places), GUARD: guard(places)}
    return {f"{name}.json": json.dumps(one, cls=JSONEncoder, indent=1, sort_keys=True) + "\n" for name, one in made.items()}


def main(
    folder: Annotated[Path, typer.Argument(help="Where they are written.")] = Path("grafana/dashboards"),
    page: Annotated[str, typer.Option(help="The address of the daemon's page, as people's browsers reach it.")] = Places().page,
    runbook: Annotated[str, typer.Option(help="Where the guard's runbook is.")] = Places().runbook,
) -> None:
    """Write the Grafana dashboards."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts(Places(page.rstrip("/"), runbook)).items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
