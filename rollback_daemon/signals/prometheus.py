"""How Prometheus (or Thanos, Mimir, VictoriaMetrics) is asked: every distinct query once, all at one time, until one deadline.

Whatever comes back ends as `Value`, `NoData` or `Failed`; nothing raises. Lives here: asking and reading answers.
Must not live here: which queries there are, or what an answer means. There are no retries: the next cycle asks again.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from rollback_daemon.signals.answers import LastAnswer, LimitedAnswers, UnreadableAnswer
from rollback_daemon.signals.observation import NOTHING, Failed, Failure, Labels, NoData, Observation, Value, labels_of
from rollback_daemon.signals.waiting import Waiting, WatchedAdapter

_PARALLEL = 8  # questions under way at once; a rule group of Prometheus asks one at a time
_LONGEST_WORDS = 500  # characters of a server's own words
T = TypeVar("T")

Observe = Callable[[str, float], None]
"""Told the outcome (`ok`, `no_data` or a `Failure`) and the seconds of each query."""


@dataclass(frozen=True, slots=True)
class AlertingRule:
    """An alerting rule that the server has loaded. `health` is `ok`, `err` (then `error` says why) or `unknown`: not evaluated yet."""

    name: str
    group: str
    health: str
    error: str = ""


class Prometheus:
    """A Prometheus-compatible API on one pooled session."""

    def __init__(self, url: str, session: requests.Session, timeout: timedelta, observe: Observe = lambda *_: None) -> None:
        """`timeout` is the most a whole round of questions may take; `session` carries credentials and headers."""
        self._timeout = timeout.total_seconds()
        self._observe = observe
        self._last, self._waiting = LastAnswer(), Waiting()
        base = self._base = url.rstrip("/")
        # Compressing a small answer costs the server more than sending it: measured 0.6 ms of CPU for each.
        session.headers["Accept-Encoding"] = "identity"
        self._session = session
        self._client = PrometheusConnect(base, session=session, retry=0)
        session.mount(base, LimitedAnswers(WatchedAdapter(pool_maxsize=_PARALLEL, max_retries=0), self._last, self._waiting))
        self._workers = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="query")

    def ask(self, queries: Iterable[str], at: datetime, within: timedelta | None = None) -> dict[str, Observation]:
        """The answer to each distinct query, evaluated by the server at `at`.

        Takes at most the timeout, or `within` where that is shorter, whatever the server does.
        """
        allowed = min(self._timeout, within.total_seconds() if within else self._timeout)
        until = _Until(time.monotonic() + allowed, allowed)
        futures = {query: self._workers.submit(self._timed, query, at, until) for query in dict.fromkeys(queries)}
        answers = {query: self._collect(future, until) for query, future in futures.items()}
        self._waiting.end_overdue()
        return answers

    def alert_rules(self, within: timedelta | None = None) -> tuple[AlertingRule, ...] | Failed:
        """Every alerting rule that the server has loaded, in its order. Takes no longer than `ask`."""
        return self._beside(self._rules, within)

    def version(self, within: timedelta | None = None) -> str | Failed:
        """What the server says that it is; "" where it does not say. Takes no longer than `ask`."""
        return self._beside(self._version, within)

    def _beside(self, ask: Callable[[float], T | Failed], within: timedelta | None) -> T | Failed:
        """One question that no evaluation waits for."""
        allowed = min(self._timeout, within.total_seconds() if within else self._timeout)
        until = _Until(time.monotonic() + allowed, allowed)
        future = self._workers.submit(lambda: self._bounded(ask, until))
        try:
            return future.result(timeout=allowed + 0.05)
        except TimeoutError:
            future.cancel()
            return until.failed()
        finally:
            self._waiting.end_overdue()

    def over_time(
        self, query: str, start: datetime, end: datetime, step: timedelta, within: timedelta | None = None
    ) -> Mapping[Labels, Sequence[tuple[float, float]]] | Failed:
        """The points (Unix seconds, value) of each series from `start` to `end`, one every `step`; NaN is left out. Takes no longer than `ask`."""
        return self._beside(lambda left: read_range(self._ranged(query, start, end, step, left)), within)

    def range(
        self, query: str, start: datetime, end: datetime, step: timedelta, within: timedelta | None = None
    ) -> Sequence[Mapping[str, Any]] | Failed:
        """The result of a range query as the API gives it: for each series `metric` and its `values`. Takes no longer than `ask`."""
        return self._beside(lambda left: self._ranged(query, start, end, step, left), within)

    def close(self) -> None:
        """Let go of threads and connections; questions still under way are given up."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._waiting.end_overdue(math.inf)
        self._client.close()

    def _collect(self, future: Future[tuple[Observation, float]], until: "_Until") -> Observation:
        try:
            answer, seconds = future.result(timeout=max(0.0, until.left()) + 0.05)
        except TimeoutError:
            future.cancel()
            answer, seconds = until.failed(), until.allowed
        self._observe(_outcome(answer), seconds)
        return answer

    def _timed(self, query: str, at: datetime, until: "_Until") -> tuple[Observation, float]:
        started = time.monotonic()
        answer = self._answer(query, at, until)
        return answer, time.monotonic() - started

    def _answer(self, query: str, at: datetime, until: "_Until") -> Observation:
        def ask(left: float) -> Observation:
            result = self._client.custom_query(
                query, params={"time": f"{at.timestamp():.3f}", "timeout": f"{max(1, round(left * 1000))}ms"}, timeout=left
            )
            return read(result, self._last.warnings())

        return self._bounded(ask, until)

    def _ranged(self, query: str, start: datetime, end: datetime, step: timedelta, left: float) -> Sequence[Mapping[str, Any]]:
        span = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}  # the client's own are whole seconds
        params = {**span, "timeout": f"{max(1, round(left * 1000))}ms"}
        return list(self._client.custom_query_range(query, start, end, f"{step.total_seconds():.3f}", params=params, timeout=left))

    def _rules(self, left: float) -> tuple[AlertingRule, ...] | Failed:
        answer = self._session.get(f"{self._base}/api/v1/rules", params={"type": "alert"}, timeout=left)
        return read_rules(answer.json()["data"]["groups"]) if answer.status_code == 200 else self._said_no()

    def _version(self, left: float) -> str | Failed:
        answer = self._session.get(f"{self._base}/api/v1/status/buildinfo", timeout=left)
        return str(answer.json()["data"]["version"]) if answer.ok else ""

    def _bounded(self, ask: Callable[[float], T | Failed], until: "_Until") -> T | Failed:
        """What `ask` brings back, told how many seconds are left; a Failed whatever goes wrong."""
        left = until.left()
        if left <= 0:
            return until.failed()
        self._last.start(until.deadline)
        try:
            return ask(left)
        except PrometheusApiClientException:
            return self._said_no()
        except requests.JSONDecodeError:
            return Failed(Failure.MALFORMED, "the answer is not JSON (cut off, or not from Prometheus)")
        except requests.Timeout:
            return until.failed()
        except requests.TooManyRedirects:
            return Failed(Failure.REFUSED, "the server redirects to another address; write that one into the configuration")
        except UnreadableAnswer as error:
            return Failed(Failure.MALFORMED, str(error))
        except requests.RequestException as error:
            return Failed(Failure.UNREACHABLE, f"no answer from {self._base}: {_innermost(error)}")
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            return Failed(Failure.MALFORMED, f"the answer is not what the API promises ({type(error).__name__})")

    def _said_no(self) -> Failed:
        status, body = self._last.status, self._last.body
        try:
            said = json.loads(body)
            words = _in_a_line(f"{said['errorType']}: {said['error']}")
        except (LookupError, TypeError, ValueError, RecursionError):
            words = "no reason given"
        if status in {502, 504} or (status == 503 and "timeout" not in words):
            return Failed(Failure.UNREACHABLE, f"HTTP {status}: {words}")
        if status == 503:
            return Failed(Failure.TIMEOUT, f"HTTP {status}: {words}")
        return Failed(Failure.SERVER if status >= 500 else Failure.REFUSED, f"HTTP {status}: {words}")


