"""Verbs about files, with no daemon running: `check` and `schema`."""

from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rollback_daemon.faces.cli.client import FORMAT, USAGE, Format, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rollback_daemon.errors import Problem


class Subject(StrEnum):
    """What a schema is wanted of."""

    RULES = "rules"
    CONFIG = "config"
    TESTS = "tests"
    EVIDENCE_RESULTS = "evidence-results"
    EVIDENCE_SOAK = "evidence-soak"
    EVIDENCE_PARITY = "evidence-parity"


def schema(
    subject: Annotated[
        Subject, typer.Argument(help="Of a rule file, the daemon's configuration, a test file, or a file of evidence.")
    ] = Subject.RULES,
) -> None:
    """Print the JSON Schema of a file, for editors."""
    from pydantic import BaseModel

    from rollback_daemon.config import Configuration
    from rollback_daemon.evidence.parity import ParityReport
    from rollback_daemon.evidence.scoring.raw_results import RawResults
    from rollback_daemon.evidence.soak import SoakReport
    from rollback_daemon.lab.testing.schema import TestFile
    from rollback_daemon.rules.schema import RuleFile

    forms: dict[Subject, type[BaseModel]] = {
        Subject.RULES: RuleFile,
        Subject.CONFIG: Configuration,
        Subject.TESTS: TestFile,
        Subject.EVIDENCE_RESULTS: RawResults,
        Subject.EVIDENCE_SOAK: SoakReport,
        Subject.EVIDENCE_PARITY: ParityReport,
    }
    made = forms[subject].model_json_schema()
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **made})


def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="Rule files, test files, configurations (with their rule files), web configurations.")
    ],
    prometheus: Annotated[str, typer.Option("--prometheus", help="Also ask this server whether it understands every query.")] = "",
    expand: Annotated[bool, typer.Option("--expand", help="Also print the queries of each trigger, and the same as a rule of Prometheus.")] = False,
    output: FORMAT = Format.TABLE,
) -> None:
    """Say what is wrong with files, all at once; and how each trigger is understood, and what tends to go wrong with it."""
    from rollback_daemon.errors import ConfigurationError
    from rollback_daemon.faces.cli import here_check
    from rollback_daemon.faces.cli.server_check import Server
    from rollback_daemon.rules import advice
    from rollback_daemon.rules.expansion import expanded

    try:
        rollouts = _rollouts(paths)
        server = Server(prometheus) if prometheus else None
        if server:
            server.check(rollouts)
    except ConfigurationError as error:
        _refuse(error.problems, output)
    scrape: timedelta | None = server.scrape_interval if server else None
    warnings = {one.file: [*advice.warnings(one, scrape), *here_check.warnings(one)] for one in rollouts}
    queries = {one.file: [*expanded(one)] if expand else [] for one in rollouts}
    if output is Format.JSON:
        found = [
            {
                "rollout": one.name,
                "file": one.file,
                "understood": advice.understood(one),
                "warnings": [_as_json(warning) for warning in warnings[one.file]],
                **({"expanded": [asdict(trigger) for trigger in queries[one.file]]} if expand else {}),
            }
            for one in rollouts
        ]
        print_json({"ok": True, "rollouts": found})
        return
    for path in map(str, paths):
        if all(path != one.file for one in rollouts):  # a configuration, or a file of tests
            typer.echo(f"{path}: ok")
    for one in rollouts:
        ladder = " > ".join(stage.name for stage in one.stages)
        typer.echo(f"{one.file}: ok: {one.name}: {ladder}; gates: {len(one.gates)}, triggers: {len(one.triggers)}")
        for line in [*advice.understood(one), *(f"warning: {warning}" for warning in warnings[one.file])]:
            typer.echo(f"  {line}")
        for trigger in queries[one.file]:
            _show(trigger)


def _refuse(problems: "Sequence[Problem]", output: Format) -> NoReturn:
    if output is Format.JSON:
        print_json({"ok": False, "problems": [_as_json(problem) for problem in problems]})
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
        typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
    raise typer.Exit(USAGE) from None


def _show(trigger: Any) -> None:
    """One trigger in PromQL; an expression of several lines keeps them, to be copied."""
    typer.echo(f"  {trigger.alert} ({trigger.kind})")
    for query in trigger.asks:
        typer.echo(indent(query, "      ").replace("      ", "    asks: ", 1))
    if not trigger.alert_expr:
        typer.echo("    no alerting rule of Prometheus says the same")
        return
    typer.echo("    as an alerting rule of Prometheus:")
    typer.echo(indent(trigger.alert_expr, "      "))
    for more in trigger.beside:
        typer.echo(f"    which does not ask for {more}")


def _rollouts(paths: list[Path]) -> list[Any]:
    from rollback_daemon import config, documents
    from rollback_daemon.errors import ConfigurationError, Problem
    from rollback_daemon.faces.http import web_config
    from rollback_daemon.lab.testing import load as testing
    from rollback_daemon.rules.load import load_all

    rules: list[Path] = []
    rollouts: list[Any] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            value = documents.read(path).value
            if isinstance(value, dict) and "tests" in value:
                testing.load(path)
            elif isinstance(value, dict) and ("rule_files" in value or "prometheus" in value):
                rollouts += config.load(path).rollouts
            elif isinstance(value, dict) and web_config.KEYS & value.keys():
                web_config.read(str(path))
            else:
                rules.append(path)
        except ConfigurationError as error:
            problems += error.problems
    try:
        rollouts += load_all(rules)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return rollouts


def _as_json(problem: Any) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "column": problem.column, "path": problem.path, "text": problem.text}


VERBS = (check, schema)
