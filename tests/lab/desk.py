"""A small rule file and test files for it, for the tests of `rollbackd test`."""

from pathlib import Path

RULES = """\
rollout: checkout
owner: shop
interval: 15s
flags: {store: dotenv, path: /srv/checkout/.env}
baseline: {NEW: "false"}
stages:
  - {stage: canary, exposure: 10%, set: {NEW: "true"}, soak: 10m, requires: {checkpoints: [day-0]}}
  - {stage: full, exposure: 100%, set: {NEW: all}, soak: 10m}
signals:
  errors: {expr: errors_ratio}
gates:
  - {gate: Errors, signal: errors, below: 1%}
triggers:
  - {alert: ErrorsHigh, signal: errors, above: 5%, for: 1m, severity: critical}
break_glass: [boss]
"""

HEAD = "rule_files: [checkout.yml]\ntests:\n"


def desk(folder: Path, tests: str, *, head: str = HEAD, rules: str = RULES) -> Path:
    """A folder with the rule file and a test file, which is returned; `tests` are the entries of its list."""
    (folder / "checkout.yml").write_text(rules, encoding="utf-8")
    file = folder / "test.yml"
    file.write_text(head + tests, encoding="utf-8")
    return file
