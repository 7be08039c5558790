"""Twenty kills of the real daemon; `make crash N=200` makes as many as wanted."""

import secrets
from pathlib import Path

from rollback_daemon.lab.toolset import Toolset
from tests.crashes.campaign import campaign


def test_a_daemon_killed_twenty_times_leaves_valid_flags_and_a_journal_that_tells_it_all(toolset: Toolset, tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    report = campaign(20, seed, tmp_path, toolset.prometheus)
    assert report.faults == [], f"seed {seed}"
    assert report.kills == 20
    assert report.left_open > 0, f"seed {seed}: no kill hit anything"
