"""The throwaway server of a test: it is loaded, and gone when nobody needs it any more, however that came."""

import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import wait_until
from rollback_daemon.lab.testing.load import load
from rollback_daemon.lab.testing.results import Outcome
from rollback_daemon.lab.testing.running import run
from rollback_daemon.lab.testing.server import throwaway
from rollback_daemon.lab.toolset import Toolset
from tests.lab.desk import desk


@pytest.mark.skipif(not shutil.which("setpriv"), reason="util-linux is not here")
def test_a_server_ends_with_whoever_started_it_also_if_that_was_killed(toolset: Toolset, tmp_path: Path) -> None:
    server = throwaway(toolset.prometheus, tmp_path, timedelta(seconds=15))
    starting = threading.Thread(target=server.start)  # the kernel sees the end of a thread as that of a killed process
    starting.start()
    starting.join()
    try:
        wait_until(lambda: not server.running, "the server to be killed")
    finally:
        server.stop()


def test_a_case_that_nobody_waits_for_any_more_ends_at_the_next_evaluation(toolset: Toolset, tmp_path: Path) -> None:
    [case] = load(desk(tmp_path, "  - {rollout_test: [{eval_time: 10h, stage: canary}]}\n"))
    looks = iter([False] * 3)
    result = run(case, toolset.prometheus, tmp_path / "server", lambda: next(looks, True))
    assert (result.outcome, result.why) == (Outcome.UNTOLD, "it was stopped")
    assert next(looks, None) is None
