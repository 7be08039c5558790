"""Durations, ratios and sizes as people write them in rule files, and back again.

Durations follow Prometheus: decimal integers with the units y w d h m s ms, largest first, each at most once (`1h30m`, `500ms`, `0`).
A year is 365 days. Lives here: text to number and back. Must not live here: which field means what.
"""

import math
import re
from datetime import timedelta
from decimal import Decimal

_UNITS = {"y": 365 * 86400_000, "w": 7 * 86400_000, "d": 86400_000, "h": 3600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in _UNITS))
_SIZES = {
    "B": 1.0,
    "KB": 1e3,
    **{f"{prefix}B": 1000.0**power for power, prefix in enumerate("kMGTP", 1)},
    **{f"{prefix}iB": 1024.0**power for power, prefix in enumerate("KMGTP", 1)},
}
_SIZE = re.compile(r"([-+]?[0-9]*\.?[0-9]+)\s*(" + "|".join(sorted(_SIZES, key=len, reverse=True)) + ")")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


def parse_duration(text: str) -> timedelta:
    """`1h30m` as a timedelta. Raises ValueError, with the remedy, for anything Prometheus would not accept."""
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f'"{text}" is no duration; write it as Prometheus does, for instance 15s, 5m, 1h30m or 500ms')
    millis = sum(int(count or 0) * size for count, size in zip(match.groups(), _UNITS.values(), strict=True))
    try:
        return timedelta(milliseconds=millis)
    except OverflowError:
        raise ValueError(f'"{text}" is longer than a duration can be') from None


def format_duration(duration: timedelta) -> str:
    """A timedelta as Prometheus writes it, rounded to milliseconds: `1h30m`, `5m15s`, `0s`; a minus sign where it is negative."""
    millis = round(duration / timedelta(milliseconds=1))
    if millis == 0:
        return "0s"
    sign, millis = ("-", -millis) if millis < 0 else ("", millis)
    parts = []
    for unit, size in _UNITS.items():
        if unit in {"y", "w"} and millis % size:  # as Prometheus: years and weeks only where they are exact
            continue
        count, millis = divmod(millis, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)


def parse_quantity(value: float | str, unit: str = "") -> float:
    """A limit as a number in the signal's own unit.

    `1%` is 0.01 (or 1 where the unit is `%`), `200ms` is 0.2 (or 200 where the unit is `ms`), `100MB` is 1e8, `1KiB` is 1024.
    Raises ValueError for text that is none of these, and for numbers that are not finite.
    """
    number = value if isinstance(value, (int, float)) else _parse_text(value.strip(), unit)
    if not math.isfinite(number):
        raise ValueError(f'"{value}" is not a finite number; a limit must be one')
    return float(number)


def _parse_text(text: str, unit: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if text.endswith("%") and _NUMBER.fullmatch(text[:-1].rstrip()):
        percent = Decimal(text[:-1].rstrip())  # Decimal: 0.1% is exactly the float that 0.001 is
        return float(percent if unit in {"%", "percent"} else percent / 100)
    if size := _SIZE.fullmatch(text):
        return float(size[1]) * _SIZES[size[2]]
    try:
        duration = parse_duration(text.removeprefix("-"))
    except ValueError:
        raise ValueError(f'"{text}" is no limit; write a number, a ratio (1%), a duration (200ms) or a size (100MB)') from None
    seconds = duration.total_seconds() * (1000 if unit == "ms" else 1)
    return -seconds if text.startswith("-") else seconds


def format_number(value: float) -> str:
    """A figure as people read it: up to six significant digits, no trailing zeros (`0.031`, `98`, `+Inf`)."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.6g}"
