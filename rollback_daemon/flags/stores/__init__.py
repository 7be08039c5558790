"""The registry of the flag stores: a name as it stands in a rule file, and what is behind it.

Adding a text format costs a module with the three functions of `text_format.Format`, a line here and a test file; the
contract suite then runs on it.
"""

from pathlib import Path

from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.store import FlagStore
from rollback_daemon.flags.stores import dotenv, json_file, yaml_file
from rollback_daemon.flags.text_format import Format

STORES: dict[str, Format] = {
    "dotenv": dotenv,
    "json": json_file,
    "yaml": yaml_file,
}


def open_store(kind: str, path: Path, backups: int = 10) -> FlagStore:
    """The store of one flag file.

    `kind` is a name in STORES, `backups` how many copies are kept. The file is not touched yet.
    """
    return FileStore(path, STORES[kind], backups)
