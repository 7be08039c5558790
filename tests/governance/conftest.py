"""A rollout on real files, and the world around it as it should be on day one."""

from pathlib import Path

import pytest

from tests.governance.dayone import DayOne


@pytest.fixture
def day(tmp_path: Path) -> DayOne:
    """Everything is there, and well."""
    return DayOne(tmp_path)
