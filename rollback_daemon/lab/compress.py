"""A rule file with its time running faster: every duration divided, ranges in PromQL included, limits and everything else left alone.

For demonstrations and acceptance tests, which act out hours of rule time in seconds on the very files that are shipped.
"""

import re
from datetime import timedelta

from rollback_daemon.durations import format_duration, parse_duration

_KEYS = "interval|max_gap|max_age|soak|for|keep_firing_for|initial_delay|every"
_DURATION = r"[0-9][0-9ywdhms]*"
_SETTING = re.compile(rf"(\b(?:{_KEYS}):\s*)({_DURATION})\b")
_RANGE = re.compile(rf"(\[)({_DURATION})(?=[\]:])")


def compress(text: str, factor: float) -> str:
    """The text of a rule file in which an hour takes 1/`factor` of an hour. Nothing becomes shorter than 100 ms."""

    def shorter(match: re.Match[str]) -> str:
        duration = parse_duration(match[2])
        return match[1] + format_duration(max(duration / factor, timedelta(milliseconds=100)) if duration else duration)

    return _RANGE.sub(shorter, _SETTING.sub(shorter, text))
