"""Verbs for what people say before a promotion: `propose`, `approve`, `reject`, `withdraw`, `resolve`, `checkpoint`, `evidence`, `handoff`.

Who says it is told by the login. Must not live here: whether it counts.
"""

import base64
import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rollback_daemon.faces.cli.client import DEFAULT_URL, FORMAT, URL, USAGE, Format, call, fail, path_of, print_json

ROLLOUT = Annotated[str, typer.Argument(help="The rollout's name.")]
REASON = Annotated[str, typer.Option("--reason", help="Why; it goes on record.")]
ROLE = Annotated[str | None, typer.Option("--role", help="In which role; needed only by whoever has several that are asked for.")]
CONDITIONS = Annotated[list[str] | None, typer.Option("--condition", help="Something that the vote depends on; may be given several times.")]


class Decision(StrEnum):
    """What a checkpoint came to."""

    GO = "GO"
    NO_GO = "NO-GO"


def propose(rollout: ROLLOUT, reason: REASON, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE) -> None:
    """Put the promotion to the next stage to the vote. Who proposes has no vote."""
    _say(url, rollout, ("propose",), {"reason": reason}, output, "proposed; a proposal before it, and every GO on it, has ended")


def approve(
    rollout: ROLLOUT, reason: REASON, role: ROLE = None, condition: CONDITIONS = None, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE
) -> None:
    """Vote GO on the promotion that is proposed."""
    _say(url, rollout, ("approve",), {"reason": reason, "role": role, "conditions": condition or []}, output, "GO is on record")


def reject(
    rollout: ROLLOUT, reason: REASON, role: ROLE = None, condition: CONDITIONS = None, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE
) -> None:
    """Vote NO-GO on it; that stops it until you withdraw it, or somebody resolves it on record."""
    _say(url, rollout, ("reject",), {"reason": reason, "role": role, "conditions": condition or []}, output, "NO-GO is on record")


def withdraw(rollout: ROLLOUT, reason: REASON, url: URL = DEFAULT_URL, output: FORMAT = Format.TABLE) -> None:
    """Take your own vote back."""
    _say(url, rollout, ("withdraw",), {"reason": reason}, output, "withdrawn")


def resolve(
    rollout: ROLLOUT,
    reason: REASON,
    of: Annotated[str, typer.Option("--of", help="Whose NO-GO.")],
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Resolve somebody's NO-GO on record; the dissent stays there."""
    _say(url, rollout, ("resolve",), {"reason": reason, "of": of}, output, f"the NO-GO of {of} is resolved on record")


def checkpoint(
    rollout: ROLLOUT,
    name: Annotated[str, typer.Argument(help="Which checkpoint.")],
    decision: Annotated[Decision, typer.Option("--decision", help="What it came to.")],
    reason: REASON,
    report: Annotated[Path | None, typer.Option("--report", help="The report; its SHA-256 goes on record.")] = None,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Put the decision at a checkpoint on record."""
    body: dict[str, Any] = {"reason": reason, "decision": decision.value}
    if report is not None:
        body["sha256"] = hashlib.sha256(_read(report)).hexdigest()
    _say(url, rollout, ("checkpoint", name), body, output, f"checkpoint {name} is on record: {decision.value}")


def evidence(
    rollout: ROLLOUT,
    name: Annotated[str, typer.Argument(help="Which evidence, as the rule file calls it.")],
    file: Annotated[Path, typer.Argument(help="The result; its SHA-256 goes on record.")],
    reason: REASON,
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Put a result from outside Prometheus on record. The daemon reads it into figures if the rule file declares of which kind it is."""
    data = _read(file)
    body: dict[str, Any] = {"reason": reason, "file": file.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    if any(one["evidence"] == name for one in call("GET", url, path_of(rollout, "explain"))["evidence"]):
        from rollback_daemon.evidence.kind import MAX_BYTES

        if len(data) > MAX_BYTES:
            fail(f"{file} has {len(data)} bytes; evidence that is read into figures may have {MAX_BYTES}", USAGE)
        body["content"] = base64.b64encode(data).decode()
    explained = _say(url, rollout, ("evidence", name), body, output, f"evidence {name} is on record: {file.name}")
    for one in explained["evidence"]:
        if one["evidence"] == name:
            from rollback_daemon.faces.cli import show_evidence
            from rollback_daemon.faces.telling import UNDATED

            typer.echo(f"  {show_evidence.figures(one)}" + ("" if one["dated"] else f"; it counts from {UNDATED}"))


def handoff(
    rollout: ROLLOUT,
    reason: REASON,
    to: Annotated[str, typer.Option("--to", help="Who watches from now on.")],
    url: URL = DEFAULT_URL,
    output: FORMAT = Format.TABLE,
) -> None:
    """Put on record that somebody else watches from now on."""
    _say(url, rollout, ("handoff",), {"reason": reason, "to": to}, output, f"handed over to {to}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {(error.strerror or 'no reason given').lower()}", USAGE)


def _say(url: str, rollout: str, path: tuple[str, ...], body: dict[str, Any], output: Format, done: str) -> dict[str, Any]:
    """Say it, and show where that leaves the rollout; returns that as it was explained, and no evidence for programs."""
    found = call("POST", url, path_of(rollout, *path), body)
    if output is Format.JSON:
        print_json(found)
        return {"evidence": []}
    from rollback_daemon.faces.cli import show

    explained: dict[str, Any] = show.clean(call("GET", url, path_of(rollout, "explain")))
    typer.echo(f"{explained['rollout']}: {show.clean(found.get('unchanged') or done)}; {explained['next']}")
    for blocker in explained["blockers"] if len(explained["blockers"]) > 1 and not explained["unjudged"] else ():
        typer.echo(f"  {'?' if blocker['unknown'] else '-'} {blocker['sentence']}")
    return explained


VERBS = (propose, approve, reject, withdraw, resolve, checkpoint, evidence, handoff)
