"""The systemd unit is one that systemd takes, closed as far as it says, and starts a daemon that tells systemd how it is."""

import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import free_port

SYSTEMD = Path(__file__).resolve().parents[2] / "deploy/systemd"
UNIT = SYSTEMD / "rollbackd.service"
INSTALLED = "/opt/rollbackd/bin/rollbackd"
EXPOSURE = 15  # of 100, as systemd-analyze counts it
# Two of the unit's walls can be had without systemd (prctl(2)): PR_SET_NO_NEW_PRIVS, and PR_SET_MDWE for MemoryDenyWriteExecute=, where the
# kernel knows it.
WALLED = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
libc.prctl(65, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def settings(key: str) -> list[str]:
    """The values of a key of the unit, in their order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def said_by(program: str, *arguments: str | Path) -> str:
    """What a program of systemd prints; it must succeed."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_systemd_has_nothing_to_say_against_the_unit_and_its_drop_in(tmp_path: Path) -> None:
    (tmp_path / "rollbackd.service").write_text(UNIT.read_text().replace(INSTALLED, sys.executable))
    drop_ins = tmp_path / "rollbackd.service.d"
    drop_ins.mkdir()
    shutil.copy(SYSTEMD / "flags.conf", drop_ins)
    assert said_by("systemd-analyze", "verify", "--man=no", tmp_path / "rollbackd.service") == ""


def test_the_unit_is_as_closed_as_it_says() -> None:
    said_by("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", UNIT)


def test_the_user_and_the_folders_are_made_as_the_unit_wants_them(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    said_by("systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "rollbackd.sysusers")
    made = (tmp_path / "etc/passwd").read_text()
    assert [made.split(":")[0]] == settings("User") == settings("Group")
    (tmp_path / "etc/passwd").write_text(made + f"root:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n")  # whoever runs the tests stands for root
    me = pwd.getpwuid(os.getuid()).pw_name
    folders = (SYSTEMD / "rollbackd.tmpfiles").read_text()
    (tmp_path / "mine.conf").write_text(re.sub(r"\b(root|rollbackd) rollbackd -", f"{me} {os.getgid()} -", folders))
    said_by("systemd-tmpfiles", f"--root={tmp_path}", "--create", tmp_path / "mine.conf")
    assert (tmp_path / "etc/rollbackd/rules").is_dir()
    assert (tmp_path / "etc/rollbackd").stat().st_mode & 0o777 == 0o750


def test_the_example_is_a_configuration_that_check_accepts() -> None:
    done = subprocess.run([sys.executable, "-m", "rollback_daemon", "check", SYSTEMD / "rollbackd.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Manager:
    """What stands for systemd: the socket that a service tells how it is."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(30)

    def hears(self) -> list[str]:
        """The next message that is no sign of life, without its times."""
        while (lines := self.raw()) == ["WATCHDOG=1"]:
            pass
        return [line for line in lines if not line.startswith("MONOTONIC_USEC=")]

    def raw(self) -> list[str]:
        """The next message, line by line."""
        return self._socket.recv(4096).decode().splitlines()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


@contextmanager
def started(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, ended at the end whatever comes."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_the_unit_starts_is_ready_lives_reloads_and_stops_as_systemd_wants_to_be_told(tmp_path: Path) -> None:
    shutil.copytree(SYSTEMD, tmp_path / "etc")
    configuration = tmp_path / "etc/rollbackd.yml"
    configuration.write_text(re.sub(r"^alerting:\n(  .*\n)+", "", configuration.read_text(), flags=re.MULTILINE))  # nobody to wait for at the end
    (line,) = settings("ExecStart")
    line = line.replace("/etc/rollbackd", str(tmp_path / "etc")).replace("/var/lib/rollbackd", str(tmp_path))
    words = shlex.split(line.replace("$ARGS", f"--web.listen-address 127.0.0.1:{free_port()}"))
    assert words[0] == INSTALLED
    words[:1] = [sys.executable, "-c", WALLED, sys.executable, "-m", "rollback_daemon"]
    (watchdog,) = settings("WatchdogSec")
    manager = Manager(tmp_path)
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": str(int(watchdog.removesuffix("s")) * 1_000_000)}
    with started(words, tmp_path, environment) as process:
        assert manager.hears() == ["READY=1", "STATUS=guarding 1 rollouts"]
        assert manager.raw() == ["WATCHDOG=1"]
        process.send_signal(signal.SIGHUP)
        assert manager.hears() == ["RELOADING=1"]
        assert manager.hears() == ["READY=1"]
        process.terminate()
        assert manager.hears() == ["STOPPING=1"]
        assert process.wait(30) == 0
    manager.close()
    assert (tmp_path / "journal.db").is_file()


def test_systemd_waits_longer_for_the_end_than_the_daemon_takes() -> None:
    """A transition under way gets 30 s at the end, hooks and alerts a few more (`guard`); killed before that, the next start would go on with it."""
    (stop,) = settings("TimeoutStopSec")
    assert int(stop.removesuffix("s")) >= 45
