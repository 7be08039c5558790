"""Durations, ratios and sizes as people write them in rule files, and back again.

Durations follow Prometheus: decimal integers with the units y w d h m s ms, largest first, each at most once (`1h30m`, `500ms`, `0`).
A year is 365 days. Lives here: text to number and back. Must not live here: which field means what.
"""

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

_UNITS = {"y": 365 * 86400_000, "w": 7 * 86400_000, "d": 86400_000, "h": 3600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in _UNITS))
_LONGEST = (2**63 - 1) // 10**6  # milliseconds: Prometheus counts nanoseconds in 64 bits
_WORDS = {
    "milliseconds?|millis|msecs?|ms": "ms",
    "seconds?|secs?|s": "s",
    "minutes?|mins?|m": "m",
    "hours?|hrs?|h": "h",
    "days?|d": "d",
    "weeks?|w": "w",
    "years?|y": "y",
}
_SLOPPY = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)\s*(?:" + "|".join(f"(?P<{unit}>{words})" for words, unit in _WORDS.items()) + r")(?![a-z])\s*", re.IGNORECASE
)
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")

_KILO = {f"{prefix}B": Decimal(1000) ** power for power, prefix in enumerate("kMGTP", 1)}
_KIBI = {f"{prefix}iB": Decimal(1024) ** power for power, prefix in enumerate("KMGTP", 1)}
_SIZES: Mapping[str, Decimal] = {"B": Decimal(1), "KB": Decimal(1000), **_KILO, **_KIBI}
_SIZE = re.compile(r"([-+]?[0-9]*\.?[0-9]+)\s*(" + "|".join(sorted(_SIZES, key=len, reverse=True)) + ")")

_RATIO_UNITS = {"%": Decimal(1), "percent": Decimal(1), "ratio": Decimal("0.01")}  # what 1% is, in each
_TIME_UNITS = {  # in milliseconds
    **{unit: Decimal("1e-6") for unit in ("ns", "nanoseconds")},
    **{unit: Decimal("1e-3") for unit in ("us", "µs", "microseconds")},
    **{unit: Decimal(1) for unit in ("ms", "milliseconds")},
    **{unit: Decimal(1000) for unit in ("s", "seconds")},
    **{unit: Decimal(60_000) for unit in ("m", "min", "minutes")},
    **{unit: Decimal(3_600_000) for unit in ("h", "hours")},
    **{unit: Decimal(86_400_000) for unit in ("d", "days")},
}
_SIZE_UNITS = {"bytes": Decimal(1), **_SIZES}


def parse_duration(text: str) -> timedelta:
    """`1h30m` as a timedelta. Raises ValueError, with the remedy, for anything Prometheus would not accept."""
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f'"{text}" is no duration; {_duration_remedy(text)}')
    millis = sum(int(count or 0) * size for count, size in zip(match.groups(), _UNITS.values(), strict=True))
    if millis > _LONGEST:
        raise ValueError(f'"{text}" is longer than a duration can be; Prometheus ends at 292y')
    return timedelta(milliseconds=millis)


def _duration_remedy(text: str) -> str:
    if text.startswith("-"):
        return "it cannot be negative"
    if text.isdigit() and text.isascii():
        return f'it has no unit, write for instance "{text}s"'
    meant = _sloppy(text.strip())
    return f'write "{format_duration(meant)}"' if meant else "write it as Prometheus does, for instance 15s, 5m, 1h30m or 500ms"


def _sloppy(text: str) -> timedelta | None:
    """What somebody probably meant by `1.5m`, `5 min` or `30m1h`: only ever a suggestion."""
    millis, end = Decimal(0), 0
    while end < len(text):
        match = _SLOPPY.match(text, end)
        if match is None or match.lastgroup is None:
            return None
        millis += Decimal(match[1]) * _UNITS[match.lastgroup]
        end = match.end()
    whole = millis == int(millis) and 0 < millis <= _LONGEST
    return timedelta(milliseconds=int(millis)) if whole else None


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


def format_coarse(duration: timedelta) -> str:
    """A duration for people: whole seconds, rounded down, from one second on."""
    return format_duration(duration - duration % timedelta(seconds=1) if duration >= timedelta(seconds=1) else duration)


def parse_quantity(value: float | str, unit: str = "") -> float:
    """A limit as a number in the signal's own unit.

    `1%` is 0.01 (or 1 where the unit is `%`), `200ms` is 0.2 (or 200 where the unit is `ms`), `100MB` is 1e8 (or 100 where the unit is `MB`),
    `1KiB` is 1024; a plain number is in the unit already. Raises ValueError for text that is none of these, for numbers that are not finite, and
    where one kind of quantity is compared with another (`1%` of a signal in `s`).
    """
    try:
        number = float(_parse_text(value.strip(), unit) if isinstance(value, str) else value)
    except (OverflowError, ArithmeticError):
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f'"{_short(value)}" is not a finite number; a limit must be one')
    return number


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _parse_text(text: str, unit: str) -> Decimal | float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if text.endswith("%") and _NUMBER.fullmatch(text[:-1].rstrip()):
        return Decimal(text[:-1].rstrip()) * _in_unit(text, "ratio", unit, _RATIO_UNITS, Decimal("0.01"))  # exact: 0.1% is the float 0.001
    if size := _SIZE.fullmatch(text):
        return Decimal(size[1]) * _SIZES[size[2]] / _in_unit(text, "size", unit, _SIZE_UNITS, Decimal(1))
    sign, bare = (-1, text[1:]) if text.startswith("-") else (1, text)
    try:
        millis = parse_duration(bare) // timedelta(milliseconds=1)
    except ValueError:
        if meant := _sloppy(bare):
            raise ValueError(f'"{text}" is no limit; write "{format_duration(sign * meant)}"') from None
        raise ValueError(f'"{text}" is no limit; write a number, a ratio (1%), a duration (200ms) or a size (100MB)') from None
    return Decimal(sign * millis) / _in_unit(text, "duration", unit, _TIME_UNITS, Decimal(1000))


def _in_unit(text: str, kind: str, unit: str, units: Mapping[str, Decimal], base: Decimal) -> Decimal:
    """The factor of the signal's unit. Without a unit it is that of Prometheus' base units: ratios, seconds, bytes."""
    if unit and unit not in units:
        raise ValueError(f'"{text}" is a {kind}, but the signal is in "{unit}"; write a plain number in that unit')
    return units.get(unit, base)


def format_number(value: float) -> str:
    """A figure as people read it: up to six significant digits, no trailing zeros (`0.031`, `98`, `+Inf`)."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.6g}"
