"""Commands after a change, as real processes: how they end, what they print, and that none is left behind."""

import os
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.duties import Command
from rollback_daemon.transitions.hooks import Ran, run

LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=300)


def shell(script: str, *arguments: object, timeout: timedelta = LONG, stop: threading.Event | None = None, **environment: str) -> Ran:
    return run(Command(("/bin/sh", "-c", script, "sh", *map(str, arguments)), timeout), environment, stop or threading.Event())


def program(*argv: object) -> Ran:
    return run(Command(tuple(map(str, argv)), LONG), {}, threading.Event())


def stopped_when(condition: Callable[[], bool]) -> threading.Event:
    """Set once the condition holds."""
    stop = threading.Event()

    def wait() -> None:
        wait_until(condition, "the moment to stop", 30)
        stop.set()

    threading.Thread(target=wait).start()
    return stop


def is_alive(pid: str) -> bool:
    """Whether a process is there and no zombie that nobody collects."""
    try:
        return Path(f"/proc/{pid.strip()}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_exits_with_0_has_no_error() -> None:
    ran = shell("echo fine; echo and well >&2")
    assert ran.error == ""
    assert ran.output == "fine\nand well"
    assert 0 < ran.seconds < 60


def test_an_exit_code_is_named() -> None:
    assert shell("echo no permission; exit 7").error == '"/bin/sh" exited with 7'
    assert shell("echo no permission; exit 7").output == "no permission"


def test_a_signal_is_named() -> None:
    assert shell("kill -KILL $$").error == '"/bin/sh" was ended by SIGKILL'


def test_a_signal_without_a_name_is_numbered() -> None:
    assert shell("kill -40 $$").error == '"/bin/sh" was ended by signal 40'


def test_a_program_that_is_not_there_is_named() -> None:
    assert program("/no/such/program").error == '"/no/such/program" could not be started: no such file or directory'


def test_a_program_that_may_not_be_run_is_named(tmp_path: Path) -> None:
    script = tmp_path / "deploy.sh"
    script.write_text("#!/bin/sh\n")
    assert program(script).error == f'"{script}" could not be started: permission denied'


def test_a_script_without_an_interpreter_is_named(tmp_path: Path) -> None:
    script = tmp_path / "deploy.sh"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    assert program(script).error == f'"{script}" could not be started: exec format error'


def test_there_is_no_shell() -> None:
    assert program("/bin/echo", "$HOME; `id` * && exit 1").output == "$HOME; `id` * && exit 1"


def test_it_is_told_what_happens_on_top_of_what_the_daemon_knows() -> None:
    ran = shell('echo "$ROLLBACKD_KIND $PATH"', ROLLBACKD_KIND="rollback")
    assert ran.output == f"rollback {os.environ['PATH']}"


def with_env(script: str, env: dict[str, str], **environment: str) -> Ran:
    return run(Command(("/bin/sh", "-c", script), LONG, env), environment, threading.Event())


def test_the_rule_file_adds_to_what_the_daemon_knows() -> None:
    assert with_env('echo "$MODE $HOME"', {"MODE": "fast", "HOME": "/app"}).output == "fast /app"
    assert with_env('echo "$PATH"', {"MODE": "fast"}).output == os.environ["PATH"]


def test_the_rule_file_does_not_say_what_happened() -> None:
    ran = with_env('echo "$ROLLBACKD_KIND $ROLLBACKD_MODE"', {"ROLLBACKD_KIND": "promote", "ROLLBACKD_MODE": "fast"}, ROLLBACKD_KIND="rollback")
    assert ran.output == "rollback fast"


def test_what_the_rule_file_passes_on_is_not_put_on_record() -> None:
    env = {"TOKEN": "s3cret-token", "LONGER": "s3cret-token-of-another", "MODE": "fast"}
    ran = with_env('echo "$MODE $TOKEN $LONGER"; exit 3', env)
    assert ran.error == '"/bin/sh" exited with 3'
    assert ran.output == "fast (value of TOKEN) (value of LONGER)"


def test_an_environment_that_no_process_can_have_is_an_error_without_its_value() -> None:
    for value in ("s3cret\0", "s3cret\udc00\ud800"):
        assert with_env("true", {"TOKEN": value}).error == '"/bin/sh" could not be started: its arguments or its environment are no text'


def test_it_has_nothing_to_read() -> None:
    assert shell("cat; echo end").output == "end"


def test_what_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    ran = shell('sh -c "sleep 1000 & echo \\$! >> $1; wait" & echo $! >> $1; wait', pids, timeout=SHORT)
    assert ran.error == '"/bin/sh" did not end within 300ms and was killed'
    started = pids.read_text().split()
    assert started
    wait_until(lambda: not any(map(is_alive, started)), "every process to be gone")


def test_what_does_not_listen_is_killed_all_the_same(tmp_path: Path) -> None:
    ran = shell('trap "" TERM; echo $$ > $1; while :; do sleep 0.1; done', tmp_path / "pid", timeout=SHORT)
    assert "was killed" in ran.error
    assert not is_alive((tmp_path / "pid").read_text())


def test_a_child_that_does_not_listen_does_not_outlive_its_parent(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    deaf = 'trap "" TERM; echo $$ >> $1; while :; do sleep 0.1; done'
    ran = shell(f"sh -c '{deaf}' sh $1 & wait", pids, stop=stopped_when(pids.exists))
    assert "more urgent" in ran.error
    wait_until(lambda: not any(map(is_alive, pids.read_text().split())), "the child to be gone")


def test_it_may_clean_up_when_it_is_told_to_end() -> None:
    ran = shell('trap "echo cleaned; exit 0" TERM; echo begun; while :; do sleep 0.01; done', timeout=SHORT)
    said = ran.output.splitlines()
    assert (said[0], said[-1]) == ("begun", "cleaned")
    assert ran.error, "late is late, whatever it says about itself"


def test_something_more_urgent_cuts_it_short(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    ran = shell("touch $1; sleep 1000", begun, stop=stopped_when(begun.exists))
    assert ran.error == '"/bin/sh" had to give way to something more urgent and was killed'
    assert ran.seconds < 30


def test_a_grandchild_that_keeps_the_output_open_holds_nobody_up(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    ran = shell("sleep 1000 & echo $! > $1; echo done", pid)
    assert (ran.error, ran.output) == ("", "done")
    assert ran.seconds < 30
    assert is_alive(pid.read_text()), "a server that a command starts goes on"
    os.kill(int(pid.read_text()), 9)


def test_of_a_flood_the_end_is_kept() -> None:
    ran = shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo the last words")
    assert len(ran.output) <= 16 * 1024
    assert ran.output.endswith("line 2999\nthe last words")


def test_a_flood_without_end_does_not_fill_the_disk() -> None:
    script = (
        "import os, sys, time\n"
        "end, biggest = time.monotonic() + 2, 0\n"
        "while time.monotonic() < end:\n"
        "    os.write(1, b'x' * 65536)\n"
        "    time.sleep(0.0005)\n"
        "    biggest = max(biggest, os.fstat(1).st_size)\n"
        "os.write(1, b'\\nbiggest %d' % biggest)\n"
    )
    ran = program(sys.executable, "-c", script)
    assert ran.error == ""
    biggest = int(ran.output.rpartition("biggest ")[2])
    assert 0 < biggest < 64 * 1024 * 1024


def test_output_that_is_no_text_is_kept_as_well_as_can_be() -> None:
    assert shell(r"printf 'a\377b'").output == "a\N{REPLACEMENT CHARACTER}b"
