"""After TAB a shell offers the verbs, and the names of the rollouts that the daemon has; it never complains."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollback_daemon.lab.servers import Server, free_port

RULES = """\
rollout: %s
owner: payments
mode: observe
flags: {store: dotenv, path: flags.env}
baseline: {SHARE: "0"}
stages: [{stage: canary, exposure: 10%%, set: {SHARE: "10"}}]
signals: {errors: {expr: vector(0)}}
triggers: [{alert: Errors, signal: errors, above: 1}]
"""
COMPLETED: dict[str, Callable[[str], dict[str, str]]] = {  # how typer's own scripts ask
    "bash": lambda words: {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": words},
    "fish": lambda words: {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A daemon with three rollouts, whose Prometheus is away."""
    folder = tmp_path_factory.mktemp("guarded")
    for name in ("checkout", "cheese", "search"):
        (folder / f"{name}.yml").write_text(RULES.replace("flags.env", f"{name}.env") % name)
    config = folder / "rollbackd.yml"
    config.write_text(f"prometheus: {{url: 'http://127.0.0.1:{free_port()}'}}\nrule_files: ['[cs]*.yml']\n")
    command = [sys.executable, "-m", "rollback_daemon", "run", "--config.file", str(config), "--storage.url", f"sqlite:///{folder}/journal.db"]
    with Server("rollbackd", folder, lambda port: [*command, "--web.listen-address", f"127.0.0.1:{port}"], ready="/-/healthy") as server:
        yield server


def offered(shell: str, words: str, url: str) -> str:
    """What typer answers to the script of a shell."""
    environment = {**os.environ, **COMPLETED[shell](words), "_ROLLBACKD_COMPLETE": f"complete_{shell}", "ROLLBACKD_URL": url}
    done = subprocess.run([sys.executable, "-m", "rollback_daemon"], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", COMPLETED)
def test_every_shell_is_offered_verbs_and_names(shell: str, daemon: Server) -> None:
    assert "promote" in offered(shell, "rollbackd pro", daemon.url)
    found = offered(shell, "rollbackd promote che", daemon.url)
    assert [name in found for name in ("checkout", "cheese", "search")] == [True, True, False]


def test_a_daemon_that_is_away_offers_nothing() -> None:
    assert offered("bash", "rollbackd promote che", f"http://127.0.0.1:{free_port()}").split() == []


def test_bash_completes_with_the_script_that_the_command_prints(daemon: Server, tmp_path: Path) -> None:
    command = tmp_path / "rollbackd"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rollback_daemon "$@"\n')
    command.chmod(0o755)
    typed = """
        source <(_ROLLBACKD_COMPLETE=source_bash rollbackd)
        COMP_WORDS=(rollbackd rollback se) COMP_CWORD=2
        _rollbackd_completion rollbackd
        echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ROLLBACKD_URL": daemon.url}
    done = subprocess.run(["bash", "-c", typed], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("search\n", "")
