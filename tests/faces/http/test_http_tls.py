"""TLS and client certificates, with a throwaway authority, on a real daemon."""

import contextlib
import json
import os
import pwd
import signal
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from cryptography import x509

from rollback_daemon.errors import ConfigurationError
from rollback_daemon.faces.http import web_config
from rollback_daemon.faces.http.tls import common_name, context, is_allowed
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import rollbackd
from tests.faces.http.door import HOLD, PASSWORDS, RESUME, WHY, Door, Papers, another_address, users

ME = pwd.getpwuid(os.getuid()).pw_name
VERIFIED = "RequireAndVerifyClientCert"
NO, USAGE, UNKNOWN = 1, 2, 3


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """The authority of this module's daemons."""
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def private(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory, papers: Papers) -> Iterator[Door]:
    """TLS, and nobody is asked who he is."""
    with opened(tmp_path_factory.mktemp("private"), told, papers) as door:
        yield door


@pytest.fixture(scope="module")
def certified(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory, papers: Papers) -> Iterator[Door]:
    """Nobody comes in without a certificate."""
    with opened(tmp_path_factory.mktemp("certified"), told, papers, VERIFIED, host="0.0.0.0") as door:  # noqa: S104 (on purpose)
        yield door


@contextlib.contextmanager
def opened(
    folder: Path,
    told: PrometheusServer,
    papers: Papers,
    kind: str = "NoClientCert",
    *,
    host: str = "127.0.0.1",
    sans: Sequence[str] = (),
    **more: Any,
) -> Iterator[Door]:
    """A daemon that speaks TLS, and a session that trusts it."""
    web = {"tls_server_config": papers.tls(kind, client_allowed_sans=list(sans)), **more}
    door = Door(folder, told.url, web, host=host)
    door.session.verify = papers.ca
    with door:
        door.set_error_rate(0)
        yield door


def held_by(door: Door, session: requests.Session, **headers: str) -> str:
    """Hold and resume, and tell who is on record for it."""
    for path in (HOLD, RESUME):
        answer = session.post(door.daemon.url + path, json=WHY, headers=headers, timeout=20)
        assert answer.status_code == 200, answer.text
    return str(session.get(f"{door.daemon.url}/api/v1/rollouts/checkout/history", timeout=20).json()[-1]["by"])


def certificate_of(door: Door, papers: Papers) -> int:
    """The serial number of what the daemon shows to a new connection."""
    trust = ssl.create_default_context(cafile=papers.ca)
    trust.check_hostname = False
    with socket.create_connection(("127.0.0.1", door.daemon.port), timeout=20) as plain, trust.wrap_socket(plain) as secure:
        shown = secure.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown).serial_number


def serial(papers: Papers) -> int:
    """The serial number of the server's certificate on disk."""
    return x509.load_pem_x509_certificate((papers.folder / "server.pem").read_bytes()).serial_number


def test_without_logins_the_owner_of_the_socket_is_the_caller_as_ever(private: Door) -> None:
    assert private.daemon.url.startswith("https://")
    assert private.get("/metrics").status_code == 200
    assert held_by(private, private.session, Origin=private.daemon.url) == ME
    for headers in ({"Origin": "https://evil.example.com"}, {"Host": "evil.example.com"}, {"Via": "1.1 gateway"}):
        assert private.session.post(private.daemon.url + HOLD, json=WHY, headers=headers, timeout=20).status_code == 403


def test_many_requests_go_over_one_connection(private: Door) -> None:
    with requests.Session() as session:
        session.trust_env, session.verify = False, private.session.verify
        for _ in range(50):
            assert session.get(f"{private.daemon.url}/api/v1/openapi.json", timeout=20).json()["info"]["title"] == "rollbackd"


def test_the_daemon_says_where_it_is(private: Door) -> None:
    [line] = [line for line in private.log() if line["msg"] == "started"]
    assert line["address"] == private.daemon.url


