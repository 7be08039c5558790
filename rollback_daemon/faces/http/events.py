"""`GET /api/v1/events`: what happens, as it happens, as server-sent events.

A reader costs one connection and one task, of which there are few; he gets what is kept (`feed`) at the speed at which he reads, and the guard never
waits for him. Lives here: the stream and its format. Must not live here: what is kept (`faces.feed`), sentences (`faces.telling`).
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from rollback_daemon import __version__
from rollback_daemon.clock import SystemClock
from rollback_daemon.faces import views
from rollback_daemon.faces.feed import Feed, News
from rollback_daemon.faces.http.answers import NOT_DONE, informed
from rollback_daemon.faces.http.limits import connection_cap, refusal
from rollback_daemon.faces.telling import told
from rollback_daemon.guard import Guard

BEAT = 5.0
"""Seconds between two heartbeats."""
LIFE = 600.0
"""Seconds after which a stream ends, so that whoever reads has to say again who he is."""
_AGAIN = 1000  # milliseconds after which a browser comes back
_GATHER = 0.05  # seconds in which what comes together is sent together
_CLOCK = SystemClock()
_SAID = """\
Server-sent events. `hello` comes first. `journal`: an event of a rollout went on record (`rollout`, `event`, `at`, `by`, and `what` in words).
`evaluated`: a group of rollouts was judged (`at`, `interval` in seconds, `rollouts`: how many). `reloaded`: another configuration is in force.
`reset`: events were missed, look at everything again. `beat`: every 5 s (`at`, and `late`: for how many seconds an evaluation is overdue).
`Last-Event-ID` goes on behind that event. A stream ends after ten minutes; come back."""
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": _SAID, "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    404: NOT_DONE[404],
    422: NOT_DONE[422],
    503: {**NOT_DONE[503], "description": "There are as many streams as there may be, or this daemon is passive."},
}


class Streams:
    """Those that are open. Used on the web server's own thread, save for `close` and the waking."""

    def __init__(self, guard: Guard, most: int | None = None) -> None:
        self.guard, self.feed = guard, guard.feed
        self._most = most or max(1, connection_cap() // 5)
        self._open: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False
        self.closed = False

    @contextlib.contextmanager
    def take(self) -> Iterator[asyncio.Event | None]:
        """A place, as the event that is set when there is news; None where there is none."""
        if len(self._open) >= self._most or self.closed:
            yield None
            return
        self._loop = asyncio.get_running_loop()
        news = asyncio.Event()
        if not self._open:
            self.feed.listen(self.wake)
        self._open.add(news)
        try:
            yield news
        finally:
            self._open.discard(news)
            if not self._open:
                self.feed.leave(self.wake)

    def wake(self) -> None:
        """There is news; from any thread."""
        if self._loop is not None and not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the server has ended
                self._loop.call_soon_threadsafe(self._tell)

    def close(self) -> None:
        """Let every stream end; from any thread."""
        self.closed, self._woken = True, False
        self.wake()

    def _tell(self) -> None:
        self._woken = False
        for one in self._open:
            one.set()


class _Stream(StreamingResponse):
    """The answer; it takes its place when it begins, and gives it back however it ends."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, rollout: str | None, last: str) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}  # the latter for nginx, which would gather them
        super().__init__(iter(()), headers=headers)
        self._streams, self._rollout, self._last = streams, rollout, last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.take() as news:
            if news is None:
                said = "there are as many streams of events as there may be; ask again later"
                await refusal(503, said, **{"retry-after": "10"})(scope, receive, send)
                return
            self.body_iterator = _messages(self._streams, news, self._rollout, self._last)
            await super().__call__(scope, receive, send)


async def _messages(streams: Streams, news: asyncio.Event, rollout: str | None, last: str) -> AsyncIterator[str]:
    """What the stream says, from the beginning to its end."""
    feed, loop = streams.feed, asyncio.get_running_loop()
    end, at = loop.time() + LIFE, _place(feed, last)
    missed = bool(last) and at is None
    at = feed.newest if at is None else at
    yield f"retry: {_AGAIN}\n" + _message(feed, at, "hello", {**_beat(streams), "version": __version__, "beat": BEAT})
    if missed:
        yield _message(feed, at, "reset", _beat(streams))
    while not streams.closed and loop.time() < end:
        news.clear()
        found = feed.after(at)
        if found is None:
            at = feed.newest
            yield _message(feed, at, "reset", _beat(streams))
        elif found:
            at = found[-1].number
            said = [_message(feed, one.number, one.kind, facts(one)) for one in found if rollout is None or one.concerns(rollout)]
            if said:
                yield "".join(said)
        else:
            try:
                await asyncio.wait_for(news.wait(), BEAT)
            except TimeoutError:
                yield _message(feed, at, "beat", _beat(streams))
            else:
                await asyncio.sleep(_GATHER)


def _place(feed: Feed, last: str) -> int | None:
    """Behind which event to go on; None where that is not known here any more, or nothing was said."""
    epoch, _, number = last.partition("-")
    if epoch != feed.epoch or not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return int(number) if feed.after(int(number), most=0) is not None else None


def _message(feed: Feed, number: int, kind: str, data: dict[str, Any]) -> str:
    return f"id: {feed.epoch}-{number}\nevent: {kind}\ndata: {json.dumps(data, separators=(',', ':'), default=str)}\n\n"


def _beat(streams: Streams) -> dict[str, Any]:
    now = _CLOCK.now()
    return {"at": _time(now), "late": max(0, int(streams.guard.lateness(now).total_seconds()))}


def facts(one: News) -> dict[str, Any]:
    """One event as the stream tells it."""
    if one.kind == "evaluated":
        return {"at": _time(one.at), "interval": one.interval.total_seconds(), "rollouts": len(one.group)}
    if one.kind != "journal":
        return {"at": _time(one.at)}
    return {"at": _time(one.at), "rollout": one.rollout, "event": one.event, "by": str(one.body.get("by") or ""), "what": _what(one)}


def _what(one: News) -> str:
    """In words, as far as the facts are kept."""
    try:
        return told({"event": one.event, "at": _time(one.at), **one.body}) if one.body else ""
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""  # what is on record counts; this is only told


def _time(at: datetime) -> str:
    return views.time_of(at) or ""


def add(api: FastAPI, guard: Guard) -> Streams:
    """Put the route into the application."""
    streams = Streams(guard)

    @api.get("/api/v1/events", response_class=StreamingResponse, responses=_ANSWERS)
    async def events(
        rollout: Annotated[str | None, Query(description="Only what concerns this rollout.")] = None,
        last_event_id: Annotated[str, Header(description="The id of the last event that was read.")] = "",
    ) -> _Stream:
        """What happens, as it happens."""
        informed(guard)
        if rollout is not None:
            guard.watch(rollout)
        return _Stream(streams, rollout, last_event_id)

    return streams
