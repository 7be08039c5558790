"""`run`: the daemon itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollback_daemon.faces.http.reach import Reach


def run(
    config_file: Annotated[Path, typer.Option("--config.file", help="The daemon's configuration.")] = Path("rollbackd.yml"),
    listen: Annotated[str, typer.Option("--web.listen-address", help="HOST:PORT of API and metrics.")] = "127.0.0.1:9811",
    web_config: Annotated[Path | None, typer.Option("--web.config.file", help="TLS and users, as Prometheus' exporters have them.")] = None,
    external_url: Annotated[str, typer.Option("--web.external-url", help="Where people reach the daemon, behind a proxy; used in links.")] = "",
    route_prefix: Annotated[
        str | None, typer.Option("--web.route-prefix", help="What paths begin with here; the path of the external URL when left out.")
    ] = None,
    storage: Annotated[str, typer.Option("--storage.url", help="The journal's database.")] = "sqlite:///rollbackd.db",
    level: Annotated[str, typer.Option("--log.level", help="debug, info, warn or error.")] = "info",
    log_format: Annotated[str, typer.Option("--log.format", help="logfmt, json, or auto: logfmt on a terminal.")] = "auto",
) -> None:
    """Guard the rollouts of a configuration until told to stop (SIGTERM); SIGHUP loads it again."""
    from rollback_daemon.faces.logs import FORMATS, LEVELS, configure

    if level not in LEVELS:
        raise typer.BadParameter(f'"{level}" is no level; use one of {", ".join(LEVELS)}', param_hint="--log.level")
    if log_format not in FORMATS:
        raise typer.BadParameter(f'"{log_format}" is no format; use one of {", ".join(FORMATS)}', param_hint="--log.format")
    host, port = _address(listen)
    known = _reach(external_url, route_prefix)
    configure(level, log_format)
    from rollback_daemon import app

    raise typer.Exit(app.run(app.Settings(config_file.absolute(), storage, host, port, known, web_config and web_config.absolute())))


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) < 65536:
        raise typer.BadParameter(f'"{listen}" is no address; write HOST:PORT, for instance 127.0.0.1:9811', param_hint="--web.listen-address")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 (":9811" means every address, as in Prometheus)


def _reach(external_url: str, route_prefix: str | None) -> "Reach":
    from rollback_daemon.faces.http.reach import of_flags

    try:
        return of_flags(external_url, route_prefix)
    except ValueError as error:
        flag, _, what = str(error).partition(": ")
        raise typer.BadParameter(what, param_hint=flag) from None


VERBS = (run,)
