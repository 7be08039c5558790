"""Logging in on the page: who does gets a session and its cookie, who does not sees nothing, and a session ends when it must."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests

from rollback_daemon.lab.servers import PrometheusServer, wait_until
from tests.faces.http.bench import Bench
from tests.faces.http.door import Papers, hashed, users
from tests.faces.page.house import PEOPLE, ROLLOUT, House, Visitor, hidden, shown

SEVERAL = ("/", "/?q=x", ROLLOUT, f"{ROLLOUT}/rollback?to=baseline", "/nothing")


@pytest.fixture(scope="module")
def house(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Reading is closed."""
    with House(tmp_path_factory.mktemp("house"), told.url) as one:
        one.set_error_rate(0)
        yield one


def cookie(answer: requests.Response, kind: str) -> str:
    """The Set-Cookie header of a kind."""
    every = answer.raw.headers.getlist("set-cookie")
    (found,) = [one for one in every if one.startswith((f"rollbackd_{kind}_", f"__Host-rollbackd_{kind}_", f"__Secure-rollbackd_{kind}_"))]
    return str(found)


def has_ended(visitor: Visitor) -> bool:
    return "Log in" in visitor.get("/").text


def stream(visitor: Visitor) -> requests.Response:
    return visitor.session.get(f"{visitor.url}/api/v1/events", stream=True, timeout=20)


def test_without_a_login_every_page_leads_to_it_and_back(house: House) -> None:
    for path in SEVERAL:
        visitor = house.visitor()
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
        assert visitor.log_in("ann", PEOPLE["ann"], answer.headers["location"].partition("next=")[2]).headers["location"] == path
    assert house.visitor().post(f"{ROLLOUT}/rollback", {"reason": "x"}).headers["location"] == f"/login?next={ROLLOUT}/rollback"
    for path, headers in (("/api/v1/rollouts", {}), ("/metrics", {}), ("/", {"Accept": "*/*", "Sec-Fetch-Mode": "cors"})):
        answer = house.visitor().get(path, **headers)
        assert (answer.status_code, "Basic" in answer.headers["www-authenticate"]) == (
            401,
            not headers,
        )  # a script makes no browser ask for a password


def test_whoever_logs_in_is_named_and_his_cookie_is_kept_from_scripts_and_other_sites(house: House) -> None:
    visitor = house.visitor()
    answer = visitor.log_in("ann", PEOPLE["ann"])
    assert answer.status_code == 303
    said = cookie(answer, "session")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= {*said.split("; ")}
    assert len(said.partition("=")[2].partition(";")[0]) >= 43
    page = visitor.get("/")
    assert (page.status_code, ">ann</span>" in page.text, "Log out" in page.text) == (200, True, True)
    assert visitor.get("/login?next=/?q=x").headers["location"] == "/?q=x"
    assert visitor.session.get(f"{house.url}/api/v1/rollouts", timeout=20).status_code == 200  # the page's own script reads with it


def test_a_cookie_changes_nothing_through_the_api(house: House) -> None:
    visitor = house.visitor("ann")
    for path in (f"/api/v1{ROLLOUT}/hold", "/-/reload"):
        answer = visitor.session.post(house.url + path, json={"reason": "x"}, headers={"Origin": house.url}, timeout=20)
        assert (answer.status_code, answer.json()["error"]) == (401, "a login is needed: a user name and a password")
    assert house.rollout()["phase"] == "baseline"


def test_a_wrong_login_is_told_the_same_whoever_it_names_and_leaves_no_password_behind(house: House) -> None:
    answers = [house.visitor().log_in(name, "my other secret") for name in ("ann", "nobody")]
    assert [one.status_code for one in answers] == [403, 403]
    texts = [shown(one).replace(name, "") for one, name in zip(answers, ("ann", "nobody"), strict=True)]
    assert texts[0] == texts[1]
    assert "The user name or the password is wrong." in texts[0]
    assert not any("session" in name for one in answers for name in one.cookies.keys())  # noqa: SIM118 (a cookie jar is no mapping)
    assert "my other secret" not in house.daemon.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", [{}, {"name": "ann"}, {"name": "", "password": "x"}, {"name": "ann\x00", "password": "\udcff"}])
def test_half_a_login_is_none(house: House, form: dict[str, str]) -> None:
    visitor = house.visitor()
    raw = {key: value.encode("utf-8", "surrogateescape") for key, value in {**hidden(visitor.get("/login")), **form}.items()}
    assert visitor.post("/login", raw).status_code == 403  # type: ignore[arg-type]  # bytes that are no text


