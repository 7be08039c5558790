"""Where the files and programs of a rule file are: a relative path starts at the rule file, as Prometheus has it with its rule_files.

Lives here: paths and commands as written to what they mean. Must not live here: whether anything is there (`governance.program_checks`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from rollback_daemon.documents import Document
from rollback_daemon.rules.duties import Command


def placed(document: Document, path: str) -> str:
    """A path of the file, from the root."""
    return path if Path(path).is_absolute() else str((_folder(document) / path).resolve())


def command(document: Document, argv: Sequence[str], timeout: timedelta, env: Mapping[str, str]) -> Command:
    """A program, and its arguments as they are. One that is written with a "/" is a path of the file; any other is looked for on PATH.

    A symbolic link stays one: many a program goes by the name that it is called by.
    """
    program, *arguments = argv
    if "/" in program and not Path(program).is_absolute():
        program = str(_folder(document) / program)
    return Command((program, *arguments), timeout, env)


def _folder(document: Document) -> Path:
    return Path(document.file).resolve().parent