def test_whoever_does_not_know_the_authority_is_told_so(private: Door) -> None:
    ran = private.rollbackd("status")
    assert (ran.code, ran.out) == (UNKNOWN, "")
    assert ran.err == (
        f"rollbackd: the certificate of {private.daemon.url} is not trusted; "
        "name its authority as tls_config: {ca_file: ...} in --http.config.file (or ROLLBACKD_HTTP_CONFIG_FILE)\n"
    )


def test_the_command_line_trusts_the_authority_that_its_file_names(private: Door, papers: Papers) -> None:
    file = private.login_file(tls_config={"ca_file": papers.ca})
    assert private.rollbackd("status", "--http.config.file", str(file)).code == 0
    ran = private.rollbackd("hold", "checkout", "--reason", "x", "--http.config.file", str(file), "--format", "json")
    assert (ran.code, ran.json["phase"]) == (0, "held")
    assert private.rollbackd("resume", "checkout", "--reason", "x", "--http.config.file", str(file)).code == 0


def test_plain_http_is_hung_up_on_with_a_hint(private: Door) -> None:
    ran = rollbackd("status", "--url", private.daemon.url.replace("https", "http"))
    assert ran.code == UNKNOWN
    assert "is the address to begin with https://" in ran.err


def test_a_certificate_for_another_name_is_said_to_be_one(told: PrometheusServer, tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    papers.serve("guard.example.com")
    with opened(tmp_path / "door", told, papers) as door:
        ran = door.rollbackd("status", "--http.config.file", str(door.login_file(tls_config={"ca_file": papers.ca})))
    assert ran.code == UNKNOWN
    assert f"the certificate of {door.daemon.url} is for another name" in ran.err


def test_a_client_certificate_names_its_owner(certified: Door, papers: Papers) -> None:
    """The common name, else the first e-mail or DNS name; from every address."""
    for names, common in ((("x@example.com",), "anna"), (("ben@example.com",), None), (("ci.example.com",), None)):
        with requests.Session() as session:
            session.trust_env, session.verify = False, papers.ca
            session.cert = papers.person(*names, common_name=common)
            assert held_by(certified, session) == common or names[0]


def test_a_client_certificate_is_good_from_another_machine(certified: Door, papers: Papers) -> None:
    with requests.Session() as session:
        session.trust_env, session.verify, session.cert = False, False, papers.person(common_name="anna")
        with pytest.warns(Warning, match="Unverified HTTPS request"):
            answer = session.post(f"https://{another_address()}:{certified.daemon.port}{HOLD}", json=WHY, timeout=20)
        assert answer.status_code == 200
        session.verify = papers.ca
        assert session.post(certified.daemon.url + RESUME, json=WHY, timeout=20).status_code == 200


@pytest.mark.parametrize("headers", [{"Via": "1.1 gateway"}, {"X-Forwarded-For": "192.0.2.1"}, {"Origin": "https://evil.example.com"}])
def test_the_certificate_of_a_proxy_or_browser_is_not_consent(certified: Door, papers: Papers, headers: dict[str, str]) -> None:
    with requests.Session() as session:
        session.trust_env, session.verify, session.cert = False, papers.ca, papers.person(common_name="gateway")
        assert session.post(certified.daemon.url + HOLD, json=WHY, headers=headers, timeout=20).status_code == 403


def test_without_a_certificate_or_with_a_strangers_nobody_comes_in(certified: Door, papers: Papers, tmp_path: Path) -> None:
    stranger = Papers(tmp_path).person(common_name="anna")
    for shown in (None, stranger):
        with requests.Session() as session:
            session.trust_env, session.verify, session.cert = False, papers.ca, shown
            with pytest.raises(requests.ConnectionError):
                session.get(f"{certified.daemon.url}/metrics", timeout=20)


def test_the_command_line_shows_a_certificate_or_says_that_one_is_wanted(certified: Door, papers: Papers) -> None:
    ran = certified.rollbackd("status", "--http.config.file", str(certified.login_file(tls_config={"ca_file": papers.ca})))
    assert ran.code == UNKNOWN
    assert "does it want a client certificate (tls_config: {cert_file: ..., key_file: ...} in --http.config.file" in ran.err
    file = certified.login_file(tls_config={"ca_file": papers.ca, "cert_file": papers.person(common_name="anna")})
    assert certified.rollbackd("status", "--http.config.file", str(file)).code == 0


def test_where_certificates_are_optional_only_reading_is(told: PrometheusServer, tmp_path: Path, papers: Papers) -> None:
    """The owner of the socket is not taken instead of the certificate."""
    with opened(tmp_path, told, papers, "VerifyClientCertIfGiven") as door:
        assert door.get("/metrics").status_code == 200
        answer = door.post(HOLD, WHY)
        assert (answer.status_code, answer.json()["error"]) == (
            403,
            "changing needs a client certificate with a common name, or an e-mail or DNS name",
        )
        with requests.Session() as session:
            session.trust_env, session.verify, session.cert = False, papers.ca, papers.person(common_name="anna")
            assert held_by(door, session) == "anna"


def test_only_the_alternative_names_that_are_listed_come_in(told: PrometheusServer, tmp_path: Path, papers: Papers) -> None:
    with opened(tmp_path, told, papers, VERIFIED, sans=["anna@example.com", "::1"]) as door:
        for names, status in ((("anna@example.com",), 200), (("::1",), 200), (("ben@example.com", "anna.example.com"), 403)):
            with requests.Session() as session:
                session.trust_env, session.verify, session.cert = False, papers.ca, papers.person(*names, common_name="anna@example.com")
                answer = session.get(f"{door.daemon.url}/metrics", timeout=20)
                assert answer.status_code == status
        assert answer.json()["error"] == "the client certificate has none of the alternative names that client_allowed_sans lists"


def test_a_login_comes_before_a_certificate_and_is_not_replaced_by_one(told: PrometheusServer, tmp_path: Path, papers: Papers) -> None:
    with opened(tmp_path, told, papers, VERIFIED, basic_auth_users=users(**PASSWORDS)) as door, door.as_user("ben") as session:
        session.cert = papers.person(common_name="anna")
        assert held_by(door, session) == "ben"
        session.auth = None
        assert session.get(f"{door.daemon.url}/metrics", timeout=20).status_code == 401


def test_a_renewed_certificate_is_shown_after_a_reload(told: PrometheusServer, tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    with opened(tmp_path / "door", told, papers) as door:
        old = certificate_of(door, papers)
        assert old == serial(papers)
        papers.serve()
        door.daemon.send(signal.SIGHUP)
        wait_until(lambda: any(line["msg"] == "reloaded" for line in door.log()), "the reload")
        assert certificate_of(door, papers) == serial(papers) != old


def test_a_renewed_certificate_is_found_without_a_reload_and_a_broken_one_is_not_used(told: PrometheusServer, tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    with opened(tmp_path / "door", told, papers) as door:
        papers.serve()
        good = serial(papers)
        assert certificate_of(door, papers) == good
        trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(papers.folder / "server.key")  # of another certificate
        assert certificate_of(door, papers) == good
        answer = door.post("/-/reload")
        assert answer.status_code == 422
        [reason] = answer.json()["reasons"]
        assert "are no certificate with its unencrypted key, in PEM (key values mismatch)" in reason["sentence"]
        assert reason["sentence"].startswith(f"{door.web_file}:3:")
        papers.serve()
        assert certificate_of(door, papers) == serial(papers) != good
        assert [line["msg"] for line in door.log() if line["level"] == "error"] == [
            "the web configuration was not loaded again; the one before stays",
            "the configuration was not reloaded; the one before stays",
        ]


def test_tls_is_not_switched_off_while_it_runs(told: PrometheusServer, tmp_path: Path, papers: Papers) -> None:
    with opened(tmp_path, told, papers) as door:
        door.write_web({"basic_auth_users": users(**PASSWORDS)})
        assert door.get("/metrics").status_code == 200
        [reason] = door.post("/-/reload").json()["reasons"]
        assert reason["sentence"].endswith("switches TLS, passwords or client_auth_type on or off; restart rollbackd for that")


class Tight(Door):
    """A daemon with few descriptors."""

    def command(self, port: int) -> list[str | Path]:
        return ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *super().command(port)]


def test_two_hundred_handshakes_that_nobody_ends_do_not_stop_a_rollback(told: PrometheusServer, tmp_path: Path, papers: Papers) -> None:
    door = Tight(tmp_path, told.url, {"tls_server_config": papers.tls()})
    door.session.verify = papers.ca
    with door, contextlib.ExitStack() as callers:
        door.set_error_rate(0)
        door.to_canary()
        for number in range(200):
            with contextlib.suppress(OSError):  # refused at once
                caller = callers.enter_context(socket.create_connection(("127.0.0.1", door.daemon.port), timeout=30))
                caller.sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 7])  # the beginning of a handshake
        door.set_error_rate(0.02)
        wait_until(lambda: "NEW_CHECKOUT=false" in door.flags.read_text(), "the flags to be set back", 8)
        callers.close()
        assert door.wait_for(phase="rolled_back")["stage"] == "baseline"
        assert not [line for line in door.log() if line["level"] == "error"]


