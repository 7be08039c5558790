"""Verbs about what follows a rollback or completion. Each that changes something takes a reason, which goes on record."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

from rollback_daemon.faces.cli.changing import REASON, ROLLOUT
from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, NO, UNKNOWN, URL, Format, call, fail, path_of, print_json
from rollback_daemon.judge.follow_ups import Decision


def verify(
    rollout: ROLLOUT,
    reason: REASON,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it has ended; 0 returns at once.")] = 600,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Verify the last rollback once more: exit 0 verified, 1 not so, 3 could not tell."""
    call("POST", url, path_of(rollout, "verify"), {"reason": reason})
    deadline = time.monotonic() + wait
    while (found := call("GET", url, path_of(rollout, "explain"))["aftermath"]) and found["verification"] == "verifying" and wait:
        if time.monotonic() > deadline:
            fail(f"the verification has not ended after {wait:g} s; it goes on, see `rollbackd explain {rollout}`", UNKNOWN)
        time.sleep(0.1)
    if output is Format.JSON:
        print_json(found)
    if found and found["verification"] in {"unverified", "failed"}:
        fail(f"{found['verification']}: {found['why']}", UNKNOWN if found["unknown"] else NO)
    if output is not Format.JSON:
        typer.echo(f"{rollout}: {found['verification'] if found else 'somebody resumed it'}")


def decide(
    rollout: ROLLOUT,
    decision: Annotated[Decision, typer.Argument(help="Keep it as it is, clean the flag up, or tune limits and stages.")],
    reason: REASON,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Say what follows after the last follow-up of a rollout that is complete."""
    found = call("POST", url, path_of(rollout, "decide"), {"reason": reason, "decision": decision.value})
    if output is Format.JSON:
        print_json(found)
        return
    typer.echo(f"{rollout}: {decision.value} is on record")


def acknowledge(
    rollout: ROLLOUT,
    alert: Annotated[str, typer.Argument(help="The trigger's name.")],
    reason: REASON,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Say that you have a trigger in hand that goes on firing: it climbs no further until it has eased. An announced rollback needs `cancel`."""
    found = call("POST", url, path_of(rollout, "acknowledge"), {"reason": reason, "alert": alert})
    if output is Format.JSON:
        print_json(found)
        return
    typer.echo(f"{rollout}: {alert} is acknowledged; it climbs no further")
    for one in call("GET", url, path_of(rollout, "explain"))["escalations"]:
        if one["alert"] == alert and (announced := one["rollback"]):
            when = f"in {announced['left']}, at {announced['due'][:19].replace('T', ' ')}Z"
            typer.echo(f"the rollback to {announced['to']} that is announced for it follows {when}, unless somebody stops it:")
            typer.echo(f'  rollbackd cancel {rollout} {alert} --reason "..."')


def cancel(
    rollout: ROLLOUT,
    reason: REASON,
    alert: Annotated[str | None, typer.Argument(help="For which trigger it was announced; needed where several are.")] = None,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Let an announced rollback not be; none is announced for its trigger again until that has eased."""
    found = call("POST", url, path_of(rollout, "cancel"), {"reason": reason, "alert": alert})
    if output is Format.JSON:
        print_json(found)
    else:
        typer.echo(f"{rollout}: the announced rollback is cancelled; none is announced for its trigger again until that has eased")


VERBS: tuple[Callable[..., None], ...] = (verify, decide, acknowledge, cancel)
