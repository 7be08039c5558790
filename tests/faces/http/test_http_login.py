"""Logins: with users in the web configuration, nobody does anything under another name than his own, and nobody without one."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon import documents
from rollback_daemon.config import Configuration, roles_of
from rollback_daemon.errors import ConfigurationError
from rollback_daemon.faces.http import web_config
from rollback_daemon.faces.http.passwords import Passwords, TooManyError
from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import rollbackd
from tests.faces.http.door import HOLD, PASSWORDS, RESUME, WHY, Door, another_address, hashed, users

NO, USAGE = 1, 2
ANNA = {"Authorization": "Basic YW5uYTpjb3JyZWN0IGhvcnNl"}  # anna:correct horse


@pytest.fixture(scope="module")
def door(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Anna and Ben may come in, from every address of the machine."""
    with Door(tmp_path_factory.mktemp("door"), told.url, {"basic_auth_users": users(**PASSWORDS)}, host="0.0.0.0") as one:  # noqa: S104 (on purpose)
        one.set_error_rate(0)
        yield one


@pytest.fixture
def own_door(told: PrometheusServer, tmp_path: Path) -> Iterator[Door]:
    """The same, of the test's own."""
    with Door(tmp_path, told.url, {"basic_auth_users": users(**PASSWORDS)}) as one:
        one.set_error_rate(0)
        yield one


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/-/healthy"),
        ("GET", "/api/v1/rollouts"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/nothing"),
        ("POST", HOLD),
        ("POST", "/-/reload"),
    ],
)
def test_without_a_login_nothing_is_answered(door: Door, method: str, path: str) -> None:
    """Not even to the owner of a socket on this machine, whom the kernel knows."""
    answer = door.session.request(method, door.daemon.url + path, json=WHY, timeout=20)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="rollbackd", charset="UTF-8"'
    assert answer.json() == {"error": "a login is needed: a user name and a password", "reasons": [], "unknown": False}


def test_whoever_logs_in_is_on_record_under_that_name(door: Door) -> None:
    for name, path in (("anna", HOLD), ("ben", RESUME)):
        with door.as_user(name) as session:
            assert session.post(door.daemon.url + path, json=WHY, timeout=20).status_code == 200
            told = session.get(f"{door.daemon.url}/api/v1/rollouts/checkout/history", timeout=20).json()
            assert session.get(f"{door.daemon.url}/metrics", timeout=20).status_code == 200
        assert told[-1]["by"] == name


def test_a_login_may_change_things_from_another_machine(door: Door) -> None:
    with door.as_user("anna") as session:
        url = f"http://{another_address()}:{door.daemon.port}"
        for path in (HOLD, RESUME):
            assert session.post(url + path, json=WHY, headers={"X-Forwarded-For": "203.0.113.7"}, timeout=20).status_code == 200


def test_a_name_in_the_body_is_ignored_and_other_unknown_keys_are_refused(door: Door) -> None:
    with door.as_user("anna") as session:
        for forged, path in (("by", HOLD), ("user", RESUME)):
            assert session.post(door.daemon.url + path, json={**WHY, forged: "ben"}, timeout=20).status_code == 200
            told = session.get(f"{door.daemon.url}/api/v1/rollouts/checkout/history", timeout=20).json()
            assert told[-1]["by"] == "anna"
        answer = session.post(door.daemon.url + HOLD, json={**WHY, "caller": "ben"}, timeout=20)
        assert (answer.status_code, answer.json()["error"]) == (422, "caller: is not known here; leave it out")


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://127.0.0.1:1", "http://["])
def test_a_page_of_another_site_cannot_use_a_login_that_the_browser_remembers(door: Door, origin: str) -> None:
    with door.as_user("anna") as session:
        for path in (HOLD, "/-/reload"):
            answer = session.post(door.daemon.url + path, json=WHY, headers={"Origin": origin}, timeout=20)
            assert (answer.status_code, "page of another site" in answer.text) == (403, True)
        assert session.post(f"{door.daemon.url}/-/reload", headers={"Origin": door.daemon.url}, timeout=20).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Basic YW5uYTp3cm9uZw==",  # anna:wrong
        "Basic YW5uYTo=",  # anna:
        "Basic Y2FybGE6Y29ycmVjdCBob3JzZQ==",  # carla:correct horse
        "Basic OmNvcnJlY3QgaG9yc2U=",  # :correct horse
        "Basic YW5uYQ==",  # anna
        "Basic YW5uYTpjb3JyZWN0IGhvcnNlAA==",  # the right one, and NUL
        "Basic //86/w==",  # no UTF-8
        "Basic !!!",
        "Basic",
        "Bearer YW5uYTpjb3JyZWN0IGhvcnNl",
        "",
        "Basic " + "A" * 9000,
    ],
)
def test_a_wrong_login_is_refused(door: Door, header: str) -> None:
    for method, path in (("GET", "/api/v1/rollouts"), ("POST", HOLD)):
        answer = door.session.request(method, door.daemon.url + path, json=WHY, headers={"Authorization": header}, timeout=20)
        assert (answer.status_code, answer.json()["error"]) == (401, "the user name or the password is wrong")


