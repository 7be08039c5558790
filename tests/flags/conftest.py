"""A subject for every store in the registry."""

from pathlib import Path

import pytest

from rollback_daemon.flags.stores import STORES
from tests.flags.contract import Subject, subject


@pytest.fixture(params=sorted(STORES))
def flags(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """The sample of one format in a file of its own."""
    return subject(request.param, tmp_path)


@pytest.fixture
def dotenv(tmp_path: Path) -> Subject:
    """For the laws of files, which are the same for every format."""
    return subject("dotenv", tmp_path)
