"""`make crash N=200`: kill a busy daemon N times with SIGKILL and look at what is left. `--seed S` does the same again.

Lives here: the command line and what is printed. The work is in `tests/crashes`.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's own folder is on the path, the checkout is not

from rollback_daemon.lab.toolset import MISSING, toolsets
from tests.crashes.campaign import Report, campaign


def main() -> int:
    """Exit code 0 when nothing was found, 1 when something was, 2 without a Prometheus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    given = parser.parse_args()
    console = Console()
    tools = toolsets()
    if not tools:
        console.print(MISSING)
        return 2
    console.print(f"killing a daemon {given.kills} times on Prometheus {tools[0].version}, seed {given.seed}")
    folder = Path(tempfile.mkdtemp(prefix="rollbackd-crash-"))
    started = time.monotonic()
    report = campaign(given.kills, given.seed, folder, tools[0].prometheus)
    _print(console, report)
    seconds = time.monotonic() - started
    overtaken = report.taken_up - report.finished
    console.print(
        f"of what was left open the next start took up {report.taken_up}: {report.finished} finished, {overtaken} overtaken by something more urgent"
    )
    console.print(
        f"{report.kills} kills in {seconds:.0f} s left {report.left_open} transitions open; faults found: {len(report.faults)}; seed {given.seed}"
    )
    if report.faults:
        console.print(f"what is left is in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _print(console: Console, report: Report) -> None:
    steps = Table("a kill hit after", "times", title="where the kills hit")
    for step, times in sorted(report.steps.items()):
        steps.add_row(step, str(times))
    ends = Table("transition", "times", title=f"what {report.records} records tell")
    for end, times in sorted(report.transitions.items()):
        ends.add_row(end, str(times))
    console.print(steps, ends)
    for fault in report.faults:
        console.print(fault, style="red", markup=False)


if __name__ == "__main__":
    sys.exit(main())
