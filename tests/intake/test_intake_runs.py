"""Real commands that make evidence: what is their result, and what is none."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rollback_daemon.evidence.kind import MAX_BYTES
from rollback_daemon.intake.runs import Made, make
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.duties import Command, Scheduled
from tests.intake.coming import HOUR, LONG, scheduled, script

Runs = Callable[..., Made]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Runs a shell script of that text."""

    def run(text: str, timeout: timedelta = LONG, result: str = "", stop: threading.Event | None = None, **env: str) -> Made:
        return make(scheduled(script(tmp_path / "soak.sh", text), timeout, result, **env), {"ROLLBACKD_STAGE": "canary"}, stop or threading.Event())

    return run


def test_the_result_is_what_it_prints_and_what_it_says_to_people_is_apart(runs: Runs) -> None:
    made = runs('echo "at $ROLLBACKD_STAGE with $GAMES" >&2; echo 0.97', GAMES="15")
    assert (made.data, made.failed, made.file.name, made.file.size, made.notes) == (b"0.97\n", "", "soak.sh", 5, ())
    assert made.aside.endswith('/soak.sh" exited with 0; it printed last: at canary with 15')


def test_a_result_counts_whatever_the_command_exits_with_and_that_is_noted(runs: Runs) -> None:
    made = runs("echo 3; exit 1")
    assert (made.data, made.failed, [note.split("/")[-1] for note in made.notes]) == (b"3\n", "", ['soak.sh" exited with 1'])


def test_a_large_result_comes_whole_and_one_that_is_too_large_not_at_all(runs: Runs) -> None:
    whole = runs(f"head -c {MAX_BYTES} /dev/zero | tr '\\0' x")
    assert (len(whole.data or b""), whole.failed) == (MAX_BYTES, "")
    made = runs(f"head -c {MAX_BYTES + 1} /dev/zero | tr '\\0' x")
    assert (made.data, made.failed.partition(";")[0]) == (None, "it printed more than 16 MiB")


@pytest.mark.parametrize(
    ("text", "failed", "aside"),
    [
        ("echo nothing found >&2", "it printed no result on its standard output", "exited with 0; it printed last: nothing found"),
        ("exit 3", "it printed no result on its standard output", "exited with 3"),
        ("echo 3; kill -9 $$", "was ended by SIGKILL", "it printed last: 3"),
    ],
)
def test_without_a_result_it_is_told_how_it_ended(runs: Runs, text: str, failed: str, aside: str) -> None:
    made = runs(text)
    assert (made.data, made.failed.endswith(failed), made.aside.endswith(aside)) == (None, True, True), made


def test_a_program_that_is_not_there_has_no_result() -> None:
    made = make(Scheduled(Command(("/nowhere/soak",)), HOUR), {}, threading.Event())
    assert (made.data, made.failed) == (None, '"/nowhere/soak" could not be started: no such file or directory')


def test_what_does_not_end_in_time_is_killed_with_all_that_it_started(runs: Runs, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    made = runs(f"echo 3; (while :; do date +%N > {alive}; sleep 0.02; done) & wait", timedelta(seconds=0.3))
    assert (made.data, made.failed.endswith("did not end within 300ms and was killed")) == (None, True), made
    last = alive.read_text(encoding="utf-8")
    time.sleep(0.1)
    assert alive.read_text(encoding="utf-8") == last


def test_it_is_cut_when_it_is_not_wanted_any_more(runs: Runs) -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    assert "had to give way" in runs("sleep 60", stop=stop).failed


def test_somebody_who_goes_on_printing_in_the_background_does_not_hold_it_up(runs: Runs) -> None:
    began = time.monotonic()
    made = runs("setsid sh -c 'while :; do echo more; sleep 0.01; done' & sleep 0.1; echo 3; exit 0")
    assert (time.monotonic() - began < 20, (made.data or b"").count(b"3")) == (True, 1)


def test_the_result_is_as_it_was_made_and_values_of_the_environment_are_nowhere_in_what_is_told(runs: Runs) -> None:
    made = runs('echo "with $CODE_WORD" >&2; echo "[\\"$CODE_WORD\\", 3]"', CODE_WORD="hunter2hunter2")
    assert (made.data, "hunter2" in made.aside, "(value of CODE_WORD)" in made.aside) == (b'["hunter2hunter2", 3]\n', False, True)
    assert "hunter2" not in runs('echo "$CODE_WORD"; kill -9 $$', CODE_WORD="hunter2hunter2").aside
    cut = runs('i=0; while [ $i -lt 3000 ]; do printf %s "$CODE_WORD"; i=$((i+1)); done; kill -9 $$', CODE_WORD="p@ss/word").aside
    assert "(value of CODE_WORD)" in cut
    assert "ss/word" not in cut


def test_the_file_that_it_writes_is_the_result_also_behind_a_link(runs: Runs, tmp_path: Path) -> None:
    latest = tmp_path / "latest.json"
    latest.symlink_to("old.json")
    made = runs(f"cd {tmp_path}; echo 0.97 > run-7.json; ln -sf run-7.json latest.json; echo done", result=str(latest))
    assert (made.data, made.file.name, made.failed) == (b"0.97\n", "latest.json", "")


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("true", "from before the run"),
        ("cp -p old.txt new.txt; mv new.txt result.txt", "from before the run"),
        ("rm result.txt", "is not there, or cannot be reached"),
        ("rm result.txt; mkdir result.txt", "is no regular file; only those are read"),
        ("rm result.txt; mkfifo result.txt", "is no regular file; only those are read"),
        ("truncate -s 17M result.txt", "has 17825792 bytes, and may have 16777216 at most"),
    ],
)
def test_a_file_that_was_not_written_in_the_run_is_none(runs: Runs, tmp_path: Path, text: str, failed: str) -> None:
    for name in ("old.txt", "result.txt"):
        (tmp_path / name).write_text("0.99", encoding="utf-8")
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    made = runs(f"cd {tmp_path}; {text}", result=str(tmp_path / "result.txt"))
    assert (made.data, failed in made.failed) == (None, True), made


def test_a_run_ends_with_a_daemon_that_is_killed_and_so_does_what_it_started(tmp_path: Path) -> None:
    program = script(tmp_path / "soak.sh", f"sleep 60 & echo $! $$ > {tmp_path}/pids.new; mv {tmp_path}/pids.new {tmp_path}/pids; wait")
    text = (
        "import threading; from datetime import timedelta\n"
        "from rollback_daemon.intake.runs import make; from rollback_daemon.rules.duties import Command, Scheduled\n"
        f"make(Scheduled(Command(({str(program)!r},)), timedelta(hours=1)), {{}}, threading.Event())"
    )
    with subprocess.Popen([sys.executable, "-c", text]) as daemon:
        wait_until((tmp_path / "pids").exists, "the command", 20)
        daemon.kill()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_until(lambda: not any(map(is_alive, pids)), "the end of it", 20)


def is_alive(pid: int) -> bool:
    """Whether it still runs; who waits for it, nobody here knows."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