def test_the_scheme_is_written_in_any_case(door: Door) -> None:
    assert door.get("/", Authorization=ANNA["Authorization"].replace("Basic", "bASIC ")).status_code == 200


def test_refused_logins_are_logged_with_name_and_address_and_without_the_password(own_door: Door) -> None:
    assert own_door.status("anna", "my other secret") == 401
    assert own_door.status("mallory", "my other secret") == 401
    lines = [line for line in own_door.log() if line["msg"] == "a login was refused"]
    assert [(line["level"], line["user"], line["address"]) for line in lines] == [("warn", name, "127.0.0.1") for name in ("anna", "mallory")]
    assert own_door.status("anna") == 200
    written = own_door.daemon.log.read_text(encoding="utf-8") + str(own_door.folder.joinpath("journal.db").read_bytes())
    assert "my other secret" not in written
    assert PASSWORDS["anna"] not in written


def test_twenty_may_log_in_at_once(own_door: Door) -> None:
    """Right, wrong and unknown together, with passwords that take their time."""
    own_door.write_web({"basic_auth_users": {name: hashed(password, 9) for name, password in PASSWORDS.items()}})
    logins = [("anna", None), ("ben", None), ("anna", "wrong"), ("mallory", "x")] * 5
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda login: own_door.status(*login), logins))
    assert statuses == [200, 200, 401, 401] * 5


def test_reading_is_open_where_the_configuration_says_so(told: PrometheusServer, tmp_path: Path) -> None:
    with Door(tmp_path, told.url, {"basic_auth_users": users(**PASSWORDS)}, open_reading=True) as one:
        for path in ("/metrics", "/-/ready", "/api/v1/rollouts/checkout/explain"):
            assert one.get(path).status_code == 200
        assert one.get("/metrics", Authorization="Basic YW5uYTp3cm9uZw==").status_code == 401
        for path in (HOLD, "/-/reload"):
            answer = one.post(path, WHY)
            assert answer.status_code == 401
            assert "WWW-Authenticate" in answer.headers
        config = (one.folder / "rollbackd.yml").read_text()
        (one.folder / "rollbackd.yml").write_text(config.replace("true", "false"))
        assert one.post("/-/reload", **ANNA).status_code == 200
        assert one.get("/metrics").status_code == 401


def test_a_change_of_the_users_counts_from_the_next_request_on(own_door: Door) -> None:
    assert (own_door.status("anna"), own_door.status("ben"), own_door.status("carla", "new")) == (200, 200, 401)
    own_door.write_web({"basic_auth_users": users(anna="another", carla="new")})
    assert (own_door.status("anna"), own_door.status("ben"), own_door.status("carla", "new")) == (401, 401, 200)
    assert own_door.status("anna", "another") == 200
    [line] = [line for line in own_door.log() if "has changed" in line["msg"]]
    assert line["users"] == ["anna", "carla"]


def test_a_web_configuration_with_a_mistake_leaves_the_one_before_in_force(own_door: Door) -> None:
    own_door.web_file.write_text("basic_auth_users:\n  anna: correct horse\n")
    for _ in range(3):
        assert (own_door.status("anna"), own_door.status("ben")) == (200, 200)
    [line] = [line for line in own_door.log() if line["level"] == "error"]
    assert line["msg"] == "the web configuration was not loaded again; the one before stays"
    assert line["problems"] == [
        f"{own_door.web_file}:2:9: basic_auth_users.anna: is no bcrypt hash (it is not shown); make one with: htpasswd -nBC 10 NAME"
    ]
    answer = own_door.post("/-/reload", **ANNA)
    assert (answer.status_code, answer.json()["reasons"][0]["sentence"]) == (422, line["problems"][0])
    own_door.web_file.unlink()
    assert (own_door.status("anna"), own_door.status("ben")) == (200, 200)


