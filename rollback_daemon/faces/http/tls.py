"""TLS under the API: certificates to a context, the handshake before HTTP begins, and what a caller's certificate says.

The handshake is made here and not by uvicorn, so that whoever begins one and does not end it counts as a connection and is not waited for, and
each connection gets the newest certificates. Must not live here: the settings (`web_config`), who may do what (`caller`).
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.faces.http.limits import PATIENCE, READING, Patience
from rollback_daemon.faces.http.web_config import WebConfig

CERTIFICATE = "certificate"
"""Where a caller's verified certificate stands in the state of a request, as `ssl` describes it; absent without one."""

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_ASKED = {"NoClientCert": ssl.CERT_NONE, "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}


def context(web: WebConfig) -> ssl.SSLContext | None:
    """What the settings say, with the certificates that lie there now; None without TLS. Raises ConfigurationError for files that cannot be used."""
    tls = web.tls
    if tls is None:
        return None
    if missing := [_problem(web, key, why) for key in ("cert_file", "key_file", "client_ca_file") if (why := _unreadable(getattr(tls, key)))]:
        raise ConfigurationError(missing)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version, made.maximum_version = _VERSIONS[tls.min_version], _VERSIONS[tls.max_version]
    made.verify_mode = _ASKED[tls.client_auth_type]
    made.set_alpn_protocols(["http/1.1"])
    if not tls.prefer_server_cipher_suites:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        made.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: b"")  # or it would ask for one on the terminal
    except (ssl.SSLError, ValueError) as error:
        text = f'"{tls.cert_file}" and "{tls.key_file}" are no certificate with its unencrypted key, in PEM ({_reason(error)})'
        raise ConfigurationError([_problem(web, "cert_file", text)]) from None
    try:
        if tls.client_ca_file:
            made.load_verify_locations(tls.client_ca_file)
    except ssl.SSLError as error:
        text = f'"{tls.client_ca_file}" has no certificate in PEM ({_reason(error)})'
        raise ConfigurationError([_problem(web, "client_ca_file", text)]) from None
    return made


def _problem(web: WebConfig, key: str, text: str) -> Problem:
    trail = ("tls_server_config", key)
    return web.document.problem(trail, text) if web.document else Problem("--web.config.file", 0, 0, ".".join(trail), text)


def _unreadable(file: str | None) -> str:
    """Why the file cannot be read; empty when it can, or there is none."""
    try:
        if file and not Path(file).is_file():
            return f'the file "{file}" does not exist'
        if file:
            Path(file).read_bytes()
    except OSError as error:
        return f'the file "{file}" cannot be read: {(error.strerror or type(error).__name__).lower()}'
    return ""


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or "unreadable").lower().replace("_", " ")


class Handshaking(Patience):
    """HTTP after a handshake. A handshake that fails, or takes too long, ends the connection and nothing else."""

    def contexts(self) -> ssl.SSLContext:
        """The context for a new connection."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Counts the connection, and shakes hands."""
        if not self.admitted(transport):
            return
        self.connections.add(self)
        self.transport = self._plain = transport
        self._early = bytearray()
        self._gone = False
        transport.pause_reading()  # until TLS reads
        self._shaking = self.loop.create_task(self._shake_hands(transport))

    def data_received(self, data: bytes) -> None:
        """What comes with the end of the handshake waits for its turn."""
        if self.flow is None:
            self._early += data
        else:
            super().data_received(data)

    def eof_received(self) -> None:
        """Nothing more comes."""
        if self.flow is not None:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection, however far it had come."""
        self._gone = True
        if self.flow is None:
            self.connections.discard(self)
        else:
            super().connection_lost(exc)

    def shutdown(self) -> None:
        """The daemon stops. An idle caller is not waited for to say good-bye, as TLS would have it."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.get_write_buffer_size() and not self._plain.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        try:
            secure = await self.loop.start_tls(
                transport, self, self.contexts(), server_side=True, ssl_handshake_timeout=PATIENCE, ssl_shutdown_timeout=READING
            )
        except OSError:  # of which SSLError is one; it is the caller's affair and not worth a line in the log
            secure = None
        if secure is None or self._gone:
            self.connections.discard(self)
            transport.abort()
            return
        self.begin(secure)
        if found := secure.get_extra_info("ssl_object").getpeercert():
            self.app_state = {**self.app_state, CERTIFICATE: found}  # uvicorn gives each request of the connection a copy
        if self._early:
            super().data_received(bytes(self._early))


def handshaking(contexts: Callable[[], ssl.SSLContext]) -> type[Handshaking]:
    """HTTP over TLS, as a class for uvicorn to make protocols of; `contexts` is asked for each connection."""

    class Secured(Handshaking):
        def contexts(self) -> ssl.SSLContext:
            return contexts()

    return Secured


def common_name(certificate: Mapping[str, Any]) -> str | None:
    """Whom a certificate speaks of: its subject's common name, else its first e-mail or DNS name. None for nobody, or a name with odd characters."""
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    names += [value for kind, value in certificate.get("subjectAltName", ()) if kind in {"email", "DNS"}]
    return names[0] if names and names[0].strip() and names[0].isprintable() else None


def is_allowed(certificate: Mapping[str, Any], allowed: Iterable[str]) -> bool:
    """Whether one of the certificate's alternative names (DNS, IP, e-mail, URI) is exactly one of these."""
    names = {_plain(kind, value) for kind, value in certificate.get("subjectAltName", ()) if kind in {"DNS", "IP Address", "email", "URI"}}
    return not names.isdisjoint(allowed)


def _plain(kind: str, value: str) -> str:
    """An IPv6 address comes from OpenSSL in its longest form."""
    try:
        return str(ipaddress.ip_address(value)) if kind == "IP Address" else value
    except ValueError:
        return value