def test_who_does_not_end_a_handshake_is_not_waited_for(private: Door) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", private.daemon.port), timeout=30) as silent:
        assert silent.recv(100) == b""
    assert 8 < time.monotonic() - started < 20


def test_the_daemon_stops_in_the_middle_of_handshakes(told: PrometheusServer, tmp_path: Path, papers: Papers) -> None:
    with opened(tmp_path, told, papers) as door, socket.create_connection(("127.0.0.1", door.daemon.port)):
        assert door.get("/-/healthy").status_code == 200
        started = time.monotonic()
        door.daemon.stop(20)
        assert time.monotonic() - started < 8
        assert "stopping" in [line["msg"] for line in door.log()]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("server.pem", "tls_server_config.cert_file"),
        ("server.key", "tls_server_config.cert_file"),
        ("ca.pem", "tls_server_config.client_ca_file"),
    ],
)
def test_files_that_are_no_certificates_are_mistakes_of_the_configuration(tmp_path: Path, spoil: str, said: str) -> None:
    papers = Papers(tmp_path)
    (tmp_path / "web.yml").write_text(json.dumps({"tls_server_config": papers.tls(VERIFIED)}, indent=1))
    assert context(web_config.read(tmp_path / "web.yml"))
    for broken in ("nonsense", None):
        (tmp_path / spoil).write_text(broken) if broken else (tmp_path / spoil).unlink()
        with pytest.raises(ConfigurationError) as refused:
            context(web_config.read(tmp_path / "web.yml"))
        assert str(refused.value).startswith(f"{tmp_path}/web.yml:")
        assert (said if broken else f'the file "{tmp_path / spoil}" does not exist') in str(refused.value)


def test_names_of_files_count_from_the_folder_of_the_web_configuration(tmp_path: Path) -> None:
    Papers(tmp_path / "sub")
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: sub/server.pem, key_file: sub/server.key}")
    assert web_config.read(tmp_path / "web.yml").files == (str(tmp_path / "sub/server.pem"), str(tmp_path / "sub/server.key"))
    assert context(web_config.read(tmp_path / "web.yml"))


def test_a_certificate_without_a_name_names_nobody() -> None:
    assert common_name({}) is None
    assert common_name({"subject": ((("organizationName", "Example"),),), "subjectAltName": (("URI", "spiffe://x"),)}) is None
    assert common_name({"subject": ((("commonName", "anna\n"),),)}) is None
    assert common_name({"subject": ((("commonName", " "),),)}) is None
    assert is_allowed({"subjectAltName": (("URI", "spiffe://x"),)}, ["spiffe://x"])
    assert not is_allowed({"subject": ((("commonName", "anna"),),)}, ["anna"])