def test_a_session_that_was_planted_before_the_login_is_nobodys_afterwards(house: House) -> None:
    visitor, name = house.visitor(), f"rollbackd_session_{house.daemon.port}"
    visitor.session.cookies.set(name, "planted", domain="127.0.0.1", path="/")
    visitor.log_in("ann", PEOPLE["ann"])
    first = visitor.session.cookies.get(name, domain="127.0.0.1")
    assert first not in {None, "planted"}
    visitor.session.cookies.clear_session_cookies()
    other = house.visitor()
    other.session.cookies.update({name: str(first)})
    other.post("/login", {**hidden(house.visitor().get("/login")), "name": "bob", "password": PEOPLE["bob"]})
    assert other.get("/").status_code == 200  # that form was of another browser: nobody was logged in, and nobody out
    assert Visitor(house.url).get("/").status_code == 303


def test_after_the_logout_the_cookie_is_worth_nothing_and_what_flowed_has_ended(house: House) -> None:
    visitor = house.visitor("ann")
    thief = Visitor(house.url)
    thief.session.cookies.update(visitor.session.cookies)
    assert thief.get("/").status_code == 200
    flowing = stream(thief)
    lines = flowing.iter_lines(chunk_size=1)
    assert next(lines)
    form = {"token": visitor.get("/").text.partition('name="token" value="')[2].partition('"')[0]}
    assert visitor.post("/logout", {"token": "guessed"}).status_code == 403
    assert visitor.post("/logout", form).headers["location"] == "/login"
    assert thief.get("/").headers["location"] == "/login?next=/"
    assert thief.session.get(f"{house.url}/api/v1/rollouts", timeout=20).status_code == 401
    assert len(list(islice(lines, 200))) < 200  # it has an end; else there would be more to read five times a second
    assert not [line for line in house.log() if line["level"] in {"error", "critical"}]


def test_a_session_ends_with_its_password_and_with_its_user(told: PrometheusServer, tmp_path: Path) -> None:
    with House(tmp_path, told.url, open_reading=True) as own:
        ann, bob = own.visitor("ann"), own.visitor("bob")
        changed = {"basic_auth_users": {**users(**PEOPLE), "ann": hashed("another one")}}
        del changed["basic_auth_users"]["bob"]
        own.write_web(changed)
        for one in (ann, bob):
            wait_until(partial(has_ended, one), "the session to end", 10)
            assert unquote(one.get(f"{ROLLOUT}/hold").headers["location"]) == f"/login?next={ROLLOUT}/hold"
        assert ann.log_in("ann", PEOPLE["ann"]).status_code == 403
        assert ann.log_in("ann", "another one").status_code == 303


def test_wrong_logins_make_one_wait_on_the_page_and_at_the_api_and_keep_out_nobody_who_was_in(told: PrometheusServer, tmp_path: Path) -> None:
    with House(tmp_path, told.url) as own:
        ann = own.visitor("ann")
        stranger = Visitor(own.url)
        behind = {"X-Forwarded-For": "203.0.113.7"}
        form = hidden(stranger.get("/login"))
        said = [stranger.post("/login", {**form, "name": "ann", "password": str(number)}, **behind) for number in range(12)]
        assert [one.status_code for one in said] == [403] * 10 + [429] * 2
        assert "Too many wrong logins. Try again in " in shown(said[-1])
        assert int(said[-1].headers["retry-after"]) >= 1
        with own.as_user("ann", "guessed") as session:
            answer = session.get(f"{own.url}/api/v1/rollouts", headers=behind, timeout=20)
        assert (answer.status_code, "too many wrong logins; try again in" in answer.json()["error"]) == (429, True)
        assert own.status("ann", PEOPLE["ann"]) == 200  # from where she was let in before
        for one in [one for one in ann.session.cookies if "device" not in one.name]:
            ann.session.cookies.clear(one.domain, one.path, one.name)
        again = ann.post("/login", {**hidden(ann.get("/login")), "name": "ann", "password": PEOPLE["ann"]}, **behind)
        assert again.status_code == 303  # her browser is known, from wherever
        assert own.visitor("bob").get("/").status_code == 200


def test_where_nobody_is_asked_the_page_names_the_owner_of_the_socket(bench: Bench) -> None:
    visitor = Visitor(bench.daemon.url)
    me = visitor.get(f"{ROLLOUT}/hold")
    assert "It goes on record under your name" in shown(me)
    assert visitor.get("/login?next=/nothing").headers["location"] == "/nothing"
    assert visitor.send(f"{ROLLOUT}/hold").status_code == 303
    last = bench.history()[-1]
    assert (last["event"], last["via"], f"your name, {last['by']}" in shown(me)) == ("held", "page", True)
    through = visitor.get(f"{ROLLOUT}/resume", **{"X-Forwarded-For": "203.0.113.7"})
    assert "You may change nothing here: the request came through a proxy" in shown(through)
    assert 'name="token"' not in through.text


def test_over_tls_the_cookie_is_for_this_host_alone(told: PrometheusServer, tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    with House(tmp_path, told.url, tls=papers.tls()) as own:
        visitor = Visitor(own.url)
        visitor.session.verify = papers.ca
        said = cookie(visitor.log_in("ann", PEOPLE["ann"]), "session")
        assert said.startswith("__Host-rollbackd_session_")
        assert "Secure" in said.split("; ")
        assert visitor.get("/").status_code == 200
