"""An open page whose reader may not read any more, and one whose guard does not evaluate any more: neither looks alive."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from rollback_daemon.lab.servers import PrometheusServer
from tests.faces.http.door import users
from tests.faces.page.conftest import Sight
from tests.faces.page.house import PEOPLE, House

Look = Callable[..., Sight]


def test_a_page_whose_reader_was_taken_from_the_file_asks_for_a_login(told: PrometheusServer, look: Look, tmp_path: Path) -> None:
    with House(tmp_path, told.url) as house:
        page = look().page
        page.goto(f"{house.url}/")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill(PEOPLE["ann"])
        page.keyboard.press("Enter")
        expect(page.locator("#live")).to_have_text("live")
        house.write_web({"basic_auth_users": users(eve=PEOPLE["eve"])})
        expect(page.locator("body.stale #live")).to_contain_text("you are logged out")
        expect(page.locator("#again")).to_be_visible()
        page.locator("#again").click()
        expect(page).to_have_url(f"{house.url}/login?next=%2F")


def test_a_page_says_that_the_guard_is_late(told: PrometheusServer, look: Look, tmp_path: Path) -> None:
    """The stream goes on while no evaluation ends; what it says then is played to the page here, as it would take a minute to come about."""
    with House(tmp_path, told.url, open_reading=True) as house:
        page = look().page
        at = house.get("/api/v1/rollouts/checkout").json()["evaluated_at"]
        beat = f'id: x-1\nevent: beat\ndata: {{"at":"{at}","late":47}}\n\n'
        page.route("**/api/v1/events*", lambda route: route.fulfill(body=beat, content_type="text/event-stream"))
        page.goto(f"{house.url}/rollouts/checkout")
        expect(page.locator("#late")).to_contain_text("overdue by 47 s")
