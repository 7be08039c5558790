"""Durations as Go's programs write them: `5m`, `1h30m`, `1.5h`, `90s`. Lives here: text to timedelta. Must not live here: Prometheus' own."""

import re
from datetime import timedelta

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_LONGEST = 9e12  # milliseconds, as many as a duration of Prometheus can have
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def go_duration(text: str) -> timedelta:
    """The duration, rounded to milliseconds. Raises ValueError for anything else, and for one that is nothing."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'"{text}" is no duration; write it like 5m or 30s')
    millis = sum(float(number) * _SECONDS[unit] for number, unit in parts) * 1000
    if not 0.5 < millis < _LONGEST:
        raise ValueError(f'"{text[:20]}" is no duration that can be used; write it like 5m or 30s')
    return timedelta(milliseconds=round(millis))
