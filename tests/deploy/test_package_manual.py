"""The manual page is the command line's, as it is now, and no reader of manual pages complains of it."""

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import pytest
import typer

from rollback_daemon.faces.cli import app, manual

PAGE = Path(__file__).resolve().parents[2] / "deploy/man/rollbackd.1"
HARMLESS = 'missing date, using "": TH'  # it has the version instead: the command line does not know when it was written


def test_the_page_is_that_of_the_command_line() -> None:
    made = manual.page(command.callback for command in app.registered_commands if command.callback)
    assert PAGE.read_text() == made, "run: python -m rollback_daemon.faces.cli.manual > deploy/man/rollbackd.1"


@pytest.mark.parametrize("reader", [["mandoc", "-T", "lint", "-W", "style"], ["groff", "-man", "-ww", "-Tutf8", "-z"], ["man", "--warnings", "-l"]])
def test_no_reader_of_manual_pages_complains(reader: list[str]) -> None:
    if shutil.which(reader[0]) is None:
        pytest.skip(f"no {reader[0]} here")
    done = subprocess.run([*reader, PAGE], capture_output=True, text=True, timeout=60, check=False)
    said = (done.stdout if reader[0] == "mandoc" else "") + done.stderr
    assert [line for line in said.splitlines() if HARMLESS not in line] == []


def greet(
    who: Annotated[str, typer.Argument(help="Whom - 'him', \\him.")], loud: Annotated[bool, typer.Option("--loud", help=".Shout.")] = False
) -> None:
    """Say hello.

    At once.
    """


def test_what_stands_on_the_page_means_itself() -> None:
    lines = manual.page([greet]).splitlines()
    start = lines.index(".SS greet")
    assert lines[start : start + 13] == [
        ".SS greet",
        "\\fBrollbackd greet\\fR",
        "\\fIWHO\\fR",
        "[\\fB\\-\\-loud\\fR]",
        ".PP",
        "Say hello.",
        ".PP",
        "At once.",
        ".TP",
        "\\fIWHO\\fR",
        "Whom \\- \\(aqhim\\(aq, \\ehim.",
        ".TP",
        "\\fB\\-\\-loud\\fR",
    ]
    assert lines[start + 13] == "\\&.Shout."
