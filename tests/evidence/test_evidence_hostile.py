"""Whatever stands in a file: its reader says what is wrong with it, and raises nothing else; and what it raises in spite of that ends nobody."""

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.evidence import KINDS
from rollback_daemon.evidence.kind import DefectOfReader, Kind, NoSettings, Result, Source
from tests.evidence.raw import NOW
from tests.evidence.samples import GOOD, JUNIT, REPORTLOG, lines

FIRST_DAY, LAST_DAY = "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"
HOSTILE: list[Any] = [None, True, -1, 1e308, 10**39, 253402300800, -62135596801, "", "\ud800", FIRST_DAY, LAST_DAY, [], {}, [None] * 3]
ENCODINGS = ["GBK", "utf-7", "UTF-16", "idna", "nonsense"]
TRAILS = {  # of all entries of a list, one is enough
    "results": json.loads(GOOD["results"][0]),
    "soak": json.loads(GOOD["soak"][0]),
    "parity": json.loads(GOOD["parity"][0]),
    "pytest_json": json.loads(GOOD["pytest_json"][0]),
    "release_gate": json.loads(GOOD["release_gate"][0]),
    "shadow_diff": json.loads(GOOD["shadow_diff"][0]),
}


def changed(value: Any, other: Any) -> Iterator[Any]:
    """The document with `other` in the place of each part of it, of lists of their first entry."""
    yield other
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: one} for one in changed(inner, other))
    elif isinstance(value, list) and value:
        yield from ([one, *value[1:]] for one in changed(value[0], other))


def survives(kind: str, data: bytes) -> None:
    """The reader itself, not what stands before it."""
    settings = KINDS[kind].settings.model_validate(GOOD[kind][1])
    try:
        result = KINDS[kind].reader(Source(data, "evidence", NOW), settings)
    except ConfigurationError:
        return
    assert result.made_at is None or NOW - result.made_at.astimezone(UTC)
    json.dumps([dict(result.figures), dict(result.facts)], allow_nan=False)


@pytest.mark.parametrize("kind", TRAILS)
def test_no_document_ends_its_reader(kind: str) -> None:
    for other in HOSTILE:
        for document in changed(TRAILS[kind], other):
            survives(kind, json.dumps(document).encode())


def test_no_line_and_no_text_ends_its_reader() -> None:
    for other in HOSTILE:
        survives("jsonl", json.dumps({"timestamp": other, "latency_ms": 1}).encode() + b"\n")
        survives("number", str(other).encode("utf-8", "surrogatepass"))
        for document in changed(REPORTLOG[3], other):
            survives("pytest_json", lines([REPORTLOG[0], document, REPORTLOG[-1]]).encode())
        for attribute in ("timestamp", "tests", "name"):
            survives("junit", f'<testsuite {attribute}="{other}"/>'.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_that_cannot_be_read_is_said(encoding: str) -> None:
    data = JUNIT.replace('encoding="utf-8"', f'encoding="{encoding}"').encode()
    with pytest.raises(ConfigurationError, match=r"UTF-8|is no XML"):
        KINDS["junit"].reader(Source(data, "evidence", NOW), KINDS["junit"].settings())


def test_a_time_that_only_its_own_zone_has_is_none() -> None:
    for moment in (FIRST_DAY, LAST_DAY):
        with pytest.raises(ConfigurationError, match="is no time"):
            KINDS["results"].read(Source(json.dumps({"engine": "v3", "started_at": moment, "cases": []}).encode(), "raw.json", NOW), None)


def test_a_reader_that_trips_refuses_the_file_and_says_where() -> None:
    def trips(_source: Source, _settings: NoSettings) -> Result:
        raise ZeroDivisionError

    kind = Kind("one that trips", {}, trips)
    with pytest.raises(DefectOfReader, match=r"raw.json: cannot be read: ZeroDivisionError in test_evidence_hostile.py, line \d+") as error:
        kind.read(Source(b"", "raw.json", NOW), NoSettings())
    assert isinstance(error.value.__cause__, ZeroDivisionError)
