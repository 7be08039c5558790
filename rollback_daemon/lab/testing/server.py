"""The throwaway Prometheus that a case is tried on: its series loaded, its configuration as a test needs it.

The samples come by remote write and not as blocks that promtool builds of OpenMetrics text: that text has neither staleness markers nor native
histograms. They are sent in the order of their times, as a server takes nothing that is much older than its newest sample. Measured on 2.42, 2.53 and
3.5: samples from the epoch on, over days, are all there afterwards. Lives here: loading. Must not live here: how a server is started (`lab.servers`).
"""

import functools
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import IO

from rollback_daemon.durations import format_duration
from rollback_daemon.lab.remote_write import NATIVE_HISTOGRAMS, RECEIVER, Histogram, Sample, Series, write
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.lab.testing.load import Input

_FLAGS = (RECEIVER, NATIVE_HISTOGRAMS, "--storage.tsdb.retention.time=10y")
_MOST_SAMPLES = 50_000  # in one request


class _Throwaway(PrometheusServer):
    """A server that does not outlive the thread which starts it, however that ends."""

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return super()._spawn([*_ends_with_us(), *command], log)


@functools.cache
def _ends_with_us() -> tuple[str, ...]:
    """What the kernel is told by that a program is killed when its parent is; nothing where util-linux is not there."""
    program = shutil.which("setpriv")
    words = (program or "", "--pdeathsig", "KILL", "--")
    return words if program and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else ()


def throwaway(prometheus: Path, folder: Path, interval: timedelta) -> PrometheusServer:
    """A server that scrapes nothing; a subquery without a step takes the `interval`, as with promtool."""
    return _Throwaway(prometheus, folder, {}, scrape_interval=format_duration(interval), flags=_FLAGS)


def fill(url: str, series: Sequence[Input], step: timedelta) -> None:
    """Load the points of every series, the first one at the epoch. Raises RuntimeError with the server's words when it does not take them."""
    longest = max((len(one.points) for one in series), default=0)
    cuts = {*range(0, longest, max(1, _MOST_SAMPLES // max(1, len(series)))), *(turn for one in series for turn in _turns(one)), longest}
    for first, end in pairwise(sorted(cuts)):
        if part := list(_slice(series, first, end, step.total_seconds())):
            write(url, part)


def _turns(one: Input) -> Iterator[int]:
    """Where numbers give way to native histograms, or the other way round: no request can hold both of one series in turns."""
    before: bool | None = None
    for index, point in enumerate(one.points):
        if point is None:
            continue
        now = isinstance(point, Histogram)
        if before is not None and now is not before:
            yield index
        before = now


def _slice(series: Sequence[Input], first: int, end: int, step: float) -> Iterator[Series]:
    """The samples from number `first` on, series that begin first at the front: the server's first sample is the oldest that it takes."""
    found = [(one, samples) for one in series if (samples := list(_samples(one, first, end, step)))]
    for one, samples in sorted(found, key=lambda each: each[1][0][0]):
        yield Series(one.labels, samples)


def _samples(one: Input, first: int, end: int, step: float) -> Iterator[Sample]:
    for index, point in enumerate(one.points[first:end], first):
        if point is not None:
            yield index * step, point