@pytest.mark.parametrize("text", ["{}", "", "http_server_config: {headers: {X-Frame-Options: deny}}"])
def test_logins_are_not_switched_off_by_half_a_file(own_door: Door, text: str) -> None:
    own_door.web_file.write_text(text)
    assert own_door.get("/metrics").status_code == 401
    assert own_door.status("anna") == 200
    assert own_door.post("/-/reload", **ANNA).status_code == 422


def test_the_command_line_logs_in_with_a_file(own_door: Door) -> None:
    login = str(own_door.login_of("ben"))
    held = own_door.rollbackd("hold", "checkout", "--reason", "freeze", "--http.config.file", login)
    assert (held.code, held.err) == (0, "")
    resumed = own_door.rollbackd("resume", "checkout", "--reason", "thaw", env={"ROLLBACKD_HTTP_CONFIG_FILE": login})
    assert (resumed.code, resumed.err) == (0, "")
    told = own_door.rollbackd("history", "checkout", "--format", "json", "--http.config.file", login).json
    assert [one["by"] for one in told if one["event"] in {"held", "resumed"}] == ["ben", "ben"]


def test_the_command_line_says_which_option_is_missing(own_door: Door) -> None:
    option = "name the file that has them by --http.config.file (or ROLLBACKD_HTTP_CONFIG_FILE)"
    for words in (["status"], ["hold", "checkout", "--reason", "x"]):
        ran = own_door.rollbackd(*words)
        assert (ran.code, ran.out, ran.err) == (NO, "", f"rollbackd: a login is needed: a user name and a password; {option}\n")
    ran = own_door.rollbackd("status", "--http.config.file", str(own_door.login_of("ben", "wrong")))
    assert (ran.code, ran.out, ran.err) == (NO, "", f"rollbackd: the user name or the password is wrong; {option}\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "login.yml: cannot be read: no such file or directory"),
        (
            "basic_auth: {username: ben, password: secret}",
            'login.yml:1:29: basic_auth.password: unknown key "password"; did you mean "password_file"?',
        ),
        ("basic_auth: {username: ben, password_file: nowhere}", 'nowhere" does not exist'),
        ("url: http://localhost", "login.yml:1:1: url: does not stand here; say it by --url or ROLLBACKD_URL"),
        ("[]", "login.yml:1:1: must be a mapping of keys to values"),
    ],
)
def test_a_login_file_with_a_mistake_is_a_mistake_of_usage(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "login.yml").write_text(text)
    ran = rollbackd("status", "--url", "http://127.0.0.1:9", "--http.config.file", tmp_path / "login.yml")
    assert (ran.code, ran.out) == (USAGE, "")
    assert words in ran.err
    assert "secret" not in ran.err


