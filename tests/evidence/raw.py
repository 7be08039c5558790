"""Raw result files made up for tests, and reading them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.kind import Result, Source
from rollback_daemon.evidence.scoring.raw_results import RawFile, read_raw

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEGIN = datetime(2026, 11, 20, 3, tzinfo=UTC)
READER, OPERATOR = "ai.reader", "ai.operator"


def at(minutes: float) -> str:
    """A time, so many minutes after the first session began."""
    return (BEGIN + timedelta(minutes=minutes)).isoformat()


def case(name: str = "FIN-01", run: int = 1, minutes: float | None = None, **other: Any) -> dict[str, Any]:
    """One run of a case: a good one, a minute after the other for each number, if nothing else is said."""
    good = {"passed": True, "output_shape_ok": True, "latency_ms": 812, "write_safety_incident": False}
    return {"id": name, "run": run, "started_at": at(run if minutes is None else minutes), "role": READER, "benchmark": "clear", **good, **other}


def both(name: str = "FIN-01", run: int = 1, **other: Any) -> list[dict[str, Any]]:
    """A run of a case in either role."""
    return [case(name, run, role=role, **other) for role in (READER, OPERATOR)]


def text(*cases: dict[str, Any], engine: str = "v3_canary", began: float = 0, **other: Any) -> bytes:
    """A raw result file."""
    return json.dumps({"engine": engine, "started_at": at(began), "cases": list(cases), **other}).encode()


def raw(*cases: dict[str, Any], name: str = "raw.json", engine: str = "v3_canary", began: float = 0) -> RawFile:
    """A raw result file that was read."""
    return read_raw(Source(text(*cases, engine=engine, began=began), name, NOW))


def read(kind: str, data: bytes | str, **settings: Any) -> Result:
    """A file of evidence, read at NOW."""
    source = Source(data.encode() if isinstance(data, str) else data, "evidence", NOW)
    return KINDS[kind].read(source, KINDS[kind].settings.model_validate(settings))
