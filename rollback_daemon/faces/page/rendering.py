"""How a page is made of a template, and the headers that every page goes out with.

Lives here: the template engine, its filters, the policy for browsers. Must not live here: values (`home`, `rollout`), routes.
"""

import gzip
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from rollback_daemon.durations import format_number
from rollback_daemon.faces.page.urls import outside
from rollback_daemon.faces.telling import UNDATED, clock, flag_value

if TYPE_CHECKING:
    from jinja2 import Environment, Template

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with none at all, forms of our own would come from the origin "null"
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every page."""
_LARGE = 32_000
TONES = {
    **dict.fromkeys(("firing", "failed", "rolling_back", "rolled_back", "frozen", "violated", "error", "fail", "NO-GO", "critical"), "bad"),
    **dict.fromkeys(("pending", "held", "unknown", "no_data", "degraded", "warning", "GO with monitoring", "collecting"), "warn"),
    **dict.fromkeys(("ready", "complete", "passes", "pass", "GO", "ok", "soaking"), "good"),
    **dict.fromkeys(("promoting", "asked"), "info"),
}
"""What is good and what is bad, in every place the same."""


def environment() -> "Environment":
    """The templates of the page; whatever people wrote stands in it as text, and as nothing else."""
    import jinja2  # noqa: PLC0415 (the daemon is to be in charge before anybody looks at a page)

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("rollback_daemon.faces.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["UNDATED"] = UNDATED
    made.filters.update(
        clock=clock, day=day, share=share, flag=flag_value, number=number, tone=tone, words=words, outside=outside, key=key, labels=labels
    )
    return made


def page(template: "Template", values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """The answer. Halves of characters, which a label may hold, are shown as replaced."""
    text = template.render(values)
    return HTMLResponse(text.encode("utf-8", errors="replace"), status, HEADERS)


def compressed(request: Request, answer: Response) -> Response:
    """The same, smaller, if it is large and whoever asks can read it. Not for what says back what was asked, beside something secret."""
    if len(answer.body) < _LARGE or "gzip" not in request.headers.get("accept-encoding", "").lower():
        return answer
    answer.body = gzip.compress(answer.body, 3, mtime=0)
    answer.headers["content-encoding"], answer.headers["vary"] = "gzip", "accept-encoding"
    answer.headers["content-length"] = str(len(answer.body))
    return answer


def day(at: str | None) -> str:
    """`20 Nov 03:12Z` of a time of the API."""
    return f"{int(at[8:10])} {_MONTHS[int(at[5:7]) - 1]} {at[11:16]}Z" if at else "-"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def share(value: float | None) -> str:
    """An exposure, as people say it."""
    return "-" if value is None else f"{value * 100:g} %"


def number(value: Any) -> str:
    """A value, or that there is none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return format_number(value)
    return "unknown" if value is None else str(value)


def tone(state: Any) -> str:
    """The class that colours a state; "plain" for what is neither good nor bad."""
    return TONES.get(str(state), "plain")


def words(state: Any) -> str:
    """A state as people say it: `rolling back`."""
    return str(state).replace("_", " ") if state else "not known yet"


def labels(found: Mapping[str, str]) -> str:
    """`{code="500"}`, or nothing."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in found.items()) + "}" if found else ""


def key(text: str) -> str:
    """A name that may stand in an id, different for different texts."""
    return hashlib.blake2b(text.encode("utf-8", errors="replace"), digest_size=5).hexdigest()
