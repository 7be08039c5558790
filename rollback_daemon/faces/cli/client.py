"""Talking to a running daemon, and what its answers mean as exit codes."""

import json
import re
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer

NO, USAGE, UNKNOWN = 1, 2, 3


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


URL = Annotated[str, typer.Option("--url", envvar="ROLLBACKD_URL", help="The daemon to ask.")]
FORMAT = Annotated[Format, typer.Option("--format", help="For people or for programs.")]
DEFAULT_URL = "http://127.0.0.1:9811"
_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")  # of a rollout; dots alone would be a way up in an address


def path_of(rollout: str, *more: str) -> str:
    """The path of a rollout below the API's. Ends the program (2) for what can be the name of none."""
    if not _NAME.fullmatch(rollout):
        fail(f'"{rollout}" is no name of a rollout; `rollbackd status` lists them', USAGE)
    return "/".join(("rollouts", rollout, *more))


def call(method: str, url: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
    """The daemon's answer as JSON. Ends the program, saying why, when there is none (3) or it is no (1, or 3 where it could not tell)."""
    import requests

    if not url.startswith(("http://", "https://")):
        fail(f'"{url}" is no address; begin it with http:// (--url, ROLLBACKD_URL)', USAGE)

    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{url.rstrip('/')}/api/v1/{path}", json=body, params=query, timeout=10)
    except requests.RequestException as error:
        fail(f"rollbackd does not answer at {url} ({_short(error)}); is it running? --url or ROLLBACKD_URL says where", UNKNOWN)
    try:
        said = answer.json()
    except json.JSONDecodeError:
        fail(f"what answers at {url} is not rollbackd (HTTP {answer.status_code})", UNKNOWN)
    if not answer.ok:
        _refused(said if isinstance(said, dict) else {}, answer.status_code)
    return said


def fail(text: str, code: int) -> NoReturn:
    """Say what is wrong and end with this exit code."""
    typer.echo(f"rollbackd: {text}", err=True)
    raise typer.Exit(code)


def _refused(said: dict[str, Any], status: int) -> NoReturn:
    reasons = said.get("reasons") or []
    if reasons:
        typer.echo(f"rollbackd: refused: {str(said['error']).split(': ', 1)[0]}", err=True)
        for reason in reasons:
            typer.echo(f"  {'?' if reason['unknown'] else '-'} {reason['sentence']}", err=True)
        raise typer.Exit(UNKNOWN if said.get("unknown") else NO)
    fail(str(said.get("error") or said.get("detail") or f"HTTP {status}"), UNKNOWN if status >= 500 else USAGE if status in {404, 422} else NO)


def _short(error: BaseException) -> str:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return getattr(error, "strerror", None) or type(error).__name__


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
