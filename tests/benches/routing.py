"""One evaluation of a split flag by the provider for applications, beside flagd's own provider on the same flag in its file mode.

Lives here: taking turns, and the table. Must not live here: how it is shown together with others (`bench.py`).
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import FeatureProvider
from rich.table import Table

from rollback_daemon.routing.assistant import ASSISTANT_V3
from rollback_daemon.routing.provider import FlagFileProvider
from tests.benches.figures import median, timed

ROUNDS = 30
EVALUATIONS = 1000  # a round
STARTS = 5
SESSIONS = [EvaluationContext("someone", {"session_name": f"session-{number}"}) for number in range(EVALUATIONS)]
OURS, THEIRS = "rollback_daemon.routing.provider", "openfeature.contrib.provider.flagd"
_SPLIT = {"fractional": [{"var": "session_name"}, ["v3", 25], ["v2", 75]]}


def routing(folder: Path) -> Table:
    """The table: medians of rounds that take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = _provider(folder / "flags.json"), _flagd(folder / "flagd.json")
    try:
        bare = [_resolving(ours), _resolving(theirs)]
        asked = [_asking("ours"), _asking("theirs")]
        table = Table("what", "rollbackd", "flagd, file mode", "ratio", title=f"one evaluation of a flag that is split (median of {ROUNDS} rounds)")
        _add(table, "by the provider", *_turns(bare, ROUNDS), scale=1e6 / EVALUATIONS, unit="µs")
        _add(table, "through OpenFeature's client", *_turns(asked, ROUNDS), scale=1e6 / EVALUATIONS, unit="µs")
        _add(table, "a process that imports it", *_turns([_importing(OURS), _importing(THEIRS)], STARTS), scale=1e3, unit="ms")
    finally:
        api.clear_providers()
    return table


def _provider(path: Path) -> FeatureProvider:
    path.write_text(json.dumps({"assistant_engine": "v3_canary", "ai_assistant_v3_canary_percent": 25}), encoding="utf-8")
    provider = FlagFileProvider(path, "json", [ASSISTANT_V3])
    api.set_provider_and_wait(provider, "ours")
    return provider


def _flagd(path: Path) -> FeatureProvider:
    flag = {"state": "ENABLED", "variants": {"v2": "v2", "v3": "v3"}, "defaultVariant": "v2", "targeting": _SPLIT}
    path.write_text(json.dumps({"flags": {"assistant_engine": flag}}), encoding="utf-8")
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path))
    api.set_provider_and_wait(provider, "theirs")
    return provider


def _resolving(provider: FeatureProvider) -> Callable[[], object]:
    return lambda: [provider.resolve_string_details("assistant_engine", "v2", session) for session in SESSIONS]


def _asking(domain: str) -> Callable[[], object]:
    client = api.get_client(domain)
    return lambda: [client.get_string_details("assistant_engine", "v2", session) for session in SESSIONS]


def _importing(module: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def _turns(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """The median seconds of each, which take turns."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for seconds, work in zip(taken, works, strict=True):
            seconds.extend(timed(work, 1))
    return [median(seconds) for seconds in taken]


def _add(table: Table, what: str, ours: float, theirs: float, *, scale: float, unit: str) -> None:
    table.add_row(what, f"{ours * scale:.1f} {unit}", f"{theirs * scale:.1f} {unit}", f"{ours / theirs:.2f} x")
