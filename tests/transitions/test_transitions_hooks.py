"""Commands after a change, as real processes: how they end, what they print, and that none is left behind."""

import contextlib
import os
import resource
import signal
import stat
import string
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.judge.transitions import Kind
from rollback_daemon.lab.servers import wait_until
from rollback_daemon.rules.duties import Command
from rollback_daemon.transitions.hooks import Ran, run
from rollback_daemon.transitions.printed import Printed
from tests.transitions.rehearsal import Scene

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
    assert with_env('echo "$MODE $HOME"', {"MODE": "dry", "HOME": "/me"}).output == "dry /me"
    assert with_env('echo "$PATH"', {"MODE": "dry"}).output == os.environ["PATH"]


def test_the_rule_file_does_not_say_what_happened() -> None:
    ran = with_env('echo "$ROLLBACKD_KIND $ROLLBACKD_MODE"', {"ROLLBACKD_KIND": "promote", "ROLLBACKD_MODE": "dry"}, ROLLBACKD_KIND="rollback")
    assert ran.output == "rollback dry"


def test_what_the_rule_file_passes_on_is_not_put_on_record() -> None:
    env = {"TOKEN": "s3cret-token", "LONGER": "s3cret-token-of-another", "MODE": "dry", "WORD": "hush"}
    ran = with_env('echo "$MODE $TOKEN $LONGER $WORD"; exit 3', env)
    assert ran.error == '"/bin/sh" exited with 3'
    assert ran.output == "dry (value of TOKEN) (value of LONGER) (value of WORD)"


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


def test_what_a_command_leaves_in_the_background_is_ended_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    ran = shell('trap "" TERM; sleep 1000 & echo $! > $1; echo done', pid)
    assert (ran.error, ran.output) == ("", "done")
    assert ran.seconds < 30
    wait_until(lambda: not is_alive(pid.read_text()), "it to be gone")


def test_what_is_printed_in_the_background_at_the_end_is_kept() -> None:
    assert shell("(sleep 0.01; echo last words) & echo done").output == "done\nlast words"


def test_a_flood_in_the_background_ends_with_the_command(tmp_path: Path) -> None:
    ran = shell("yes & echo $! > $1", tmp_path / "pid")
    assert ran.error == ""
    assert ran.seconds < 30
    wait_until(lambda: not is_alive((tmp_path / "pid").read_text()), "it to be gone")


def test_what_makes_itself_independent_of_a_command_finds_that_nobody_listens(tmp_path: Path) -> None:
    script = f"setsid {sys.executable} -c 'import os, time\nwhile True: os.write(1, bytes(9)); time.sleep(0.01)' & echo $! > $1"
    assert shell(script, tmp_path / "pid").error == ""
    wait_until(lambda: not is_alive((tmp_path / "pid").read_text()), "it to end")


SERVICE = """
import os, pathlib, sys
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
written = 0
while True:
    written += os.write(1, b"x" * 4096)
    pathlib.Path(sys.argv[2]).write_text(str(written))
"""
MUCH = 1024 * 1024  # bytes; more than any pipe holds


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """A command that leaves a service in the background, which prints without end and counts what it printed."""
    pid, count = tmp_path / "pid", tmp_path / "count"

    def starting(then: str = "", argument: str = "", timeout: timedelta = LONG) -> Command:
        wait = "while [ ! -s $4 ]; do sleep 0.01; done"
        script = f'"$1" -c "$2" "$3" "$4" & {wait}; echo restarted; {then}'
        return Command(("/bin/sh", "-c", script, "sh", sys.executable, SERVICE, str(pid), str(count), argument), timeout)

    yield starting
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIGKILL)


def goes_on(tmp_path: Path) -> bool:
    """Whether the service prints on, and prints much."""
    before = int((tmp_path / "count").read_text() or 0)
    wait_until(lambda: int((tmp_path / "count").read_text() or 0) > before + MUCH, "it to print more")
    return is_alive((tmp_path / "pid").read_text())


def test_a_service_that_may_be_left_goes_on_and_what_it_prints_is_on_no_disk(service: Callable[..., Command], tmp_path: Path) -> None:
    ran = run(service(), {}, threading.Event(), may_leave=True)
    assert ran.error == ""
    assert ran.seconds < 30
    pid = (tmp_path / "pid").read_text()
    assert stat.S_ISFIFO(Path(f"/proc/{pid}/fd/1").stat().st_mode)
    assert goes_on(tmp_path)


def test_a_service_that_may_be_left_outlives_the_daemon(service: Callable[..., Command], tmp_path: Path) -> None:
    command = service()
    daemon = (
        "import threading; from datetime import timedelta; from rollback_daemon.rules.duties import Command\n"
        "from rollback_daemon.transitions.hooks import run\n"
        f"run(Command({command.argv!r}, timedelta(seconds=30)), {{}}, threading.Event(), may_leave=True)\n"
        f"import time; time.sleep(0.5)\n"
    )
    subprocess.run([sys.executable, "-c", daemon], check=True, timeout=60)
    assert goes_on(tmp_path)


