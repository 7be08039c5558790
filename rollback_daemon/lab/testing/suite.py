"""Several cases, side by side: each on its own server, in the order of the files. Lives here: which are run, and when to stop."""

import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from rollback_daemon.errors import RollbackdError
from rollback_daemon.lab.testing.load import Case
from rollback_daemon.lab.testing.results import Outcome, Result
from rollback_daemon.lab.testing.running import run

AT_ONCE = 3  # they wait for their servers more than they compute


def run_all(
    cases: Sequence[Case], prometheus: Path, *, only: re.Pattern[str] | None = None, fail_fast: bool = False, told: Callable[[Result], None]
) -> list[Result]:
    """Run the cases whose name or file `only` finds, and tell each result in the order of the cases; with `fail_fast` none begins after one that
    did not pass.
    """
    stop, over = Event(), Event()
    with tempfile.TemporaryDirectory(prefix="rollbackd-test-", ignore_cleanup_errors=True) as folder, ThreadPoolExecutor(AT_ONCE) as pool:

        def one(number: int, case: Case) -> Result:
            if stop.is_set() or (only and not only.search(f"{case.file}: {case.name}")):
                return Result(case, Outcome.SKIPPED)
            try:
                result = run(case, prometheus, Path(folder) / str(number), over.is_set)
            except RollbackdError as error:
                result = Result(case, Outcome.UNTOLD, why=str(error))
            if fail_fast and result.outcome is not Outcome.PASSED:
                stop.set()
            return result

        results = []
        try:
            for future in [pool.submit(one, number, case) for number, case in enumerate(cases)]:
                results.append(future.result())
                told(results[-1])
        finally:
            stop.set()  # somebody may have interrupted it: what runs ends its server, nothing else begins
            over.set()
    return results
