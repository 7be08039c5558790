"""What is changed on the page: shown first, then done, once, as it was shown, and on record as from the command line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.page.conftest import Sight
from tests.faces.page.house import PEOPLE, ROLLOUT, House, hidden, shown

Hand = Callable[[Locator], None]


@pytest.fixture
def house(told: PrometheusServer, tmp_path: Path) -> Iterator[House]:
    """At the baseline."""
    with House(tmp_path, told.url) as one:
        one.set_error_rate(0)
        one.wait_for(phase="baseline")
        yield one


def begun(house: House, kind: str) -> list[tuple[str, str, str]]:
    """By whom, from where and whereto such transitions have begun."""
    return [(one["by"], one.get("via", ""), one["to"]) for one in house.history() if one["event"] == "intended" and one["kind"] == kind]


def test_what_is_shown_is_done_once_and_what_has_changed_since_is_shown_again(house: House) -> None:
    ann, bob = house.visitor("ann"), house.visitor("bob")
    shows = ann.get(f"{ROLLOUT}/promote")
    for words in (
        "baseline → canary , exposure 0 % → 10 %",
        "NEW_CHECKOUT false true",
        "SHARE 0 10",
        "Errors passes Errors: error_rate 0, must be < 0.001",
    ):
        assert words in shown(shows)
    stale = hidden(bob.get(f"{ROLLOUT}/promote"))
    form = {**hidden(shows), "reason": "day one"}
    answers = [ann.post(f"{ROLLOUT}/promote", form) for _ in range(3)]
    assert {one.status_code for one in answers} == {303}
    (there,) = {one.headers["location"] for one in answers}
    assert begun(house, "promote") == [("ann", "page", "canary")]
    identity = next(one["id"] for one in house.history() if one["event"] == "intended")
    assert f"The promotion to canary has begun: transition {identity}." in shown(ann.get(there))
    assert "has begun" not in shown(bob.get(there))  # what others did is told by the timeline
    house.wait_for(stage="canary", phase="ready")
    again = bob.post(f"{ROLLOUT}/promote", {**stale, "reason": "day one"})
    assert (again.status_code, 'checkpoint "day-0" is not on record' in shown(again)) == (409, True)
    hold = {**hidden(ann.get(f"{ROLLOUT}/hold")), "reason": "wait"}
    assert ann.post(f"{ROLLOUT}/hold", hold).status_code == 303
    resume = hidden(bob.get(f"{ROLLOUT}/resume"))
    assert house.ask_for("resume", reason="go on").ok
    assert house.ask_for("hold", reason="for another reason").ok
    again = bob.post(f"{ROLLOUT}/resume", {**resume, "reason": "I know why it was held"})
    assert again.status_code == 409
    assert "has changed since you looked. Nothing was done" in shown(again)
    assert ("for another reason" in shown(again), 'value="I know why it was held"' in again.text) == (True, True)
    assert house.rollout()["phase"] == "held"
    assert bob.post(f"{ROLLOUT}/resume", {**hidden(again), "reason": "yes, still"}).status_code == 303
    assert ann.post(f"{ROLLOUT}/hold", hold).headers["location"].startswith(ROLLOUT)
    assert house.rollout()["phase"] != "held"  # that form has been used


def test_at_night_a_rollback_waits_for_nothing_that_leads_to_the_same_stage(house: House) -> None:
    house.to_canary()
    ann = house.visitor("ann")
    form = hidden(ann.get(f"{ROLLOUT}/rollback"))
    assert house.ask_for("hold", reason="meanwhile").ok
    house.flags.rename(house.flags.with_suffix(".away"))
    blind = ann.get(f"{ROLLOUT}/rollback?to=baseline")
    assert "What the flags are now cannot be told" in shown(blind)
    assert "They are set to these values all the same." in shown(blind)
    house.flags.with_suffix(".away").rename(house.flags)
    assert ann.post(f"{ROLLOUT}/rollback", {**form, "reason": "it hurts"}).status_code == 303
    house.wait_for(stage="baseline", phase="rolled_back")
    assert begun(house, "rollback") == [("ann", "page", "baseline")]
    assert "SHARE=0" in house.flags.read_text(encoding="utf-8")
    late = ann.post(f"{ROLLOUT}/rollback", {**form, "reason": "again", "once": "another"})
    assert (late.status_code, "It was refused; nothing was done." in shown(late), "Roll back to" in late.text) == (409, True, False)
    refused = house.history()[-1]
    assert (refused["event"], refused["request"], refused["by"], refused["via"]) == ("refused", "rollback", "ann", "page")


def test_what_is_filled_in_wrongly_is_told_and_nothing_is_done(house: House) -> None:
    ann = house.visitor("ann")
    for reason in ("", "  ", "x" * 2001):
        answer = ann.send(f"{ROLLOUT}/hold", reason)
        assert (answer.status_code, "reason" in shown(answer)) == (422, True)
    for path in ("/rollouts/nothing/hold", f"{ROLLOUT}/explode"):
        assert ann.get(path).status_code == 404
    for asked in ("rollback?to=nowhere", "checkpoint?checkpoint=nothing&decision=PERHAPS", "checkpoint", "resolve", "resolve?of=nobody", "approve"):
        answer = ann.get(f"{ROLLOUT}/{asked}")
        assert (answer.status_code, "This may not be done now." in shown(answer), 'name="reason"' in answer.text) == (200, True, False)
    assert [one for one in house.history() if one["event"] in {"held", "intended", "refused"}] == []


def test_a_vote_can_be_given_refused_resolved_and_taken_back(house: House) -> None:
    house.to_canary()
    ann, bob, eve = (house.visitor(name) for name in ("ann", "bob", "eve"))
    assert eve.send(f"{ROLLOUT}/propose", "on to half").status_code == 303
    before = hidden(ann.get(f"{ROLLOUT}/approve"))
    assert bob.send(f"{ROLLOUT}/reject", "the cache is cold").status_code == 303
    unseen = ann.post(f"{ROLLOUT}/approve", {**before, "reason": "fine"})
    assert (unseen.status_code, "bob (security) has voted NO-GO: the cache is cold" in shown(unseen)) == (409, True)
    assert "who proposes a promotion cannot resolve what speaks against it" in shown(eve.get(f"{ROLLOUT}/resolve?of=bob"))
    assert "bob (security) said: the cache is cold" in shown(ann.get(f"{ROLLOUT}/resolve?of=bob"))
    assert ann.send(f"{ROLLOUT}/resolve?of=bob", "warmed up").status_code == 303
    assert "Withdraw your NO-GO on checkout?" in shown(bob.get(f"{ROLLOUT}/withdraw"))
    assert bob.send(f"{ROLLOUT}/withdraw", "it is warm").status_code == 303
    assert bob.send(f"{ROLLOUT}/approve", "now it is").status_code == 303
    assert "The proposal of eve ends by it, and every GO on it: bob." in shown(ann.get(f"{ROLLOUT}/propose"))
    day = f"{ROLLOUT}/checkpoint?checkpoint=day-0"
    assert "The proposal that is open becomes void by it" in shown(ann.get(day))
    assert ann.send(day, "red", decision="NO-GO", sha256="no digest").status_code == 422
    assert ann.send(day, "red", decision="NO-GO", sha256="a" * 64).status_code == 303
    assert "On record so far: NO-GO by ann, red." in shown(bob.get(day))
    said = [(one["event"], one["by"], one["via"]) for one in house.history() if one.get("via")]
    assert said == [
        ("proposed", "eve", "page"),
        ("voted", "bob", "page"),
        ("resolved", "ann", "page"),
        ("withdrawn", "bob", "page"),
        ("voted", "bob", "page"),
        ("checkpoint", "ann", "page"),
    ]


def mouse(target: Locator) -> None:
    target.click()


def keys(target: Locator) -> None:
    """Tab until it has the focus, then what a keyboard does with it."""
    page = target.page
    page.locator("body").press("Home")
    for _ in range(200):
        if target.evaluate("it => it === document.activeElement"):
            page.keyboard.press("Space" if target.get_attribute("type") == "radio" else "Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {target}")


def log_in(page: Page, house: House, name: str, path: str) -> None:
    """As a person does, who is led back to where he wanted to be."""
    page.goto(house.url + path)
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PEOPLE[name])
    page.keyboard.press("Enter")
    page.wait_for_url(house.url + path)


def grave(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    return [f"{one['id']}: {one['help']}" for one in Axe().run(page).response["violations"] if one["impact"] in {"serious", "critical"}]


def fill_in(page: Page, hand: Hand, button: str, reason: str) -> None:
    """Fill in the reason, which the keyboard stands on, and send it off."""
    page.get_by_label("Reason", exact=True).fill(reason)
    hand(page.get_by_role("button", name=button))


@pytest.mark.parametrize("hand", [mouse, keys])
def test_the_way_up_and_down_by_hand(house: House, look: Callable[..., Sight], hand: Hand) -> None:
    """With the keyboard no script runs, either. The complaints are those of the console: violations of the policy are among them."""
    house.to_canary()
    scripts = hand is mouse
    ann, bob = look(java_script_enabled=scripts), look(java_script_enabled=scripts)
    log_in(ann.page, house, "ann", f"{ROLLOUT}/checkpoint?checkpoint=day-0")
    hand(ann.page.get_by_role("radio", name="GO", exact=True))
    fill_in(ann.page, hand, "Put it on record", "all green")
    expect(ann.page.locator(".notice")).to_have_text("Your decision is on record.")
    ann.page.goto(f"{house.url}{ROLLOUT}/propose")
    fill_in(ann.page, hand, "Put it to the vote", "half of it")
    expect(ann.page.locator(".notice")).to_contain_text("put to the vote: proposal")
    assert bob.page.goto(f"{house.url}{ROLLOUT}/approve")
    faults = grave(bob.page) if scripts else []  # it is a script itself
    log_in(bob.page, house, "bob", f"{ROLLOUT}/approve")
    faults += grave(bob.page) if scripts else []
    expect(bob.page.locator("main")).to_contain_text("Proposed by ann: half of it")
    bob.page.get_by_label("Conditions").fill("watch the cost\nfor a day")
    fill_in(bob.page, hand, "Vote GO", "reviewed")
    expect(bob.page.locator(".notice")).to_have_text("Your GO is on record.")
    ann.page.goto(f"{house.url}{ROLLOUT}/promote")
    fill_in(ann.page, hand, "Promote to half", "as agreed")
    expect(ann.page.locator(".notice")).to_contain_text("The promotion to half has begun")
    house.wait_for(stage="half", phase="soaking")
    ann.page.goto(f"{house.url}{ROLLOUT}/hold")
    fill_in(ann.page, hand, "Hold it", "for the night")
    expect(ann.page.locator(".notice")).to_contain_text("It is held")
    ann.page.goto(house.url)
    hand(ann.page.get_by_role("link", name="Roll back checkout"))  # the first action
    expect(ann.page.get_by_label("Reason", exact=True)).to_be_focused()
    faults += grave(ann.page) if scripts else []
    fill_in(ann.page, hand, "Roll back to canary", "it hurts")  # the second
    expect(ann.page.locator(".notice")).to_contain_text("The rollback to canary has begun")
    house.wait_for(stage="canary", phase="rolled_back")
    vote = next(one for one in house.history() if one["event"] == "voted")
    assert (vote["by"], vote["role"], vote["conditions"], vote["via"]) == ("bob", "security", ["watch the cost", "for a day"], "page")
    said = {one["event"]: one["via"] for one in house.history() if one.get("via")}
    assert {*said} == {"checkpoint", "proposed", "voted", "intended", "held"}
    assert (ann.complaints, bob.complaints, faults) == ([], [], [])
    hand(ann.page.get_by_role("button", name="Log out"))
    ann.page.wait_for_url(f"{house.url}/login")
