"""A rule file with its time running faster: durations divided, ranges in PromQL included, limits and everything else left alone.

For demonstrations and acceptance tests, which act out hours of rule time in seconds on the very files that are shipped.
"""

import re
from datetime import timedelta

from rollback_daemon.durations import format_duration, parse_duration

_KEYS = "interval|max_gap|max_age|soak|for|keep_firing_for|initial_delay|every|min_data|window|escalate_after|cooldown|in|after"
_DURATION = r"[0-9][0-9ywdhms]*"
_SETTING = re.compile(rf"(\b(?:{_KEYS}):\s*)({_DURATION})\b")
_OF_WINDOW = re.compile(rf"(\bwindow:\s*{_DURATION}\s*,\s*at_least:\s*)({_DURATION})\b")  # the one `at_least` that is a duration
_OF_RECOVERY = re.compile(rf"(\bfor:\s*({_DURATION})\s*,\s*within:\s*)({_DURATION})\b")  # the one `within` that gives nobody time
_UNTIL = re.compile(rf"(\bclear for\s+)({_DURATION})\b")
_LATER = re.compile(r"\bafter:\s*\[[^\]]*\]")  # of follow-ups: a list of durations
_ONE = re.compile(rf"([\[,]\s*)({_DURATION})\b")
_RANGE = re.compile(rf"((?<!after: )\[)({_DURATION})(?=[\]:])")
_LONG = timedelta(hours=1)


def compress(text: str, factor: float, hours: float | None = None) -> str:
    """The text of a rule file in which a minute takes 1/`factor` of a minute, and what is an hour or longer 1/`hours` of itself.

    Without `hours` all of it takes 1/`factor`. Nothing becomes shorter than 100 ms. What people are given time for stays as it is: how long their
    votes count and how old a rehearsal may be (`expires`, `within`), and how long a step may take (`timeout`).
    The `within` beside a `for` is no such time: how long a recovery may take gets shorter with how long it has to last.
    """

    def divided(text: str, as_is: str) -> str:
        duration = parse_duration(text)
        divisor = hours if hours is not None and parse_duration(as_is) >= _LONG else factor
        return format_duration(max(duration / divisor, timedelta(milliseconds=100)) if duration else duration)

    def shorter(match: re.Match[str]) -> str:
        return match[1] + divided(match[2], match[2])

    text = _OF_RECOVERY.sub(lambda match: match[1] + divided(match[3], match[2]), text)  # as much shorter as its `for`
    for pattern in (_OF_WINDOW, _UNTIL, _SETTING, _RANGE):
        text = pattern.sub(shorter, text)
    return _LATER.sub(lambda match: _ONE.sub(shorter, match[0]), text)