def test_after_a_change_a_service_may_be_left(service: Callable[..., Command], tmp_path: Path) -> None:
    scene = Scene.of(Kind.PROMOTE, "baseline", "canary", command=service()).run()
    assert scene.error is None
    assert goes_on(tmp_path)


def test_a_restart_goes_on_when_the_daemon_is_killed_in_the_middle_of_it(tmp_path: Path) -> None:
    script = f"touch {tmp_path}/begun; while [ ! -e {tmp_path}/killed ]; do echo waiting; sleep 0.01; done; echo going on; touch {tmp_path}/restarted"
    daemon = (
        "import threading; from datetime import timedelta; from rollback_daemon.rules.duties import Command\n"
        "from rollback_daemon.transitions.hooks import run\n"
        f"run(Command(('/bin/sh', '-c', {script!r}), timedelta(seconds=30)), {{}}, threading.Event(), may_leave=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", daemon]) as process:
        wait_until((tmp_path / "begun").exists, "the command to begin")
        process.kill()
    (tmp_path / "killed").touch()
    wait_until((tmp_path / "restarted").exists, "the command to end")


def test_a_service_that_may_be_left_is_ended_with_a_command_that_takes_too_long(service: Callable[..., Command], tmp_path: Path) -> None:
    ran = run(service("sleep 1000", timeout=timedelta(seconds=1)), {}, threading.Event(), may_leave=True)
    assert ran.error == '"/bin/sh" did not end within 1s and was killed'
    wait_until(lambda: not is_alive((tmp_path / "pid").read_text()), "the service to be gone")


def test_of_a_flood_the_end_is_kept() -> None:
    ran = shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo the last words")
    assert len(ran.output) <= 16 * 1024
    assert ran.output.endswith("line 2999\nthe last words")


def test_what_is_printed_is_on_no_disk() -> None:
    script = "import os, stat; print(all(stat.S_ISFIFO(os.fstat(one).st_mode) for one in (1, 2)))"
    assert program(sys.executable, "-c", script).output == "True"


def test_a_flood_without_end_takes_no_memory_and_no_longer_than_the_timeout() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ran = shell("yes", timeout=timedelta(seconds=1))
    assert ran.error == '"/bin/sh" did not end within 1s and was killed'
    assert len(ran.output) <= 16 * 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB


def test_a_command_that_closes_its_output_is_waited_for() -> None:
    ran = shell("echo done; exec >&- 2>&-; sleep 0.3; exit 3")
    assert (ran.error, ran.output) == ('"/bin/sh" exited with 3', "done")


def test_output_that_is_no_text_is_kept_as_well_as_can_be() -> None:
    assert shell(r"printf 'a\377b'").output == "a\N{REPLACEMENT CHARACTER}b"


# values of the rule file


def test_a_value_is_masked_without_the_space_around_it_and_as_json_has_it() -> None:
    env = {"TOKEN": " s3cret-token\n", "QUOTED": 'gro\u00df "und" geheim'}
    ran = with_env(r"""printf '%s|%s|%s' s3cret-token 'gro\u00df \"und\" geheim' 'groß \"und\" geheim'""", env)
    assert ran.output == "(value of TOKEN)|(value of QUOTED)|(value of QUOTED)"


def test_values_that_overlap_leave_nothing_of_either() -> None:
    env = {"FIRST": "0123456789", "SECOND": "6789abcdef"}
    assert with_env("echo -0123456789abcdef-", env).output == "-(value of FIRST)-"


@pytest.mark.parametrize("after", [0, 1, 20, 40, 63, 64, 65])
def test_a_value_where_the_output_is_cut_leaves_nothing_of_itself(after: int) -> None:
    secret = string.ascii_letters + string.digits + "+-"
    ran = with_env(f"i=0; while [ $i -lt 400 ]; do printf %s $TOKEN; i=$((i+1)); done; head -c {after} /dev/zero | tr '\\0' .", {"TOKEN": secret})
    said = ran.output.replace("(value of TOKEN)", "")
    assert not set(said) & set(secret)
    assert "(value of TOKEN)" in ran.output


@given(st.lists(st.text("ab", min_size=8, max_size=12), min_size=1, max_size=3), st.lists(st.text("ab-", max_size=30), max_size=4))
def test_nothing_of_a_value_is_left_whatever_is_printed(values: list[str], between: list[str]) -> None:
    env = {f"V{number}": value for number, value in enumerate(values)}
    with Printed(env) as printed:
        os.write(printed.sink, "".join(text + values[index % len(values)] for index, text in enumerate(between)).encode())
        printed.rest(0)
        said = printed.text()
    assert not any(value in part for value in values for part in said.split("("))
