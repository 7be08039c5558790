"""Credentials: sent to the one server that they are for, read from their files each time, and never repeated in an error."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from rollback_daemon.http_client import HTTPClient
from rollback_daemon.lab.faults import Proxy
from rollback_daemon.lab.servers import PrometheusServer
from rollback_daemon.signals.observation import Failed, Failure, Observation, Value
from tests.signals.conftest import NOON, PASSWORD, USER, Connect

SECRET = "s3cr3t-t0ken"  # noqa: S105 (of nobody)


def ask(connect: Connect, url: str, **settings: object) -> Observation:
    return connect(url, **settings).ask(["1"], NOON)["1"]


def file(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.every_prometheus
def test_tls_and_a_password_let_us_in(guarded: str, certificates: Path, connect: Connect, tmp_path: Path) -> None:
    trust = {"ca_file": str(certificates / "ca.pem")}
    password = {"username": USER, "password_file": file(tmp_path, PASSWORD + "\n")}
    assert ask(connect, guarded, tls_config=trust, basic_auth=password) == Value({(): 1.0})
    assert ask(connect, guarded, tls_config={"insecure_skip_verify": True}, basic_auth=password) == Value({(): 1.0})


@pytest.mark.every_prometheus
def test_without_the_authority_the_server_is_not_believed(guarded: str, connect: Connect, tmp_path: Path) -> None:
    seen = ask(connect, guarded, basic_auth={"username": USER, "password_file": file(tmp_path, PASSWORD)})
    assert isinstance(seen, Failed)
    assert seen.reason is Failure.UNREACHABLE
    assert "certificate verify failed" in seen.why


@pytest.mark.every_prometheus
def test_a_password_is_read_again_for_each_request(guarded: str, certificates: Path, connect: Connect, tmp_path: Path) -> None:
    trust = {"ca_file": str(certificates / "ca.pem")}
    password = file(tmp_path, "wrong")
    prometheus = connect(guarded, tls_config=trust, basic_auth={"username": USER, "password_file": password})
    assert prometheus.ask(["1"], NOON)["1"] == Failed(Failure.REFUSED, "HTTP 401: no reason given")
    file(tmp_path, PASSWORD)
    assert prometheus.ask(["1"], NOON)["1"] == Value({(): 1.0})
    Path(password).unlink()
    gone = prometheus.ask(["1"], NOON)["1"]
    assert isinstance(gone, Failed)
    assert gone.why == f'no answer from {guarded}: the secret file "{password}" cannot be read: No such file or directory'


def test_a_token_and_headers_are_sent_as_they_stand_in_their_files(prometheus: PrometheusServer, connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "tenant").write_text("team-b\n", encoding="utf-8")
    headers = {"X-Scope-OrgID": {"values": ["team-a"], "files": [str(tmp_path / "tenant")]}, "X-Extra": {"values": ["yes"]}}
    token = {"credentials_file": file(tmp_path, f"  {SECRET}\n")}
    with Proxy(prometheus.url) as proxy:
        assert ask(connect, proxy.url, authorization=token, http_headers=headers) == Value({(): 1.0})
        assert ask(connect, proxy.url, authorization={"type": "Token", **token}) == Value({(): 1.0})
    first, second = (request.headers for request in proxy.requests)
    assert (first["Authorization"], first["X-Scope-OrgID"], first["X-Extra"]) == (f"Bearer {SECRET}", "team-a, team-b", "yes")
    assert second["Authorization"] == f"Token {SECRET}"


def test_a_password_may_be_in_any_alphabet(prometheus: PrometheusServer, connect: Connect, tmp_path: Path) -> None:
    with Proxy(prometheus.url) as proxy:
        assert ask(connect, proxy.url, basic_auth={"username": "größe", "password_file": file(tmp_path, "пароль€")}) == Value({(): 1.0})
        assert ask(connect, proxy.url, authorization={"credentials_file": file(tmp_path, "пароль€")}) == Value({(): 1.0})
    assert proxy.requests[0].headers["Authorization"] == "Basic Z3LDtsOfZTrQv9Cw0YDQvtC70Yzigqw="


@pytest.mark.parametrize("content", [f"{SECRET}\nX-Injected: yes", f"{SECRET}\x00"])
def test_a_secret_that_fits_no_header_is_not_repeated_in_the_error(connect: Connect, tmp_path: Path, content: str) -> None:
    path = file(tmp_path, content)
    seen = ask(connect, "http://127.0.0.1:1", authorization={"credentials_file": path})
    assert seen == Failed(
        Failure.UNREACHABLE, f'no answer from http://127.0.0.1:1: the secret file "{path}" has more than one line, or control characters'
    )


def test_a_secret_that_is_no_text_is_not_repeated_in_the_error(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"\xff\xfe" + SECRET.encode())
    seen = ask(connect, "http://127.0.0.1:1", authorization={"credentials_file": str(path)})
    assert seen == Failed(Failure.UNREACHABLE, f'no answer from http://127.0.0.1:1: the secret file "{path}" is not UTF-8')


def test_credentials_do_not_come_from_the_environment(prometheus: PrometheusServer, connect: Connect) -> None:
    """`trust_env` is off: neither a .netrc nor a proxy of the surroundings has a say."""
    with Proxy(prometheus.url) as proxy:
        client = connect(proxy.url)
        client.ask(["1"], NOON)
    assert "Authorization" not in proxy.requests[0].headers
    assert HTTPClient(url=proxy.url).session().trust_env is False


def test_every_file_is_named_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    client = HTTPClient.model_validate(
        {
            "url": "https://prometheus.example.com/",
            "basic_auth": {"username": "guard", "password_file": "password"},
            "tls_config": {"ca_file": "ca.pem", "cert_file": "/etc/ssl/guard.pem", "key_file": "keys/guard.key"},
            "http_headers": {"X-Scope-OrgID": {"values": ["a"], "files": ["tenant"]}},
        }
    ).under(tmp_path)
    assert client.url == "https://prometheus.example.com"
    assert sorted(client.secret_files()) == sorted(
        [f"{tmp_path}/password", f"{tmp_path}/ca.pem", "/etc/ssl/guard.pem", f"{tmp_path}/keys/guard.key", f"{tmp_path}/tenant"]
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "prometheus:9090"}, "begin it with http:// or https://"),
        ({"url": "http://guard:secret@prometheus:9090"}, "use basic_auth with a password_file"),
        ({"basic_auth": {"username": "a", "password": "b"}}, "password_file"),
        ({"basic_auth": {"username": "a", "password_file": "b"}, "authorization": {"credentials_file": "c"}}, "keep one"),
        ({"tls_config": {"key_file": "a.key"}}, "without its cert_file"),
        ({"http_headers": {"X Tenant": {"values": ["a"]}}}, "is no name of a header"),
        ({"http_headers": {"X-Tenant": {}}}, "neither values nor files"),
        ({"http_headers": {"X-Tenant": {"values": ["a\r\nX-Other: b"]}}}, "line breaks"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        HTTPClient.model_validate({"url": "http://prometheus:9090", **settings})
