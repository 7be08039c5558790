"""The file of `--web.config.file`, in the format of Prometheus' exporter toolkit: TLS, client certificates, users with bcrypt hashes, headers.

Lives here: what may stand in the file, and every mistake with its place. A key of that format that cannot be honoured here is refused by name,
as leaving it out in silence could leave a door open. Must not live here: certificates themselves (`tls`), who is let in (`login`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rollback_daemon import documents
from rollback_daemon.documents import Document
from rollback_daemon.errors import ConfigurationError
from rollback_daemon.schema import Part, Text

_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 16)  # one more doubles the time; 15 takes seconds already, and one password is checked after the other
OURSELVES = "rollbackd"  # on record for what the guard did by itself


def _refused(why: str) -> BeforeValidator:
    """A key that the format has and that must not be given here. Its value, which may be a secret, is not shown."""

    def refuse(_: Any) -> Any:
        raise ValueError(why)

    return BeforeValidator(refuse)


def _client_auth(kind: Any) -> Any:
    if kind in {"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"}:
        better = "VerifyClientCertIfGiven" if kind == "RequestClientCert" else "RequireAndVerifyClientCert"
        raise ValueError(f'"{kind}" takes certificates that nobody has verified, which prove nothing; use {better} with a client_ca_file')
    return kind


def _version(version: Any) -> Any:
    if version in {"TLS10", "TLS11"}:
        raise ValueError(f"{version} is broken and not spoken here; use TLS12 or TLS13")
    return version


ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
Version = Annotated[Literal["TLS12", "TLS13"], BeforeValidator(_version)]


class TLSServer(Part):
    """The server's certificate, and whose certificates callers may or must show."""

    cert_file: Text
    key_file: Text
    client_auth_type: Annotated[ClientAuth, BeforeValidator(_client_auth)] = "NoClientCert"
    client_ca_file: Text | None = None
    client_allowed_sans: list[Text] = []
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    prefer_server_cipher_suites: bool = True
    cert: Annotated[Any, _refused("stands in a file of its own here; use cert_file")] = None
    key: Annotated[Any, _refused("is a secret that stands in a file of its own here; use key_file")] = None
    client_ca: Annotated[Any, _refused("stands in a file of its own here; use client_ca_file")] = None
    cipher_suites: Annotated[Any, _refused("cannot be chosen here; the suites are those that OpenSSL holds for safe, leave it out")] = None
    curve_preferences: Annotated[Any, _refused("cannot be chosen here; the curves are those that OpenSSL holds for safe, leave it out")] = None

    @model_validator(mode="after")
    def _whole(self) -> "TLSServer":
        if self.client_auth_type == "NoClientCert" and self.client_ca_file:
            raise ValueError("has a client_ca_file and asks for no certificate; add client_auth_type: RequireAndVerifyClientCert")
        if self.client_auth_type != "NoClientCert" and not self.client_ca_file:
            raise ValueError(f"has no client_ca_file, without which {self.client_auth_type} would trust nobody")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError("has client_allowed_sans, which needs client_auth_type: RequireAndVerifyClientCert")
        if self.min_version > self.max_version:
            raise ValueError(f"has min_version {self.min_version} above max_version {self.max_version}")
        return self


