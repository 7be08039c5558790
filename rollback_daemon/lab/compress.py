"""A rule file with its time running faster: durations divided, ranges in PromQL included, limits and everything else left alone.

For demonstrations and acceptance tests, which act out hours of rule time in seconds on the very files that are shipped.
"""

import re
from datetime import timedelta

from rollback_daemon.durations import format_duration, parse_duration

_KEYS = "interval|max_gap|max_age|soak|for|keep_firing_for|initial_delay|every|min_data|window"
_DURATION = r"[0-9][0-9ywdhms]*"
_SETTING = re.compile(rf"(\b(?:{_KEYS}):\s*)({_DURATION})\b")
_OF_WINDOW = re.compile(rf"(\bwindow:\s*{_DURATION}\s*,\s*at_least:\s*)({_DURATION})\b")  # the one `at_least` that is a duration
_RANGE = re.compile(rf"(\[)({_DURATION})(?=[\]:])")
_LONG = timedelta(hours=1)


def compress(text: str, factor: float, hours: float | None = None) -> str:
    """The text of a rule file in which a minute takes 1/`factor` of a minute, and what is an hour or longer 1/`hours` of itself.

    Without `hours` all of it takes 1/`factor`. Nothing becomes shorter than 100 ms. What people are given time for stays as it is: how long their
    votes count and how old a rehearsal may be (`expires`, `within`), and how long a step may take (`timeout`).
    """

    def shorter(match: re.Match[str]) -> str:
        duration = parse_duration(match[2])
        divisor = hours if hours is not None and duration >= _LONG else factor
        return match[1] + format_duration(max(duration / divisor, timedelta(milliseconds=100)) if duration else duration)

    return _RANGE.sub(shorter, _SETTING.sub(shorter, _OF_WINDOW.sub(shorter, text)))
