"""Puts samples with times of their own into a real Prometheus, through its remote-write receiver (Prometheus 2.33 and later).

The request is a protobuf `WriteRequest`, "compressed" as one run of Snappy literals. Unlike back-filled blocks it can carry staleness markers and
native histograms, and needs no restart. The server must run with RECEIVER.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import requests

RECEIVER = "--web.enable-remote-write-receiver"
STALE: Final = "stale"
"""A sample that is the staleness marker."""

Sample = tuple[float, float | str]
"""Unix seconds, and a value or STALE."""

_STALE_BITS = struct.pack("<Q", 0x7FF0000000000002)


@dataclass(frozen=True, slots=True)
class Series:
    """One series: all its labels, `__name__` included, and its samples in the order of their times; `histograms` are empty ones at these times."""

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
    samples = (_field(2, _double(1, value) + _number(2, round(at * 1000))) for at, value in series.samples)
    histograms = (_field(4, _number(1, 0) + _double(3, 0.0) + _number(4, 0) + _number(15, round(at * 1000))) for at in series.histograms)
    return b"".join([*labels, *samples, *histograms])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


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