@dataclass(frozen=True, slots=True)
class _Until:
    """When a round of questions ends (monotonic seconds), and how many seconds it was given."""

    deadline: float
    allowed: float

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def failed(self) -> Failed:
        return Failed(Failure.TIMEOUT, f"no complete answer within {self.allowed:g}s")


def read(result: Any, warnings: tuple[str, ...] = ()) -> Observation:
    """The `result` of an instant query: a vector (list of series), or a scalar (a pair of time and text).

    Raises LookupError, TypeError, ValueError or AttributeError for what is neither. Two series that differ only in their name cannot be told
    apart and are one unknown series. Native histograms have no single value and are unknown too.
    """
    if not isinstance(result, list):
        raise TypeError("the result is no list")
    if len(result) == 2 and isinstance(result[1], str):
        result = [{"metric": {}, "value": result}]
    series: dict[Labels, float] = {}
    unknown: dict[Labels, str] = {}
    for one in result:
        labels, number = labels_of(one["metric"]), _number(one)
        if labels in series or labels in unknown:
            series.pop(labels, None)
            unknown[labels] = "several series have the same labels; aggregate them"
        elif isinstance(number, str):
            unknown[labels] = number
        else:
            series[labels] = number
    if series:
        return Value(series, unknown, warnings)
    return NoData(next(iter(unknown.values())) if unknown else NOTHING, warnings)


def read_range(result: Any) -> Mapping[Labels, Sequence[tuple[float, float]]]:
    """The `result` of a range query: the points of each series, without those that are no number.

    Raises LookupError, TypeError, ValueError or AttributeError for what is none. Native histograms have no single value and are left out.
    """
    found: dict[Labels, list[tuple[float, float]]] = {}
    for one in result:
        points = ((float(at), float(value)) for at, value in one.get("values", ()))
        found.setdefault(labels_of(one["metric"]), []).extend((at, value) for at, value in points if not math.isnan(value))
    return {labels: points for labels, points in found.items() if points}


def read_rules(groups: Any) -> tuple[AlertingRule, ...]:
    """The alerting rules among the groups of the rules API. Raises LookupError, TypeError or AttributeError for what is none."""
    rules = [(group["name"], rule) for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
    return tuple(AlertingRule(rule["name"], group, rule["health"], _in_a_line(rule.get("lastError") or "")) for group, rule in rules)


def _number(one: Mapping[str, Any]) -> float | str:
    if "histogram" in one:
        return "is a native histogram; use histogram_quantile or histogram_avg"
    if "values" in one:
        raise TypeError("a range of values")
    number = float(one["value"][1])
    return "the value is NaN" if math.isnan(number) else number


def _outcome(answer: Observation) -> str:
    match answer:
        case Value():
            return "ok"
        case NoData():
            return "no_data"
        case Failed():
            return answer.reason.value


def _in_a_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]}..."


def _innermost(error: BaseException) -> str:
    """The cause at the bottom, without addresses of objects: `Connection refused`."""
    while (below := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = below
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
