"""What one question brought back: a value for each series, no data, or a failure. Three things, all the way through.

Lives here: the types. Must not live here: how to ask, or what an answer means for a rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

Labels = tuple[tuple[str, str], ...]
"""A label set without `__name__`, sorted by name: what tells the series of one answer apart."""


class Failure(StrEnum):
    """Why a question brought no answer; also the value of the metric label `outcome`."""

    UNREACHABLE = "unreachable"  # no connection, or it broke
    TIMEOUT = "timeout"  # no complete answer before the deadline of the cycle
    REFUSED = "refused"  # the server said no: bad query, not authorised, too many samples
    SERVER = "server_error"  # the server said that it has a problem (5xx)
    MALFORMED = "malformed"  # an answer came, but it is not what the API promises


@dataclass(frozen=True, slots=True)
class Value:
    """At least one series with a number (finite or infinite, never NaN).

    `unknown` names the series that were there without a usable number, with the reason. `warnings` are the server's own words. `notes` say
    more about a number where it is not what was asked for itself: `7.1, baseline 3.2`.
    """

    series: Mapping[Labels, float]
    unknown: Mapping[Labels, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: Mapping[Labels, str] = field(default_factory=dict)


NOTHING = "the query returned nothing"


@dataclass(frozen=True, slots=True)
class NoData:
    """The server answered, and there is nothing to judge: an empty result, NaN, samples too old, too little traffic."""

    why: str
    warnings: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the answer had no series at all, which for a pasted alerting rule means that all is well."""
        return self.why == NOTHING


@dataclass(frozen=True, slots=True)
class Failed:
    """The question could not be answered."""

    reason: Failure
    why: str


Observation = Value | NoData | Failed


def labels_of(metric: Mapping[str, str]) -> Labels:
    """A label set as Prometheus' API gives it, as a key. Halves of characters, which no text may hold, are written out."""
    return tuple(sorted((name, value if value.isascii() else _whole(value)) for name, value in metric.items() if name != "__name__"))


def _whole(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def address(url: str) -> str:
    """A URL as it may be shown and kept: without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def endpoint_labels(url: str) -> Labels:
    """The label set of an HTTP endpoint: its address."""
    return (("endpoint", address(url)),)


def show_labels(labels: Labels) -> str:
    """`{code="500"}`, or nothing for the empty set."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
