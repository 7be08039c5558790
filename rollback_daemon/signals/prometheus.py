"""How Prometheus (or Thanos, Mimir, VictoriaMetrics) is asked: every distinct query once, all at one time, until one deadline.

Whatever comes back ends as `Value`, `NoData` or `Failed`; nothing raises. Lives here: asking and reading answers.
Must not live here: which queries there are, or what an answer means. There are no retries: the next cycle asks again.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import HTTPAdapter

from rollback_daemon.signals.answers import LastAnswer, LimitedAnswers
from rollback_daemon.signals.observation import Failed, Failure, Labels, NoData, Observation, Value, labels_of

_PARALLEL = 8  # questions under way at once; a rule group of Prometheus asks one at a time

Observe = Callable[[str, float], None]
"""Told the outcome (`ok`, `no_data` or a `Failure`) and the seconds of each query."""


class Prometheus:
    """A Prometheus-compatible API on one pooled session."""

    def __init__(self, url: str, session: requests.Session, timeout: timedelta, observe: Observe = lambda *_: None) -> None:
        """`timeout` is the most a whole round of questions may take; `session` carries credentials and headers."""
        self._timeout = timeout.total_seconds()
        self._observe = observe
        self._last = LastAnswer()
        base = url.rstrip("/")
        # Compressing a small answer costs the server more than sending it: measured 0.6 ms of CPU for each.
        session.headers["Accept-Encoding"] = "identity"
        self._client = PrometheusConnect(base, session=session, retry=0)
        session.mount(base, LimitedAnswers(HTTPAdapter(pool_maxsize=_PARALLEL, max_retries=0), self._last))
        self._workers = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="query")

    def ask(self, queries: Iterable[str], at: datetime) -> dict[str, Observation]:
        """The answer to each distinct query, evaluated by the server at `at`. Takes at most the timeout, whatever the server does."""
        deadline = time.monotonic() + self._timeout
        futures = {query: self._workers.submit(self._one, query, at, deadline) for query in dict.fromkeys(queries)}
        return {query: self._collect(future, deadline) for query, future in futures.items()}

    def close(self) -> None:
        """Let go of threads and connections; questions still under way are given up."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _collect(self, future: Future[Observation], deadline: float) -> Observation:
        try:
            return future.result(timeout=max(0.0, deadline - time.monotonic()) + 0.05)
        except TimeoutError:
            future.cancel()
            self._observe(Failure.TIMEOUT, self._timeout)
            return _too_late(self._timeout)

    def _one(self, query: str, at: datetime, deadline: float) -> Observation:
        started = time.monotonic()
        answer = self._answer(query, at, deadline)
        match answer:
            case Value():
                outcome = "ok"
            case NoData():
                outcome = "no_data"
            case Failed():
                outcome = answer.reason.value
        self._observe(outcome, time.monotonic() - started)
        return answer

    def _answer(self, query: str, at: datetime, deadline: float) -> Observation:
        left = deadline - time.monotonic()
        if left <= 0:
            return _too_late(self._timeout)
        self._last.start(deadline)
        try:
            result = self._client.custom_query(
                query, params={"time": f"{at.timestamp():.3f}", "timeout": f"{max(1, round(left * 1000))}ms"}, timeout=left
            )
            return read(result, self._last.warnings())
        except PrometheusApiClientException:
            return self._said_no()
        except requests.JSONDecodeError:
            return Failed(Failure.MALFORMED, "the answer is not JSON (cut off, or not from Prometheus)")
        except requests.Timeout:
            return _too_late(self._timeout)
        except requests.RequestException as error:
            return Failed(Failure.UNREACHABLE, f"no answer: {_innermost(error)}")
        except (LookupError, TypeError, ValueError) as error:
            return Failed(Failure.MALFORMED, f"the answer is not what the API promises ({type(error).__name__})")

    def _said_no(self) -> Failed:
        status, body = self._last.status, self._last.body
        try:
            said = json.loads(body)
            words = f"{said['errorType']}: {said['error']}"
        except (ValueError, LookupError, TypeError):
            words = "no reason given"
        if status in {502, 504} or (status == 503 and "timeout" not in words):
            return Failed(Failure.UNREACHABLE, f"HTTP {status}: {words}")
        if status == 503:
            return Failed(Failure.TIMEOUT, f"HTTP {status}: {words}")
        return Failed(Failure.SERVER if status >= 500 else Failure.REFUSED, f"HTTP {status}: {words}")


def read(result: Any, warnings: tuple[str, ...] = ()) -> Observation:
    """The `result` of an instant query: a vector (list of series), or a scalar (a pair of time and text).

    Raises LookupError, TypeError or ValueError for what is neither. Two series that differ only in their name cannot be told apart and are
    one unknown series. Native histograms have no single value and are unknown too.
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
    return NoData(next(iter(unknown.values())) if unknown else "the query returned nothing", warnings)


def _number(one: Mapping[str, Any]) -> float | str:
    if "histogram" in one:
        return "is a native histogram; use histogram_quantile or histogram_avg"
    if "values" in one:
        raise TypeError("a range of values")
    number = float(one["value"][1])
    return "the value is NaN" if math.isnan(number) else number


def _too_late(timeout: float) -> Failed:
    return Failed(Failure.TIMEOUT, f"no complete answer within {timeout:g}s")


def _innermost(error: BaseException) -> str:
    """The cause at the bottom, without addresses of objects: `Connection refused`."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