def _header(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("has line breaks or characters that a header cannot have")
    return value


HeaderText = Annotated[str, AfterValidator(_header)]


class Headers(Part):
    """Headers that are added to every answer; an empty one is left out."""

    content_security_policy: HeaderText = Field("", alias="Content-Security-Policy")
    x_frame_options: Literal["", "deny", "sameorigin"] = Field("", alias="X-Frame-Options")
    x_content_type_options: Literal["", "nosniff"] = Field("", alias="X-Content-Type-Options")
    x_xss_protection: HeaderText = Field("", alias="X-XSS-Protection")
    strict_transport_security: HeaderText = Field("", alias="Strict-Transport-Security")


def _http2(wanted: Any) -> Any:
    if wanted is True:
        raise ValueError("HTTP/2 is not spoken here; leave it out")
    return wanted


class HTTPServer(Part):
    """How HTTP is spoken."""

    http2: Annotated[bool, BeforeValidator(_http2)] = False
    headers: Headers = Headers.model_validate({})


def _user(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise ValueError('is no name of a user; it has at least one letter, no ":" and no control characters')
    if name == OURSELVES:
        raise ValueError(f'"{name}" stands on record for the guard itself; use another name')
    return name


def _users(users: Any) -> Any:
    """Looked at as a whole first, so that no hash or password is shown as a value, or as a key, in the wrong place."""
    if not isinstance(users, dict):
        raise ValueError("must be a mapping of user names to bcrypt hashes")  # as every mistake here, without the value
    if any(name.startswith("$2") for name in users):
        raise ValueError("has a hash in the place of a name; write it as NAME: HASH")
    return users


def _bcrypt(text: Any) -> bytes:
    found = _HASH.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise ValueError("is no bcrypt hash (it is not shown); make one with: htpasswd -nBC 10 NAME")
    if int(found[1]) not in _COSTS:
        raise ValueError(f"has a cost of {found[1]}; it must be from {_COSTS[0]} to {_COSTS[-1]}, as logins wait for one another (10 is usual)")
    return found[0].encode()


UserName = Annotated[str, AfterValidator(_user)]
Hash = Annotated[bytes, BeforeValidator(_bcrypt)]


class WebFile(Part):
    """The whole file. Without users and client certificates nobody is asked who he is."""

    tls_server_config: TLSServer | None = None
    http_server_config: HTTPServer = Field(default_factory=HTTPServer)
    basic_auth_users: Annotated[dict[UserName, Hash], BeforeValidator(_users)] = Field(default={}, repr=False)
    rate_limit: Annotated[Any, _refused("is not offered: it would keep people from a rollback; leave it out")] = None


KEYS = frozenset(WebFile.model_fields)
"""What may stand at the top of the file, which tells it from other files."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A web configuration that was read, with its files named from its own folder. The default one asks nothing of anybody."""

    settings: WebFile = field(default_factory=WebFile)
    document: Document | None = None

    @property
    def tls(self) -> TLSServer | None:
        """TLS, if it is spoken."""
        return self.settings.tls_server_config

    @property
    def users(self) -> Mapping[str, bytes]:
        """bcrypt hashes by user name; empty when no password is asked for."""
        return self.settings.basic_auth_users

    @property
    def certificates(self) -> ClientAuth:
        """What is asked for in the way of client certificates."""
        return self.tls.client_auth_type if self.tls else "NoClientCert"

    @property
    def ways(self) -> tuple[bool, bool, ClientAuth]:
        """Whether TLS is spoken, whether passwords are asked for, and certificates: what only a restart changes."""
        return self.tls is not None, bool(self.users), self.certificates

    @property
    def headers(self) -> dict[str, str]:
        """Headers for every answer."""
        return {name: value for name, value in self.settings.http_server_config.headers.model_dump(by_alias=True).items() if value}

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return tuple(name for name in (self.tls.cert_file, self.tls.key_file, self.tls.client_ca_file) if name) if self.tls else ()


def read(file: str | Path) -> WebConfig:
    """The file alone, without what it names. Raises ConfigurationError with every mistake in it."""
    document = documents.read(file)
    settings, problems = documents.validate(document, WebFile)
    if settings is None or document.problems:
        raise ConfigurationError([*document.problems, *problems])
    return WebConfig(_placed(settings, Path(document.file).parent), document)


def _placed(settings: WebFile, folder: Path) -> WebFile:
    tls = settings.tls_server_config
    if tls is None:
        return settings
    named = {key: str(folder / name) for key in ("cert_file", "key_file", "client_ca_file") if (name := getattr(tls, key))}
    return settings.model_copy(update={"tls_server_config": tls.model_copy(update=named)})
