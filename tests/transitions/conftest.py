"""A log, and one of which it is known where it ended."""

from pathlib import Path

import pytest

from tests.transitions.logs import OLD, Log


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log with lines that would be found."""
    log = Log(tmp_path / "app.log")
    log.write(OLD)
    return log


@pytest.fixture
def marked(log: Log) -> Log:
    log.mark()
    return log
