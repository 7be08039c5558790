"""What is measured: a daemon on given rules, and rule files of some size.

Lives here: files and processes. Must not live here: figures.
"""

import json
import sys
from pathlib import Path

from rollback_daemon.lab.servers import Server
from rollback_daemon.lab.toolset import CHECKOUT

SIGNALS = 250
TRIGGERS = 1000
_FLAGS = """\
USE_SPICE=false
USE_PIPELEX=false
PIPELEX_FALLBACK_MODE=true
ROLLOUT_PERCENTAGE=0
"""
_HEAD = """\
rollout: {name}
owner: nobody
interval: {interval}
flags: {{store: dotenv, path: {flags}, backups: 3}}
baseline: {{USE_SPICE: "false"}}
stages:
  - {{stage: all, exposure: 100%, soak: 0s, set: {{USE_SPICE: "true"}}}}
"""


def daemon(folder: Path, rules: str, prometheus_url: str) -> Server:
    """A daemon on one rule file and a journal of its own; not started yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    (folder / "flags.env").write_text(_FLAGS, encoding="utf-8")
    (folder / "rollbackd.yml").write_text(json.dumps({"prometheus": {"url": prometheus_url}, "rule_files": ["rules.yml"]}), encoding="utf-8")

    def command(port: int) -> list[str | Path]:
        settings: list[str | Path] = ["--config.file", folder / "rollbackd.yml", "--storage.url", f"sqlite:///{folder / 'journal.db'}"]
        return [sys.executable, "-m", "rollback_daemon", "run", *settings, "--web.listen-address", f"127.0.0.1:{port}"]

    return Server("rollbackd", folder, command)


def system_a(folder: Path) -> str:
    """`rules/spice-pipelex.yml` as it is shipped, on a flag file of this folder and without its command."""
    text = (CHECKOUT / "rules" / "spice-pipelex.yml").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "after_change" not in line]
    return "\n".join(kept).replace("/srv/genesis/.env.production", str(folder / "flags.env")) + "\n"


def one_trigger(folder: Path) -> str:
    """A single stage that is taken back at once."""
    head = _HEAD.format(name="bench", interval="1s", flags=folder / "flags.env")
    return f"{head}signals: {{load: {{expr: max(load)}}}}\ntriggers:\n  - {{alert: LoadHigh, signal: load, above: 0.5}}\n"


def many_triggers(folder: Path) -> str:
    """A thousand triggers on 250 signals, four limits on each."""
    head = _HEAD.format(name="many", interval="5s", flags=folder / "flags.env")
    signals = "\n".join(f"  signal_{number}: {{expr: 'load{{n=\"{number}\"}}'}}" for number in range(SIGNALS))
    triggers = "\n".join(
        f"  - {{alert: High{number}, signal: signal_{number % SIGNALS}, above: {number // SIGNALS + 1}, for: 5m}}" for number in range(TRIGGERS)
    )
    return f"{head}signals:\n{signals}\ntriggers:\n{triggers}\n"


def as_alerting_rules() -> str:
    """The same thousand as Prometheus' own alerting rules."""
    rules = [
        {"alert": f"High{number}", "expr": f'load{{n="{number % SIGNALS}"}} > {number // SIGNALS + 1}', "for": "5m"} for number in range(TRIGGERS)
    ]
    return json.dumps({"groups": [{"name": "many", "interval": "5s", "rules": rules}]})
