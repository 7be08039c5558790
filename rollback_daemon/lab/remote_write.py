"""Puts samples with times of their own into a real Prometheus, through its remote-write receiver (Prometheus 2.33 and later).

The request is a protobuf `WriteRequest` (Prometheus' `prompb/types.proto`), "compressed" as one run of Snappy literals. Unlike blocks that promtool
makes of a text, it can carry staleness markers and native histograms, and needs no restart. The server must run with RECEIVER, and for native
histograms with NATIVE_HISTOGRAMS.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import requests

RECEIVER = "--web.enable-remote-write-receiver"
NATIVE_HISTOGRAMS = "--enable-feature=native-histograms"
STALE: Final = "stale"
"""A sample that is the staleness marker."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """A native histogram of floats. `positive` and `negative` are the counts of buckets by their index, which `schema` gives its width: with schema
    0 the positive bucket 1 is (1, 2]. With schema -53 the `bounds` are the buckets' own upper ones, and the first has the index 0.

    `hint` says whether the counts began anew: 0 unknown, 1 yes, 2 no, 3 it is a gauge.
    """

    count: float = 0.0
    sum: float = 0.0
    schema: int = 0
    zero_count: float = 0.0
    zero_width: float = 0.0
    positive: Mapping[int, float] = field(default_factory=dict)
    negative: Mapping[int, float] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    hint: int = 0


Sample = tuple[float, float | str | Histogram]
"""Unix seconds, and a value, STALE or a native histogram."""

_STALE_BITS = struct.pack("<Q", 0x7FF0000000000002)


@dataclass(frozen=True, slots=True)
class Series:
    """One series: all its labels, `__name__` included, and its samples in the order of their times; `histograms` are empty ones at these times.

    Prometheus takes the numbers of a request before its histograms: a series with both, in turns, needs a request for each turn.
    """

    labels: Mapping[str, str]
    samples: Iterable[Sample] = ()
    histograms: Iterable[float] = ()


def write(url: str, series: Iterable[Series]) -> None:
    """Send the series to the server at `url`. Raises RuntimeError with its words when it does not take them."""
    body = _snappy(b"".join(_field(1, _series(one)) for one in series))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{url}/api/v1/write", data=body, headers=headers, timeout=30)
    if not answer.ok:
        raise RuntimeError(f"{url} did not take the samples: HTTP {answer.status_code}: {answer.text.strip()}")


def _series(series: Series) -> bytes:
    labels = (_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(series.labels.items()))
    samples = (_sample(at, value) for at, value in series.samples)
    histograms = (_sample(at, Histogram()) for at in series.histograms)
    return b"".join([*labels, *samples, *histograms])


def _sample(at: float, value: float | str | Histogram) -> bytes:
    millis = round(at * 1000)
    if isinstance(value, Histogram):
        return _field(4, _histogram(value) + _number(15, millis))
    return _field(2, _double(1, value) + _number(2, millis))


def _histogram(one: Histogram) -> bytes:
    figures = _double(2, one.count) + _double(3, one.sum) + _signed(4, one.schema) + _double(5, one.zero_width) + _double(7, one.zero_count)
    buckets = _buckets(8, 10, one.negative) + _buckets(11, 13, one.positive)
    return figures + buckets + _number(14, one.hint) + (_doubles(16, one.bounds) if one.bounds else b"")


def _buckets(of_spans: int, of_counts: int, counts: Mapping[int, float]) -> bytes:
    """Buckets that follow one another are a span; its offset is the first one's index, and from the second span on the gap before it."""
    spans: list[list[int]] = []
    after = 0
    for index in sorted(counts):
        if spans and index == after:
            spans[-1][1] += 1
        else:
            spans.append([index - after, 1])
        after = index + 1
    written = (_field(of_spans, _signed(1, offset) + _number(2, length)) for offset, length in spans)
    return b"".join(written) + (_doubles(of_counts, [counts[index] for index in sorted(counts)]) if counts else b"")


def _doubles(number: int, values: Iterable[float]) -> bytes:
    return _field(number, b"".join(struct.pack("<d", value) for value in values))


def _signed(number: int, value: int) -> bytes:
    return _number(number, value << 1 ^ value >> 31)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & 0xFFFFFFFFFFFFFFFF)  # a negative one as 64 bits


def _double(number: int, value: float | str) -> bytes:
    return _varint(number << 3 | 1) + (_STALE_BITS if isinstance(value, str) else struct.pack("<d", value))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _snappy(data: bytes) -> bytes:
    """Snappy's block format with nothing but literals: a tag, the length less one in two bytes, the bytes."""
    parts = [data[start : start + 65536] for start in range(0, len(data), 65536)]
    return _varint(len(data)) + b"".join(b"\xf4" + struct.pack("<H", len(part) - 1) + part for part in parts)
