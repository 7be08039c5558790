"""`make demo`, or `make demo STORY=bypass`: a story on real servers, explained on screen. Works with and without a terminal.

Everything runs on free ports, in a temporary folder, and is gone at the end. Lives here: which stories there are. Must not live here: any of
them.
"""

import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import requests
from rich.markup import escape

from deploy.demo import bypass, failing
from deploy.demo.ground import out
from rollback_daemon.lab.servers import LabError
from rollback_daemon.lab.toolset import MISSING, toolsets

STORIES = {
    "failing": failing.tell,  # a rollout fails, and is taken back
    "bypass": bypass.tell,  # a script raises the flags past everybody; it is undone and explained, and then done properly
}


def main(arguments: list[str]) -> int:
    """Tell the story that is named, else the first; 0 when every scene went as told."""
    name = arguments[0] if arguments else next(iter(STORIES))
    if name not in STORIES or len(arguments) > 1:
        out.print(f'[red]there is no story "{escape(" ".join(arguments))}"; there are: {", ".join(STORIES)}[/]')
        return 2
    found = toolsets()
    if not found:
        out.print(f"[red]{escape(MISSING)}[/]")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="rollbackd-demo-"))
    try:
        with ExitStack() as running:
            STORIES[name](folder, found[0], running)
    except (LabError, requests.RequestException) as error:
        out.print(f"[red]The demonstration failed: {escape(str(error))}[/]")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    out.print("\n[green]Done; everything is stopped and cleaned up.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