def test_a_password_file_that_has_two_lines_is_said_to(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("one\ntwo")
    (tmp_path / "login.yml").write_text("basic_auth: {username: ben, password_file: password}")
    ran = rollbackd("status", "--url", "http://127.0.0.1:9", "--http.config.file", tmp_path / "login.yml")
    assert (ran.code, "has more than one line" in ran.err) == (USAGE, True)


GOOD = "$2y$04$" + "abcdefghijklmnopqrstu." + "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234"  # of the right shape; nobody knows of which password


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"basic_auth_users: {GOOD}", "1:19: basic_auth_users: must be a mapping of user names to bcrypt hashes"),
        (
            "basic_auth_users: {anna: 1234567}",
            "1:26: basic_auth_users.anna: is no bcrypt hash (it is not shown); make one with: htpasswd -nBC 10 NAME",
        ),
        (f"basic_auth_users: {{'{GOOD}': anna}}", "1:19: basic_auth_users: has a hash in the place of a name; write it as NAME: HASH"),
        (f"basic_auth_users: {{'a:b': {GOOD}}}", 'is no name of a user; it has at least one letter, no ":" and no control characters'),
        (f"basic_auth_users: {{rollbackd: {GOOD}}}", '"rollbackd" stands on record for the guard itself; use another name'),
        (f"basic_auth_users: {{anna: {GOOD.replace('$04$', '$31$')}}}", "basic_auth_users.anna: has a cost of 31; it must be from 4 to 15"),
        (f"basic_auth_user: {{anna: {GOOD}}}", '1:1: basic_auth_user: unknown key "basic_auth_user"; did you mean "basic_auth_users"?'),
        ("tls_server_config: {}", '1:20: tls_server_config.cert_file: "cert_file" is missing; it must be given'),
        ("tls_server_config: {cert_file: a, key_file: b, key: SECRET}", "tls_server_config.key: is a secret that stands in a file of its own here"),
        ("tls_server_config: {cert_file: a, key_file: b, cipher_suites: [X]}", "tls_server_config.cipher_suites: cannot be chosen here"),
        ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}", "tls_server_config.min_version: TLS10 is broken"),
        ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}", "has min_version TLS13 above max_version TLS12"),
        ("tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequestClientCert}", "which prove nothing; use VerifyClientCertIfGiven"),
        ("tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}", "prove nothing; use RequireAndVerifyClientCert"),
        ("tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}", "has no client_ca_file, without which"),
        ("tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}", "has a client_ca_file and asks for no certificate"),
        ("tls_server_config: {cert_file: a, key_file: b, client_allowed_sans: [c]}", "client_allowed_sans, which needs client_auth_type"),
        ("http_server_config: {http2: true}", "1:29: http_server_config.http2: HTTP/2 is not spoken here; leave it out"),
        ("http_server_config: {headers: {X-Powered-By: x}}", 'unknown key "X-Powered-By"'),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", 'must be "", "deny" or "sameorigin"'),
        ('http_server_config: {headers: {Content-Security-Policy: "a\\nb"}}', "has line breaks or characters that a header cannot have"),
        ("rate_limit: {interval: 1s, burst: 20}", "1:13: rate_limit: is not offered"),
    ],
)
def test_a_mistake_in_the_web_configuration_has_its_place_and_remedy_and_no_secret(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "web.yml").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        web_config.read(tmp_path / "web.yml")
    assert f"{tmp_path}/web.yml:" in str(refused.value)
    assert said in str(refused.value)
    for secret in (GOOD, "SECRET", "1234567"):
        assert secret not in str(refused.value)


@given(
    st.text("abcdefghijkXYZ0123456789$./", min_size=12),
    st.sampled_from(["{{anna: '{}'}}", "{{'$2y{}': anna}}", "[anna, '{}']", "'{}'", "{{anna: ['{}']}}", "{{anna: {{password: '{}'}}}}"]),
)
def test_whatever_stands_in_the_place_of_a_hash_is_not_shown(tmp_path_factory: pytest.TempPathFactory, secret: str, shape: str) -> None:
    file = tmp_path_factory.getbasetemp() / "web.yml"
    file.write_text(f"basic_auth_users: {shape.format(secret)}")
    with pytest.raises(ConfigurationError) as refused:
        web_config.read(file)
    assert secret not in str(refused.value)


def test_a_daemon_with_a_mistake_in_its_web_configuration_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "rollbackd.yml").write_text("prometheus: {url: nowhere}\nrule_files: [x]\n")
    (tmp_path / "web.yml").write_text("basic_auth_users: {anna: x}\n")
    ran = rollbackd("run", "--web.config.file", "web.yml", "--web.listen-address", "127.0.0.1:0", cwd=tmp_path)
    assert ran.code == USAGE
    assert "rollbackd.yml:1:19: prometheus.url" in ran.err
    assert "web.yml:1:26: basic_auth_users.anna: is no bcrypt hash" in ran.err


def test_passwords_that_cross_the_network_as_they_are_are_warned_of(door: Door, own_door: Door) -> None:
    warning = "passwords cross the network as they are; add tls_server_config to the web configuration"
    assert warning in [line["msg"] for line in door.log()]
    assert warning not in [line["msg"] for line in own_door.log()]


def test_headers_of_the_web_configuration_are_on_every_answer(told: PrometheusServer, tmp_path: Path) -> None:
    headers = {"X-Frame-Options": "deny", "X-Content-Type-Options": "", "Content-Security-Policy": "default-src 'none'"}
    with Door(tmp_path, told.url, {"http_server_config": {"headers": headers}, "basic_auth_users": users(**PASSWORDS)}) as one:
        for answer in (one.get("/metrics"), one.get("/metrics", **ANNA), one.get("/nothing", **ANNA)):
            assert (answer.headers["X-Frame-Options"], answer.headers["Content-Security-Policy"]) == ("deny", "default-src 'none'")
            assert "X-Content-Type-Options" not in answer.headers


