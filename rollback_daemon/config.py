"""The daemon's own configuration (`--config.file`): which Prometheus, which Alertmanagers, which rule files.

Lives here: reading that file, and the rule files that it names, as one loadable whole. Must not live here: starting anything.
"""

import glob
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from rollback_daemon import documents
from rollback_daemon.documents import Document
from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.http_client import CREDENTIALS, HTTPClient
from rollback_daemon.rules.load import load_all, undefined_roles
from rollback_daemon.rules.model import Rollout
from rollback_daemon.schema import Interval, Name, Part, Text


class Global(Part):
    """What holds for every rollout that does not say otherwise."""

    evaluation_interval: Interval = timedelta(seconds=15)
    external_labels: dict[str, str] = {}


class PrometheusPart(HTTPClient):
    """The Prometheus-compatible API that is asked. `timeout` is the most that all questions of one cycle may take."""

    timeout: Interval = timedelta(seconds=10)


class Alerting(Part):
    """The Alertmanagers that are told; all of them get all alerts."""

    alertmanagers: list[HTTPClient] = []
    resend_delay: Interval = timedelta(minutes=1)


class Web(Part):
    """What the API asks of callers, beyond what `--web.config.file` says. `open_reading`: whoever has no login may still read."""

    open_reading: bool = False


class Configuration(Part):
    """The daemon's configuration file."""

    model_config = ConfigDict(title="rollbackd configuration")
    global_: Global = Field(default_factory=Global, alias="global")
    prometheus: PrometheusPart
    alerting: Alerting = Field(default_factory=Alerting)
    rule_files: list[Text] = Field(min_length=1)
    roles: dict[Name, list[Text]] = {}
    web: Web = Field(default_factory=Web)


def roles_of(configuration: Configuration, name: str) -> frozenset[str]:
    """The roles that a caller of this name has; upper and lower case count."""
    return frozenset(role for role, users in configuration.roles.items() if name in users)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and every rollout that it guards, checked as a whole."""

    configuration: Configuration
    rollouts: tuple[Rollout, ...]
    file: str = ""


def load(file: str | Path) -> Loaded:
    """Read the configuration and all its rule files. Raises ConfigurationError with every mistake in all of them."""
    configuration, document = read(file)
    problems = _missing_secrets(configuration, document)
    files, more = _rule_files(configuration, document)
    problems += more
    rollouts: list[Rollout] = []
    try:
        rollouts = load_all(files, configuration.global_.evaluation_interval)
        problems += undefined_roles(rollouts, configuration.roles)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return Loaded(configuration, tuple(rollouts), str(file))


def read(file: str | Path) -> tuple[Configuration, Document]:
    """The configuration file alone. Relative paths in it count from its own folder."""
    document = documents.read(file)
    configuration, problems = documents.validate(document, Configuration, CREDENTIALS)
    if configuration is None or document.problems:
        raise ConfigurationError([*document.problems, *problems])
    return _placed(configuration, Path(document.file).parent), document


def _placed(configuration: Configuration, folder: Path) -> Configuration:
    """The configuration with the files of its clients named from `folder`."""
    alerting = configuration.alerting
    told = [client.under(folder) for client in alerting.alertmanagers]
    update = {"prometheus": configuration.prometheus.under(folder), "alerting": alerting.model_copy(update={"alertmanagers": told})}
    return configuration.model_copy(update=update)


def _rule_files(configuration: Configuration, document: Document) -> tuple[list[str], list[Problem]]:
    folder = Path(document.file).parent
    files: list[str] = []
    problems: list[Problem] = []
    for index, pattern in enumerate(configuration.rule_files):
        found = sorted(glob.glob(str(folder / pattern)))  # noqa: PTH207 (an absolute pattern stays absolute)
        if not found:
            problems.append(document.problem(("rule_files", index), f'"{pattern}" names no file'))
        files += [name for name in found if name not in files]
    return files, problems


def _missing_secrets(configuration: Configuration, document: Document) -> list[Problem]:
    problems: list[Problem] = []
    clients: list[tuple[tuple[Any, ...], HTTPClient]] = [(("prometheus",), configuration.prometheus)]
    clients += [(("alerting", "alertmanagers", index), client) for index, client in enumerate(configuration.alerting.alertmanagers)]
    for trail, client in clients:
        problems += [document.problem(trail, f'the file "{name}" does not exist') for name in client.secret_files() if not Path(name).is_file()]
    return problems
