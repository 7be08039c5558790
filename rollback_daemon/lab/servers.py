"""Throwaway real servers on free ports: any command that listens, Prometheus, and Alertmanager.

A server keeps its port and its data folder from its first start on, so that it can be stopped, killed or paused in the
middle of a test and come back as the same server. Lives here: starting, waiting, stopping. Must not live here: where
the programs are found (`toolset`), or what they are asked to prove.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import requests

from rollback_daemon.errors import RollbackdError

_LOG_TAIL = 15
_ATTEMPTS = 5
_LOWEST_PORT = 10_000
_PORT_TAKEN = "address already in use"
T = TypeVar("T")


class LabError(RollbackdError):
    """A throwaway server did not start, or something that was waited for did not come true in time."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now.

    Taken from below the kernel's range for outgoing connections: a client's connection can then never sit on the port
    of a server that is stopped and wants to come back.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    highest = ephemeral if ephemeral > _LOWEST_PORT else 65_536
    for _ in range(1000):
        port = _LOWEST_PORT + secrets.randbelow(highest - _LOWEST_PORT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise LabError(f"no free port found between {_LOWEST_PORT} and {highest} on 127.0.0.1; end what is listening there")


def wait_until(condition: Callable[[], T], what: str, seconds: float = 10.0, every: float = 0.02) -> T:
    """The first truthy answer of `condition`, asked every `every` seconds; after `seconds` LabError, naming `what`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g}s for {what}, in vain; the last answer was {answer!r}")
        time.sleep(every)
    return answer


class Server:
    """A command that listens on a free port of 127.0.0.1; as a context manager it runs inside the `with`.

    `command` is told the port and gives the argument list. The server counts as started when `GET ready` answers with
    2xx; `deadline` says how many seconds that may take. What it prints goes to `NAME.log` in its folder. A subclass
    may speak another `scheme`, and say otherwise how it `answers`.
    """

    scheme = "http"

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Callable[[int], Sequence[str | Path]],
        *,
        ready: str = "/-/ready",
        deadline: float = 30.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._command = command
        self._ready = ready
        self._deadline = deadline
        self._env = None if env is None else {**os.environ, **env}
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def port(self) -> int:
        """Its port; the same after every start."""
        if self._port is None:
            raise LabError(f'"{self.name}" has no port yet; start it first')
        return self._port

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`, as a scrape target is written."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"{self.scheme}://{self.address}"

    @property
    def pid(self) -> int:
        """The id of the running process. Raises LabError when it does not run."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the process is alive (also while paused)."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it, the first time or again, and wait until it is ready; else LabError with the end of its log."""
        if self.running:
            raise LabError(f'"{self.name}" is already running as process {self.pid}; stop it first')
        self.folder.mkdir(parents=True, exist_ok=True)
        candidates = [self._port] if self._port else [free_port() for _ in range(_ATTEMPTS)]
        for port in candidates:
            self._launch(port)
            if self._came_up(port):
                self._port = port
                return self
        raise self._failure(f"found its port taken ({', '.join(map(str, candidates))})")

    def stop(self, deadline: float = 10.0) -> None:
        """End it with SIGTERM, after `deadline` seconds with SIGKILL. Does nothing when it does not run."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)  # a paused process would not see the SIGTERM
        self._process.terminate()
        try:
            self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): it still takes connections, and answers none."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send it any other signal, for instance SIGHUP."""
        self._running().send_signal(number)

    def answers(self, url: str) -> bool:
        """Whether a GET of `url` is answered with 2xx."""
        return _answers(url)

    def log_tail(self, lines: int = _LOG_TAIL) -> str:
        """The last lines printed since the latest start."""
        return "\n".join(self._printed().splitlines()[-lines:])

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise LabError(f'"{self.name}" is not running; start it first')
        return self._process

    def _launch(self, port: int) -> None:
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = self._spawn([str(word) for word in self._command(port)], log)

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        nothing = subprocess.DEVNULL
        try:  # a process group of its own: Ctrl-C reaches only whoever started it, and that one cleans up in order
            return subprocess.Popen(command, stdin=nothing, stdout=log, stderr=log, env=self._env, process_group=0)
        except OSError as problem:
            raise LabError(f'cannot start "{self.name}" with "{command[0]}": {problem.strerror}') from problem

    def _came_up(self, port: int) -> bool:
        """True when ready, False when the port was taken by somebody else meanwhile; anything else raises."""
        url = f"{self.scheme}://127.0.0.1:{port}{self._ready}"
        try:
            wait_until(lambda: not self.running or self.answers(url), url, self._deadline)
        except LabError:
            raise self._failure(f"was not ready within {self._deadline:g}s: no 2xx answer from {url}") from None
        if self.running:
            return True
        if _PORT_TAKEN in self._printed().lower():
            self.stop()
            return False
        raise self._failure(f"ended with exit code {self._exit_code()} before {url} answered")

    def _failure(self, what: str) -> LabError:
        self.stop()
        return LabError(f'"{self.name}" {what}; the end of {self.log}:\n{self.log_tail() or "(it printed nothing)"}')

    def _exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def _printed(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")


class PrometheusServer(Server):
    """A real Prometheus that scrapes `scrape` (job to "host:port"), with `rules` (the text of a rule file).

    Its first scrape comes up to 5 s after it is ready: service discovery looks only so often. A restarted one still
    answers with what it saw before it was stopped, for the five minutes that a sample counts.
    """

    def __init__(
        self,
        binary: Path,
        folder: Path,
        scrape: Mapping[str, str],
        *,
        scrape_interval: str = "1s",
        rules: str | None = None,
        alertmanager: str | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        """`alertmanager` is the "host:port" that Prometheus sends its own alerts to; `flags` join the command line."""
        super().__init__("prometheus", folder, self._arguments)
        self._binary = binary
        self._flags = list(flags)
        self._rules = rules
        self._config = {
            "global": {"scrape_interval": scrape_interval, "evaluation_interval": scrape_interval},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [at]}]} for job, at in scrape.items()],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []},
        }

    def reload(self, rules: str | None = None) -> None:
        """Have it read its configuration again, with other rules if given. LabError with its answer if it refuses."""
        if rules is not None:
            self._rules = rules
            self._write_files()
        with _session() as session:
            answer = session.post(f"{self.url}/-/reload", timeout=10)
        if not answer.ok:
            raise LabError(f'"{self.name}" did not take its new configuration: {answer.text.strip()}')

    def query(self, expr: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an instant query, now or `at` (Unix seconds); a scalar has no labels."""
        when = {} if at is None else {"time": str(at)}
        with _session() as session:
            answer = session.get(f"{self.url}/api/v1/query", params={"query": expr, **when}, timeout=10)
        body = answer.json()
        if body["status"] != "success":
            raise LabError(f'"{self.name}" did not answer "{expr}": {body.get("error")}')
        result = body["data"]["result"]
        series = result if body["data"]["resultType"] == "vector" else [{"metric": {}, "value": result}]
        return [(one["metric"], float(one["value"][1])) for one in series]

    def wait_for(self, expr: str, seconds: float = 10.0) -> list[tuple[dict[str, str], float]]:
        """The answer to `expr` once it is not empty, for instance `up == 1`. Raises LabError after `seconds`."""
        return wait_until(lambda: self.query(expr), f'"{expr}" to be true in {self.url}', seconds)

    def _arguments(self, port: int) -> list[str | Path]:
        self._write_files()
        return [
            self._binary,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
            "--log.level=warn",
            *self._flags,
        ]

    def _write_files(self) -> None:
        (self.folder / "prometheus.yml").write_text(json.dumps(self._config, indent=2), encoding="utf-8")  # JSON is YAML, too
        (self.folder / "rules.yml").write_text(self._rules or "groups: []\n", encoding="utf-8")


class AlertmanagerServer(Server):
    """A real Alertmanager, without gossip; unless `config` says more it keeps alerts and tells nobody."""

    def __init__(self, binary: Path, folder: Path, config: str | None = None) -> None:
        super().__init__("alertmanager", folder, self._arguments)
        self._binary = binary
        self._config = config or json.dumps({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}, indent=2)

    def alerts(self) -> list[dict[str, Any]]:
        """The active alerts as `/api/v2/alerts` lists them, with `labels`, `annotations`, `startsAt` and so on."""
        with _session() as session:
            answer = session.get(f"{self.url}/api/v2/alerts", timeout=10)
        answer.raise_for_status()
        return list(answer.json())

    def _arguments(self, port: int) -> list[str | Path]:
        config = self.folder / "alertmanager.yml"
        config.write_text(self._config, encoding="utf-8")
        return [
            self._binary,
            f"--config.file={config}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]


def _session() -> requests.Session:
    """A session that no HTTP_PROXY of the surroundings leads elsewhere."""
    session = requests.Session()
    session.trust_env = False
    return session


def _answers(url: str) -> bool:
    try:
        with _session() as session:
            return session.get(url, timeout=2).ok
    except requests.RequestException:
        return False
