"""The documents are true: their YAML is loaded, their commands are run, and what exists is mentioned."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rollback_daemon import config
from rollback_daemon.errors import ConfigurationError
from rollback_daemon.faces.alerts import JOURNAL_UNWRITABLE, ROLLOUT_ALERTS
from rollback_daemon.faces.cli import app
from rollback_daemon.faces.metrics import PREFIX, Metrics, RolloutCollector
from rollback_daemon.flags.stores import STORES
from rollback_daemon.judge.transitions import diagram
from rollback_daemon.rules.load import load

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "deploy/README.md", "rules/TESTING.md", "rules/TRYING.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    return [text for found, text in BLOCK.findall((ROOT / document).read_text()) if found == language]


def named(document: str) -> dict[str, str]:
    """Its YAML blocks by the file name in their first line."""
    return {text.splitlines()[0].removeprefix("# "): text for text in blocks(document, "yaml")}


def rollbackd(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as it is written."""
    return subprocess.run([sys.executable, "-m", "rollback_daemon", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_every_yaml_example_of_the_readme_loads(tmp_path: Path) -> None:
    for name, text in named("README.md").items():
        (tmp_path / name).write_text(text)
    assert load(tmp_path / "checkout.yml").name == "checkout"
    assert [rollout.name for rollout in config.load(tmp_path / "rollbackd.yml").rollouts] == ["checkout"]


def test_the_configuration_example_of_the_deployment_guide_loads(tmp_path: Path) -> None:
    (tmp_path / "rollbackd.yml").write_text(named("deploy/README.md")["rollbackd.yml"])
    with pytest.raises(ConfigurationError) as refused:
        config.load(tmp_path / "rollbackd.yml")
    assert [problem.text for problem in refused.value.problems] == ['"rules/*.yml" names no file']


def test_every_shell_example_runs(tmp_path: Path) -> None:
    for name, text in named("README.md").items():
        (tmp_path / name).write_text(text)
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for document in DOCUMENTS:
        for line in "".join(blocks(document, "sh")).splitlines():
            command = line.split("#")[0].split()
            if command[0] == "make":
                assert command[1] in targets
                continue
            done = subprocess.run(["sh", "-ec", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, line + done.stderr


@pytest.mark.parametrize("line", [line for document in DOCUMENTS for block in blocks(document, "console") for line in block.splitlines()])
def test_every_command_shown_is_one_that_the_command_line_understands(line: str, tmp_path: Path) -> None:
    """Without a daemon, a verb that was understood ends with 3 ("could not tell"), or 2 with a missing file; a misspelt one says "No such"."""
    (tmp_path / "soak.json").write_text("{}")  # what the examples hand in
    arguments = shlex.split(line.removeprefix("$ "))
    assert arguments[0] == "rollbackd"
    if arguments[1] == "backtest":  # needs no daemon, but a history; its options are understood before it looks for the file
        done = rollbackd(*arguments[1:], cwd=tmp_path)
        assert (done.returncode, "checkout.yml" in done.stderr) == (2, True), done.stderr
        return
    more = [] if arguments[1] == "run" else ["--url", "http://127.0.0.1:9"]
    done = rollbackd(*arguments[1:], *more, cwd=tmp_path)
    assert done.returncode == (2 if arguments[1] == "run" else 3), done.stderr
    assert "No such" not in done.stderr.replace("No such file", "")


def test_every_verb_stands_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    verbs = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert [verb for verb in verbs if f"rollbackd {verb}" not in text] == []


def test_every_metric_stands_in_the_deployment_guide_with_its_help() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    registry.register(RolloutCollector(lambda: ()))
    text = (ROOT / "deploy/README.md").read_text()
    for family in registry.collect():
        name = family.name.removeprefix(PREFIX) + ("_total" if family.type == "counter" else "")
        assert f"| `{name}` | {family.documentation} |" in text


def test_every_alert_stands_in_the_deployment_guide_with_its_meaning() -> None:
    text = (ROOT / "deploy/README.md").read_text()
    for name, alert in ROLLOUT_ALERTS.items():
        assert f"| `{name}` | {alert.severity} | {alert.meaning} |" in text
    assert f"| `{JOURNAL_UNWRITABLE}` |" in text


def test_every_flag_store_stands_in_the_rule_reference() -> None:
    text = (ROOT / "rules/README.md").read_text()
    assert [name for name in STORES if f"`{name}`" not in text] == []


def test_the_diagram_of_phases_is_the_table_that_the_judge_reads() -> None:
    assert blocks("rules/README.md", "mermaid") == [diagram() + "\n"]


def test_the_module_map_is_the_tree() -> None:
    assert blocks("README.md", "text") == [module_map()]


def module_map() -> str:
    """The package, a line for each folder and top-level module, with the first sentence of its docstring."""
    package = ROOT / "rollback_daemon"
    lines = ["rollback_daemon/"]
    for path in sorted(package.iterdir(), key=lambda one: (one.is_dir(), one.name)):
        source = path / "__init__.py" if path.is_dir() else path
        if path.name in {"__init__.py", "__pycache__", "py.typed"} or not source.is_file():
            continue
        first = re.split(r"\.(\s|$)", source.read_text().split('"""')[1], maxsplit=1)[0].replace("\n", " ")
        lines.append(f"  {path.name + ('/' if path.is_dir() else ''):<18}{first}")
    return "\n".join(lines) + "\n"
