"""HTTP clients as Prometheus' configuration writes them: `basic_auth`, `authorization`, `tls_config`, `http_headers`, with secrets in files.

Lives here: settings to a `requests.Session`. A secret's file is read again for every request, so a rotated one needs no reload, and a secret
is in memory only while it is sent.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from pydantic import Field, field_validator, model_validator
from requests.auth import AuthBase, HTTPBasicAuth

from rollback_daemon.schema import Part, Text

CREDENTIALS = frozenset({"basic_auth", "authorization", "http_headers"})
"""The keys under which somebody may write a secret by mistake."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110


class BasicAuth(Part):
    """A user name, and the file that has the password."""

    username: Text
    password_file: Text


class Authorization(Part):
    """A token in the `Authorization` header."""

    type: Text = "Bearer"
    credentials_file: Text


class TLS(Part):
    """Whom to trust, and who we are."""

    ca_file: Text | None = None
    cert_file: Text | None = None
    key_file: Text | None = None
    insecure_skip_verify: bool = False

    @model_validator(mode="after")
    def _whole(self) -> "TLS":
        if self.key_file and not self.cert_file:
            raise ValueError("has a key_file without its cert_file")
        return self


class Header(Part):
    """A header's value, given here or in a file."""

    values: list[str] = []
    files: list[Text] = []


class HTTPClient(Part):
    """An address and how to be let in there."""

    url: Text
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: TLS = Field(default_factory=TLS)
    http_headers: dict[Text, Header] = {}

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{_shown(url)} is no address; begin it with http:// or https://")
        try:
            parts = urlsplit(url)
            known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            known = False
        if not known:
            raise ValueError(f"{_shown(url)} is no address; write it like http://host:9090")
        if "@" in parts.netloc:
            raise ValueError("has a user or password in it; use basic_auth with a password_file")
        return url.rstrip("/")

    @field_validator("http_headers")
    @classmethod
    def _headers(cls, headers: dict[str, Header]) -> dict[str, Header]:
        for name, header in headers.items():
            if not _TOKEN.fullmatch(name):
                raise ValueError(f'"{name}" is no name of a header')
            if not header.values and not header.files:
                raise ValueError(f'"{name}" has neither values nor files')
            if not all(map(str.isprintable, header.values)):
                raise ValueError(f'"{name}" has a value with line breaks or control characters')
        return headers

    @model_validator(mode="after")
    def _one_way_in(self) -> "HTTPClient":
        if self.basic_auth and self.authorization:
            raise ValueError("has both basic_auth and authorization; keep one")
        return self

    def session(self) -> requests.Session:
        """A session with all of it. Reads no secret yet."""
        session = requests.Session()
        session.max_redirects = 0  # credentials and tenants are meant for this server, and a login page is no answer
        session.trust_env = False  # a proxy or a .netrc from the environment of the service would be a surprise at night
        tls = self.tls_config
        if tls.insecure_skip_verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the operator said so; once for each request is noise
        session.verify = False if tls.insecure_skip_verify else (tls.ca_file or True)
        if tls.cert_file:
            session.cert = (tls.cert_file, tls.key_file) if tls.key_file else tls.cert_file
        session.auth = _FromFiles(self)
        return session

    def under(self, folder: Path) -> "HTTPClient":
        """The same with every file named from `folder`, as in Prometheus' configuration."""

        def placed(name: str | None) -> str | None:
            return str(folder / name) if name else None

        tls = self.tls_config
        update: dict[str, Any] = {
            "tls_config": tls.model_copy(update={key: placed(getattr(tls, key)) for key in ("ca_file", "cert_file", "key_file")}),
            "http_headers": {
                name: header.model_copy(update={"files": [placed(file) for file in header.files]}) for name, header in self.http_headers.items()
            },
        }
        if self.basic_auth:
            update["basic_auth"] = self.basic_auth.model_copy(update={"password_file": placed(self.basic_auth.password_file)})
        if self.authorization:
            update["authorization"] = self.authorization.model_copy(update={"credentials_file": placed(self.authorization.credentials_file)})
        return self.model_copy(update=update)

    def secret_files(self) -> list[str]:
        """Every file that a request will need."""
        files = [name for header in self.http_headers.values() for name in header.files]
        files += [self.basic_auth.password_file] if self.basic_auth else []
        files += [self.authorization.credentials_file] if self.authorization else []
        return files + [name for name in (self.tls_config.ca_file, self.tls_config.cert_file, self.tls_config.key_file) if name]


class _FromFiles(AuthBase):
    """Puts credentials and headers on a request at the moment it is sent."""

    def __init__(self, settings: HTTPClient) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        settings = self._settings
        for name, header in settings.http_headers.items():
            request.headers[name] = _header(", ".join([*header.values, *map(_secret, header.files)]))
        if settings.basic_auth:
            HTTPBasicAuth(settings.basic_auth.username.encode(), _secret(settings.basic_auth.password_file).encode())(request)
        if settings.authorization:
            request.headers["Authorization"] = _header(f"{settings.authorization.type} {_secret(settings.authorization.credentials_file)}")
        return request


def _shown(url: str) -> str:
    """What was written as an address, unless it may have a password in it."""
    return "this" if "@" in url else f'"{url}"'


def _header(text: str) -> Any:
    """A header as bytes: http.client would take no other alphabet than Latin-1."""
    return text.encode()


def _secret(file: str) -> str:
    """What stands in the file. Raises RequestException, which says nothing of the content, when it cannot go into a header."""
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise requests.RequestException(f'the secret file "{file}" cannot be read: {error.strerror}') from None
    except UnicodeDecodeError:
        raise requests.RequestException(f'the secret file "{file}" is not UTF-8') from None
    if not text.isprintable():
        raise requests.RequestException(f'the secret file "{file}" has more than one line, or control characters')
    return text
