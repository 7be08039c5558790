"""`promql_expr_test`: what expressions yield at a time, asked of the real server, beside the samples that are expected.

Numbers must be the same, as with promtool; with `fuzzy_compare` but for their last bit. Lives here: asking, and that comparison. Must not live here:
anything of a rollout.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests

from rollback_daemon.lab.testing.expectations import line_of
from rollback_daemon.lab.testing.load import Case
from rollback_daemon.lab.testing.results import Failure
from rollback_daemon.lab.testing.samples import Content, Sample, expected
from rollback_daemon.lab.testing.schema import ExprTest


def differences(case: Case, url: str) -> Iterator[Failure]:
    """Every expression of the case that does not yield what it should. Raises requests.RequestException when the server does not answer."""
    with requests.Session() as session:
        session.trust_env = False
        for number, test in enumerate(case.written.promql_expr_test):
            if found := _difference(case, test, session, url):
                yield Failure(line_of(case, ("promql_expr_test", number)), test.eval_time, f"expression {test.expr}", *found)


def _difference(case: Case, test: ExprTest, session: requests.Session, url: str) -> tuple[str, str] | None:
    params = {"query": test.expr, "time": f"{test.eval_time.total_seconds():.3f}"}
    body = session.get(f"{url}/api/v1/query", params=params, timeout=30).json()
    wanted = sorted(map(expected, test.exp_samples), key=lambda one: one[0])
    if body["status"] != "success":
        return _told(wanted), f"an error: {body.get('error')}"
    actual = sorted(_actual(body["data"]), key=lambda one: one[0])
    alike = len(wanted) == len(actual) and all(
        one[0] == other[0] and _same(one[1], other[1], fuzzy=case.fuzzy) for one, other in zip(wanted, actual, strict=True)
    )
    return None if alike else (_told(wanted), _told(actual))


def _actual(data: Mapping[str, Any]) -> Iterator[Sample]:
    result = data["result"]
    if data["resultType"] in {"scalar", "string"}:
        result = [{"metric": {}, "value": result}] if data["resultType"] == "scalar" else []
    for one in result:
        own = tuple(sorted(one["metric"].items()))
        if "histogram" in one:
            told = one["histogram"][1]
            yield own, (float(told["count"]), float(told["sum"]), [(float(right), float(count)) for _, _, right, count in told.get("buckets", ())])
        elif "value" in one:
            yield own, float(one["value"][1])


def _same(one: Content, other: Content, *, fuzzy: bool) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return _equal(one, other, fuzzy=fuzzy)
    if isinstance(one, float) or isinstance(other, float):
        return False
    figures = _equal(one[0], other[0], fuzzy=fuzzy) and _equal(one[1], other[1], fuzzy=fuzzy) and len(one[2]) == len(other[2])
    return figures and all(
        math.isclose(mine[0], its[0], rel_tol=1e-12) and _equal(mine[1], its[1], fuzzy=fuzzy) for mine, its in zip(one[2], other[2], strict=True)
    )


def _equal(one: float, other: float, *, fuzzy: bool) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or (fuzzy and math.nextafter(one, other) == other)


def _told(samples: Sequence[Sample]) -> str:
    return ", ".join(f"{_name(own)} {_shown(value)}".strip() for own, value in samples) if samples else "nothing"


def _name(own: tuple[tuple[str, str], ...]) -> str:
    rest = ", ".join(f'{name}="{text}"' for name, text in own if name != "__name__")
    return dict(own).get("__name__", "") + (f"{{{rest}}}" if rest or not own else "")


def _shown(value: Content) -> str:
    if isinstance(value, float):
        return repr(value)
    return (
        f"a histogram of {value[0]:g} with the sum {value[1]:g} and the buckets {', '.join(f'up to {end:g}: {count:g}' for end, count in value[2])}"
    )
