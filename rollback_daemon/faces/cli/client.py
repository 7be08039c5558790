"""Talking to a running daemon, logging in there, and what its answers mean as exit codes.

A verb that has a `url` gets `--http.config.file` by `with_login`, and need not know of it: `call` uses what it says.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    import requests

    from rollback_daemon.http_client import HTTPClient

NO, USAGE, UNKNOWN = 1, 2, 3


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


URL = Annotated[str, typer.Option("--url", envvar="ROLLBACKD_URL", help="The daemon to ask.")]
FORMAT = Annotated[Format, typer.Option("--format", help="For people or for programs.")]
DEFAULT_URL = "http://127.0.0.1:9811"
LOGIN = Annotated[
    Path | None,
    typer.Option("--http.config.file", envvar="ROLLBACKD_HTTP_CONFIG_FILE", help="How to log in there: Prometheus' HTTP client configuration."),
]
_LOGIN_OPTION = "--http.config.file (or ROLLBACKD_HTTP_CONFIG_FILE)"
_ADDRESS = "--url or ROLLBACKD_URL says where"
_login: ContextVar[Path | None] = ContextVar("login", default=None)  # of the verb that runs
_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")  # of a rollout; dots alone would be a way up in an address


def path_of(rollout: str, *more: str) -> str:
    """The path of a rollout below the API's. Ends the program (2) for what can be the name of none."""
    if not _NAME.fullmatch(rollout):
        fail(f'"{rollout}" is no name of a rollout; `rollbackd status` lists them', USAGE)
    return "/".join(("rollouts", rollout, *more))


def with_login(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with an option for its login file, if it talks to a daemon (has a `url`); else the verb as it is."""
    signature = inspect.signature(verb)
    if "url" not in signature.parameters:
        return verb

    @functools.wraps(verb)
    def logged_in(*, http_config_file: Path | None = None, **given: Any) -> None:
        _login.set(http_config_file)
        verb(**given)

    option = inspect.Parameter("http_config_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=LOGIN)
    logged_in.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]  # read by inspect
    logged_in.__annotations__ = {**verb.__annotations__, "http_config_file": LOGIN}
    return logged_in


def call(method: str, url: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
    """The daemon's answer as JSON. Ends the program, saying why, when there is none (3) or it is no (1, or 3 where it could not tell)."""
    import requests

    if not url.startswith(("http://", "https://")):
        fail(f'"{url}" is no address; begin it with http:// (--url, ROLLBACKD_URL)', USAGE)

    try:
        with _session(url) as session:
            answer = session.request(method, f"{url.rstrip('/')}/api/v1/{path}", json=body, params=query, timeout=10)
    except requests.exceptions.SSLError as error:
        fail(_untrusted(url, error), UNKNOWN)
    except requests.RequestException as error:
        if type(error) is requests.RequestException:  # a file of the login that cannot be used says which
            fail(str(error), USAGE)
        fail(f"rollbackd does not answer at {url} ({_short(error)}); is it running{_perhaps(url, error)}? {_ADDRESS}", UNKNOWN)
    try:
        said = answer.json()
    except json.JSONDecodeError:
        fail(f"what answers at {url} is not rollbackd (HTTP {answer.status_code})", UNKNOWN)
    if answer.status_code == 401:
        fail(f"{said.get('error') if isinstance(said, dict) else 'a login is needed'}; name the file that has them by {_LOGIN_OPTION}", NO)
    if not answer.ok:
        _refused(said if isinstance(said, dict) else {}, answer.status_code)
    return said


def session_for(url: str, login: Path | None) -> "requests.Session":
    """A session for the daemon, logged in if a file says how. Raises ConfigurationError for a file with a mistake."""
    import requests

    if login is not None:
        return _read_login(login, url).session()
    session = requests.Session()
    session.trust_env = False
    return session


def _session(url: str) -> "requests.Session":
    """A session for the verb that runs. Ends the program (2) for a login file with a mistake."""
    from rollback_daemon.errors import ConfigurationError

    try:
        return session_for(url, _login.get())
    except ConfigurationError as error:
        fail("\n".join(["the login cannot be used:", *(f"  {problem}" for problem in error.problems)]), USAGE)


def _read_login(file: Path, url: str) -> "HTTPClient":
    """What the file says of a client for this address. Raises ConfigurationError with every mistake in it."""
    from rollback_daemon import documents
    from rollback_daemon.errors import ConfigurationError
    from rollback_daemon.http_client import CREDENTIALS, HTTPClient

    document = documents.read(file)
    if isinstance(document.value, dict) and "url" in document.value:
        raise ConfigurationError([document.problem(("url",), "does not stand here; say it by --url or ROLLBACKD_URL", key=True)])
    if isinstance(document.value, dict) or document.value is None:
        document = replace(document, value={**(document.value or {}), "url": url})
    written, problems = documents.validate(document, HTTPClient, CREDENTIALS)
    if written is None or document.problems:
        raise ConfigurationError([*document.problems, *problems])
    client = written.under(file.absolute().parent)
    document.reject_if([document.problem((), f'the file "{name}" does not exist') for name in client.secret_files() if not Path(name).is_file()])
    return client


def _perhaps(url: str, error: "requests.RequestException") -> str:
    """What a daemon may want that hangs up without a word."""
    if not any(word in str(error) for word in ("Connection reset", "Connection aborted", "Remote end closed", "EOF occurred")):
        return ""
    if url.startswith("http://"):
        return ", and is the address to begin with https://"
    return f", and does it want a client certificate (tls_config: {{cert_file: ..., key_file: ...}} in {_LOGIN_OPTION})"


def _untrusted(url: str, error: "requests.RequestException") -> str:
    """What went wrong in the handshake, and what would mend it."""
    said = str(error).lower()
    if "hostname mismatch" in said or "ip address mismatch" in said or "doesn't match" in said:
        return f"the certificate of {url} is for another name; use in --url (ROLLBACKD_URL) a name that it has"
    if "certificate verify failed" in said or "certificate_verify_failed" in said:
        return f"the certificate of {url} is not trusted; name its authority as tls_config: {{ca_file: ...}} in {_LOGIN_OPTION}"
    return f"no secure connection to {url} ({_short(error)}); does it speak TLS{_perhaps(url, error)}?"


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
    fail(str(said.get("error") or said.get("detail") or f"HTTP {status}"), UNKNOWN if status >= 500 else USAGE if status in {400, 404, 422} else NO)


def _short(error: BaseException) -> str:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return getattr(error, "strerror", None) or type(error).__name__


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
