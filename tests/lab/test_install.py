"""The installation scripts do nothing where there is nothing to do, and say what is missing where they cannot help."""

import os
import subprocess
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"


def run(script: str, *arguments: str | Path, path: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/bash", DEPLOY / script, *arguments]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)


def programs(folder: Path, *names: str, script: str = "exit 0") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        (folder / name).chmod(0o755)
    return str(folder)


def test_tools_on_path_are_enough_whatever_alertmanager_is_called(tmp_path: Path) -> None:
    for alertmanager in ("alertmanager", "prometheus-alertmanager"):
        path = programs(tmp_path / alertmanager, "prometheus", "promtool", "amtool", alertmanager)
        done = run("install-tools.sh", tmp_path / "tools", path=path)
        assert (done.returncode, done.stdout.count("nothing to do")) == (0, 1)
    assert not (tmp_path / "tools").exists()


def test_tools_laid_before_are_enough(tmp_path: Path) -> None:
    programs(tmp_path / "tools" / "bin", "prometheus", "promtool", "amtool", "prometheus-alertmanager")
    done = run("install-tools.sh", tmp_path / "tools", path="/nowhere")
    assert (done.returncode, done.stdout.count("nothing to do")) == (0, 1)


def test_without_tools_and_without_apt_it_says_what_to_do(tmp_path: Path) -> None:
    done = run("install-tools.sh", tmp_path / "tools", path=programs(tmp_path / "bin", "prometheus"))
    assert done.returncode == 1
    assert "put prometheus, promtool, alertmanager and amtool on PATH" in done.stderr


def test_an_old_python_is_refused_with_its_version_and_a_way_out(tmp_path: Path) -> None:
    old = programs(tmp_path, "python3", script='case "$2" in *exit*) exit 1;; *) echo 3.10;; esac')
    done = run("install-venv.sh", tmp_path / "venv", "python3", path=f"{old}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert '"python3" is Python 3.10, and 3.11 or newer is needed' in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_missing_venv_is_installed_with_apt(tmp_path: Path) -> None:
    programs(tmp_path, "python3", script='case "$2" in *ensurepip*) exit 1;; *print*) echo 3.11;; esac')
    programs(tmp_path, "apt-get", "sudo", script=f'echo "$@" >> {tmp_path}/asked')
    done = run("install-venv.sh", tmp_path / "venv", "python3", path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert "installing python3.11-venv with apt-get" in done.stdout
    assert "install -y --no-install-recommends python3.11-venv" in (tmp_path / "asked").read_text(encoding="ascii")
