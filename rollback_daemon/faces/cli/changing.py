"""Verbs that change flags or the way up through a running daemon: `promote`, `rollback`, `restore`, `rehearse`, `hold`, `resume`.

Each takes a reason, which goes on record. Must not live here: what people say before a promotion (`voting`).
"""

import time
from typing import Annotated, Any

import typer

from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, NO, UNKNOWN, URL, Format, call, fail, path_of, print_json

_DOWN = {"rollback", "flags/restore"}
ROLLOUT = Annotated[str, typer.Argument(help="The rollout's name.")]
REASON = Annotated[str, typer.Option("--reason", help="Why; it goes on record.")]
WAIT = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until the flags are read back; 0 returns at once.")]


def promote(
    rollout: ROLLOUT,
    reason: REASON,
    break_glass: Annotated[bool, typer.Option("--break-glass", help="Past everything that the stage asks for, for a role that may.")] = False,
    wait: WAIT = 60,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Raise a rollout to its next stage, if nothing blocks it."""
    transition(url, rollout, "promote", {"reason": reason, "break_glass": break_glass}, wait, output)


def rollback(
    rollout: ROLLOUT,
    reason: REASON,
    to: Annotated[str | None, typer.Option("--to", help="A lower stage, or baseline; the previous stage when left out.")] = None,
    wait: WAIT = 60,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Take a rollout back to a lower stage, at once."""
    transition(url, rollout, "rollback", {"reason": reason, "to": to}, wait, output)


def restore(rollout: ROLLOUT, reason: REASON, wait: WAIT = 60, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE) -> None:
    """End a degradation: the flags that it set go back to those of the stage."""
    transition(url, rollout, "restore", {"reason": reason}, wait, output)


def rehearse(
    rollout: ROLLOUT,
    reason: REASON,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it has ended; 0 returns at once.")] = 600,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Roll back for practice, for real users, run the steps of the rule file, and come back up if they pass; otherwise stay down."""
    started = call("POST", url, path_of(rollout, "rehearse"), {"reason": reason})
    deadline = time.monotonic() + wait
    while wait:
        events = call("GET", url, path_of(rollout, "history"), limit=200)
        ended = next((one for one in events if one["event"] == "rehearsed" and one["id"] == started["transition"]), None)
        if ended is not None and not ended["passed"]:
            fail(ended["why"], NO)
        if ended is not None:
            typer.echo(f"rehearsed in {ended['seconds']:g} s: {ended['why']}", err=True)
            break
        if time.monotonic() > deadline:
            fail(f"the rehearsal has not ended after {wait:g} s; it goes on, see `rollbackd history {rollout}`", UNKNOWN)
        time.sleep(0.1)
    _show(call("GET", url, path_of(rollout)) if wait else started, output)


def hold(rollout: ROLLOUT, reason: REASON, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE) -> None:
    """Stop the way up until somebody resumes it. Triggers go on watching."""
    _show(call("POST", url, path_of(rollout, "hold"), {"reason": reason}), output)


def resume(rollout: ROLLOUT, reason: REASON, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE) -> None:
    """Open the way up again after a hold or a rollback. Triggers that still fire may act again."""
    _show(call("POST", url, path_of(rollout, "resume"), {"reason": reason}), output)


def transition(url: str, rollout: str, verb: str, body: dict[str, Any], wait: float, output: Format) -> None:
    """Ask for a transition and wait until it is done; ends the program, saying why, where it is not."""
    started = call("POST", url, path_of(rollout, verb), body)
    deadline = time.monotonic() + wait
    if not wait:
        _show(started, output)
        return
    identity = started["transition"]
    while True:
        end = _end_of(identity, call("GET", url, path_of(rollout, "history"), limit=200))
        now = call("GET", url, path_of(rollout))
        if end is not None and end["event"] == "done":
            _show(now, output)
            return
        if end is not None and end["event"] == "intended" and verb in _DOWN:
            identity = end["id"]  # it goes further down than was asked for
        elif end is not None:
            why = end["why"] if isinstance(end["why"], str) else "; ".join(end["why"])
            fail(f"{verb.replace('/', ' ')} was {'given up' if end['event'] == 'abandoned' else 'taken back'}: {why}", NO)
        if time.monotonic() > deadline:
            fail(f"{verb.replace('/', ' ')} is not done after {wait:g} s: {now['next']}; it goes on, see `rollbackd explain {rollout}`", UNKNOWN)
        time.sleep(0.1)


def _end_of(transition: str, events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The event that ended a transition: done, abandoned, or the intent of another one in its place; None while it is under way."""
    mine = [one for one in events if one.get("id") == transition]
    ended = [one for one in mine if one["event"] in {"done", "abandoned"}]
    overtaken = [one for one in events if mine and one["event"] == "intended" and one["seq"] > mine[-1]["seq"]]
    return next(iter(ended or overtaken), None)


def _show(found: dict[str, Any], output: Format) -> None:
    if output is Format.JSON:
        print_json(found)
        return
    from rollback_daemon.faces.cli import show

    show.statuses(show.console(), [show.clean(found)])


VERBS = (promote, rollback, restore, rehearse, hold, resume)