def right(passwords: Passwords, known: dict[str, bytes], name: str, password: str, address: str = "::1") -> bool:
    return asyncio.run(passwords.right(known, name, password.encode(), address))


def test_a_cached_password_ends_with_its_hash() -> None:
    passwords, old, new = Passwords(), {"anna": hashed("old").encode()}, {"anna": hashed("new").encode()}
    assert right(passwords, old, "anna", "old")
    assert right(passwords, old, "anna", "old")
    assert not right(passwords, new, "anna", "old")
    assert right(passwords, new, "anna", "new")
    assert not right(passwords, {"ben": old["anna"]}, "anna", "old")


def test_of_a_long_password_the_first_72_bytes_count_as_elsewhere() -> None:
    known = {"anna": hashed("p" * 72).encode()}
    assert right(Passwords(), known, "anna", "p" * 100)
    assert not right(Passwords(), known, "anna", "p" * 71)


def test_a_flood_from_one_address_does_not_keep_another_out() -> None:
    """Wrong passwords wait in a queue that ends; a login from elsewhere takes its turn."""
    known = {name: hashed(password, 6).encode() for name, password in PASSWORDS.items()}
    passwords = Passwords()

    async def flood() -> list[object]:
        wrong = [passwords.right(known, "anna", b"%d" % number, "192.0.2.1") for number in range(100)]
        return await asyncio.gather(*wrong, passwords.right(known, "anna", PASSWORDS["anna"].encode(), "192.0.2.2"), return_exceptions=True)

    *wrong, good = asyncio.run(flood())
    assert good is True
    assert wrong[:32] == [False] * 32
    assert {type(one) for one in wrong[32:]} == {TooManyError}
    assert not right(passwords, known, "anna", "x", "192.0.2.1")


def test_a_flood_of_logins_does_not_stop_a_rollback(own_door: Door) -> None:
    own_door.write_web({"basic_auth_users": {"anna": hashed(PASSWORDS["anna"], 12)}})
    own_door.session.auth = ("anna", PASSWORDS["anna"])
    own_door.to_canary()
    with ThreadPoolExecutor(24) as pool:
        flood = [pool.submit(own_door.status, "anna", f"wrong {number}") for number in range(48)]
        own_door.set_error_rate(0.02)
        wait_until(lambda: "NEW_CHECKOUT=false" in own_door.flags.read_text(), "the flags to be set back", 8)
        assert {one.result() for one in flood} <= {401, 429, 503}


def test_a_role_is_for_those_who_are_listed() -> None:
    roles = {"deployment-lead": ["anna", "ben"], "security-review": ["anna"], "nobody": []}
    configuration = Configuration.model_validate({"prometheus": {"url": "http://x"}, "rule_files": ["x"], "roles": roles})
    assert roles_of(configuration, "anna") == {"deployment-lead", "security-review"}
    assert roles_of(configuration, "ben") == {"deployment-lead"}
    assert roles_of(configuration, "Anna") == roles_of(configuration, "") == frozenset()


def test_the_examples_of_the_deployment_guide_are_right(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "deploy/README.md").read_text()
    examples = {text.splitlines()[0]: text for text in re.findall(r"^```yaml\n(# .*?)^```", guide, re.MULTILINE | re.DOTALL)}
    (tmp_path / "web.yml").write_text(examples["# web.yml"])
    assert list(web_config.read(tmp_path / "web.yml").users) == ["anna"]
    whole = documents.parse(examples["# rollbackd.yml"], "rollbackd.yml").value
    more = {key: whole[key] for key in ("roles", "web")}
    assert roles_of(Configuration.model_validate({"prometheus": {"url": "http://x"}, "rule_files": ["x"], **more}), "ben") == {"deployment-lead"}
    (tmp_path / "login.yml").write_text(examples["# login.yml"])
    ran = rollbackd("status", "--url", "https://127.0.0.1:9", "--http.config.file", tmp_path / "login.yml")
    assert [line.rpartition(": ")[2] for line in ran.err.splitlines()[1:]] == [
        f'the file "{tmp_path}/{name}" does not exist' for name in ("ca.pem", "password")
    ]


def test_every_verb_that_asks_a_daemon_takes_a_login() -> None:
    for verb in ("status", "report", "promote", "rehearse", "approve", "checkpoint"):
        assert re.search(r"--http\.config\.file .*\n?.*log in", rollbackd(verb, "--help").out), verb
    assert "--http.config.file" not in rollbackd("check", "--help").out
