"""Only evidence may be large, only from somebody who may hand it in, and only one at a time. Asked of the middleware itself."""

import asyncio
from typing import Any

import pytest

from rollback_daemon.faces.http.caller import CALLER, Caller, Way
from rollback_daemon.faces.http.limits import BODY_BYTES, EVIDENCE_BYTES, BodyLimit

EVIDENCE = "/api/v1/rollouts/checkout/evidence/tests"


class Application:
    """Counts how many requests it has at once, and says 200."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def ask(limit: BodyLimit, length: int, path: str = EVIDENCE, client: str = "127.0.0.1", caller: Caller | None = None) -> int:
    """The status of a POST that announces so many bytes."""
    status = list[int]()

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * min(length, 1000)}

    async def send(message: Any) -> None:
        status.extend([message["status"]] if "status" in message else [])

    state = {CALLER: caller} if caller else {}
    scope = {"type": "http", "method": "POST", "path": path, "client": (client, 1), "state": state, "headers": [(b"content-length", b"%d" % length)]}
    await limit(scope, receive, send)
    return status[0]


@pytest.mark.parametrize(
    ("status", "length", "path", "client", "caller"),
    [
        (200, EVIDENCE_BYTES, EVIDENCE, "127.0.0.1", None),
        (200, EVIDENCE_BYTES, EVIDENCE, "10.0.0.9", Caller("ann", Way.LOGIN)),
        (200, BODY_BYTES, EVIDENCE, "10.0.0.9", None),
        (413, EVIDENCE_BYTES + 1, EVIDENCE, "127.0.0.1", None),
        (413, BODY_BYTES + 1, EVIDENCE, "10.0.0.9", None),
        (413, BODY_BYTES + 1, EVIDENCE, "127.0.0.1", Caller(None, Way.LOGIN)),
        (413, BODY_BYTES + 1, f"{EVIDENCE}/more", "127.0.0.1", None),
        (413, BODY_BYTES + 1, "/api/v1/rollouts/checkout/promote", "127.0.0.1", None),
    ],
)
def test_a_large_body_is_taken_only_as_evidence(status: int, length: int, path: str, client: str, caller: Caller | None) -> None:
    assert asyncio.run(ask(BodyLimit(Application()), length, path, client, caller)) == status


@pytest.mark.parametrize(("length", "most"), [(EVIDENCE_BYTES, 1), (BODY_BYTES, 5)])
def test_there_is_one_large_body_at_a_time(length: int, most: int) -> None:
    application = Application()

    async def together() -> list[int]:
        limit = BodyLimit(application)
        return list(await asyncio.gather(*(ask(limit, length) for _ in range(5))))

    assert (asyncio.run(together()), application.most) == ([200] * 5, most)
