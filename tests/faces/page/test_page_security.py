"""Requests of others in somebody's name, and texts that would be scripts: nothing happens, and nothing executes."""

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import pytest
from playwright.sync_api import expect

from rollback_daemon.lab.faults import Answer, MisbehavingServer, Request
from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.http.bench import RULES
from tests.faces.http.door import Door, users
from tests.faces.page.conftest import Sight
from tests.faces.page.house import PEOPLE, ROLLOUT, House, Visitor, hidden, shown
from tests.faces.page.test_page_forms import log_in

HOLD = f"{ROLLOUT}/hold"
SCRIPT = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">'\"&"


@pytest.fixture(scope="module")
def house(told: PrometheusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One where nothing ever happens."""
    with House(tmp_path_factory.mktemp("house"), told.url) as one:
        one.set_error_rate(0)
        one.wait_for(phase="baseline")
        yield one


def changes(house: Door) -> list[str]:
    """What was done, or asked for and refused."""
    return [one["event"] for one in house.history() if one["event"] in {"held", "resumed", "intended", "refused"}]


@pytest.mark.parametrize(
    ("wrong", "headers", "status"),
    [
        ({"token": ""}, {}, 403),
        ({"token": "0" * 43}, {}, 403),
        ({"token": "of another session"}, {}, 403),
        ({}, {"Origin": "https://evil.example.com"}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Origin": "http://127.0.0.1:1"}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({}, {"Sec-Fetch-Site": "same-site"}, 403),  # another port of this machine
        ({}, {"Content-Type": "text/plain"}, 403),
        ({}, {"Content-Type": "application/json"}, 403),
        ({}, {"Content-Type": ""}, 403),
        ({}, {"Cookie": ""}, 303),
        ({}, {"Cookie": "rollbackd_session=guessed"}, 303),
        ({}, {}, 303),  # the only one that is done, and it counts
    ],
)
def test_a_form_is_taken_from_its_own_page_alone(house: House, wrong: dict[str, str], headers: dict[str, str], status: int) -> None:
    ann = house.visitor("ann")
    form = {**hidden(ann.get(HOLD)), "reason": "x", **wrong}
    if wrong.get("token") == "of another session":
        form["token"] = hidden(house.visitor("ann").get(HOLD))["token"]
    answer = ann.post(HOLD, form, **headers)
    assert answer.status_code == status
    done = not wrong and not headers
    assert answer.headers.get("location", "").startswith(f"{ROLLOUT}?done=") is done
    assert changes(house) == (["held"] if done else [])


def test_reading_a_form_changes_nothing_whatever_it_is_asked(house: House) -> None:
    ann = house.visitor("ann")
    before = changes(house)
    token = hidden(ann.get(f"{ROLLOUT}/rollback"))
    for verb in ("rollback", "hold", "resume", "promote"):
        ann.session.get(f"{house.url}{ROLLOUT}/{verb}", params={**token, "reason": "x"}, timeout=20)
    assert changes(house) == before


def test_every_page_may_be_framed_by_nobody_and_runs_only_our_own_script(house: House) -> None:
    ann = house.visitor("ann")
    for path in ("/", ROLLOUT, HOLD, "/login", "/nothing", "/rollouts/none/hold"):
        headers = (house.visitor() if path == "/login" else ann).get(path).headers
        if path == "/nothing":  # no page, but JSON
            continue
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert (policy["default-src"], policy["script-src"], policy["frame-ancestors"], policy["form-action"]) == (
            "'none'",
            "'self'",
            "'none'",
            "'self'",
        )
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-frame-options"], headers["cache-control"], headers["referrer-policy"]) == ("DENY", "no-store", "same-origin")


class Evil(MisbehavingServer):
    """Another site: pages that send forms and requests to the daemon, frame it, and link to it."""

    def __init__(self, target: str) -> None:
        self._target = target
        super().__init__()

    def answer(self, request: Request, /) -> Answer:
        page = {"/form": self._form, "/fetch": self._fetch, "/frame": self._frame}.get(request.path, self._link)()
        return Answer(f"<!doctype html><title>evil</title>{page}".encode(), "text/html; charset=utf-8")

    def _form(self) -> str:
        fields = '<input name="reason" value="x"><input name="token" value="guessed">'
        return f"<form method=post action='{self._target}{HOLD}'>{fields}</form><script>document.forms[0].submit()</script>"

    def _fetch(self) -> str:
        """Whatever needs no leave of the other site, to the page and to the API."""
        return f"""<script>
        const ask = (path, type, body) => fetch('{self._target}' + path, {{method: 'POST', mode: 'no-cors', credentials: 'include',
            body: new Blob([body], type ? {{type}} : {{}})}}).catch(() => 0);
        Promise.all([ask('{HOLD}', 'application/x-www-form-urlencoded', 'reason=x'), ask('/api/v1{HOLD}', 'text/plain', '{{"reason": "x"}}'),
            ask('/api/v1{HOLD}', '', '{{"reason": "x"}}'), ask('/logout', 'application/x-www-form-urlencoded', ''), ask('/-/reload', '', '')])
            .then(() => {{ document.title = 'asked'; }});
        </script>"""

    def _frame(self) -> str:
        return f"<iframe src='{self._target}{HOLD}' onload=\"document.title = 'framed'\"></iframe>"

    def _link(self) -> str:
        return f"<a href='{self._target}{ROLLOUT}'>look</a>"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_site_does_nothing_in_the_name_of_whoever_is_logged_in(house: House, look: Callable[..., Sight], host: str) -> None:
    """On the same machine a browser sends its cookies along, from another one it keeps them back."""
    before, tab = changes(house), look()
    log_in(tab.page, house, "ann", "/")
    with Evil(house.url) as evil:
        site = evil.url.replace("127.0.0.1", host)
        tab.page.goto(f"{site}/form")
        expect(tab.page.locator("h1")).to_have_text("Refused" if host == "127.0.0.1" else "Log in")
        tab.page.goto(f"{site}/fetch")
        expect(tab.page).to_have_title("asked")
        tab.page.goto(f"{site}/frame")
        expect(tab.page).to_have_title("framed")
        assert [frame.url for frame in tab.page.frames if frame.url.startswith(house.url)] == []
        assert any("frame-ancestors" in one or "X-Frame-Options" in one for one in tab.complaints)
        tab.page.goto(f"{site}/link")
        tab.page.get_by_role("link", name="look").click()
        expect(tab.page.get_by_role("button", name="Log out")).to_be_visible()  # a link from a chat asks for no second login
    assert changes(house) == before


def test_no_text_that_somebody_wrote_is_run(told: PrometheusServer, tmp_path: Path, look: Callable[..., Sight]) -> None:
    """As an owner, a label, a reason, a condition's expression, and as a user name."""
    name = "<img/src=x/onerror=document.title='pwned'>"
    rules = RULES.replace("owner: deployment-lead", f'owner: "{SCRIPT.replace(chr(34), chr(92) + chr(34))}"')
    labelled = 'label_replace(errors, "who", "<script>document.title=1</script>", "", "")'
    rules = rules.replace("expr: errors or vector(0)", f"expr: {labelled!r}")
    with Door(tmp_path, told.url, {"basic_auth_users": users(**{name: "x"})}, rules=rules) as door:
        door.session = door.as_user(name, "x")
        door.set_error_rate(0)
        door.to_canary()
        assert door.ask_for("hold", reason=SCRIPT).ok
        tab = look()
        tab.page.goto(f"{door.daemon.url}{ROLLOUT}/resume")
        tab.page.get_by_label("User name").fill(name)
        tab.page.get_by_label("Password").fill("x")
        tab.page.get_by_role("button", name="Log in").click()
        expect(tab.page.locator(".effects")).to_contain_text(SCRIPT)
        tab.page.get_by_label("Reason").fill(SCRIPT)
        tab.page.get_by_role("button", name="Resume it").click()
        expect(tab.page.locator(".notice")).to_have_text("It is resumed.")
        for path in ("/", f"/?q={escape(SCRIPT)}", ROLLOUT, f"{ROLLOUT}?done={escape(SCRIPT)}", f"{ROLLOUT}/rollback?to={escape(SCRIPT)}"):
            tab.page.goto(door.daemon.url + path)
            assert "pwned" not in tab.page.title()
        assert tab.page.locator("main script, main img").count() == 0
        assert tab.complaints == []


def test_a_stranger_sees_the_login_page_and_nothing_of_a_rollout(house: House) -> None:
    stranger = Visitor(house.url)
    said = "".join(stranger.get(path).text for path in ("/", ROLLOUT, HOLD, "/login", f"/login?next={ROLLOUT}x", "/changes", f"{ROLLOUT}/changes"))
    assert "checkoutx" in said  # what he asked for himself
    for secret in ("canary", "deployment-lead", "SHARE", *PEOPLE):
        assert secret not in said
    assert "Log in" in shown(stranger.get("/login"))
