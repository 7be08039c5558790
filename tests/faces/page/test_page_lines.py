"""The lines of the home page: which are sent again, in which order they stand, and what a filter finds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rollback_daemon.faces.attention import Urgency
from rollback_daemon.faces.page.assets import Assets
from rollback_daemon.faces.page.home import Board, Lines
from rollback_daemon.faces.page.urls import Urls, outside
from tests.faces.page.scene import BAD, NASTY, Scene


@pytest.fixture
def scenes(tmp_path: Path) -> Iterator[list[Scene]]:
    """Three rollouts: "checkout", "basket" and "search"."""
    made = []
    for name in ("checkout", "basket", "search"):
        folder = tmp_path / name
        folder.mkdir()
        scene = Scene(folder)
        scene.watch(name).rollout = replace(scene.rollout, name=name, owner=f"team {name}")
        made.append(scene)
    yield made
    for scene in made:
        scene.close()


class Home:
    def __init__(self, scenes: list[Scene]) -> None:
        self.scenes, self.board = scenes, Board(scenes[0].templates)

    def look(self, prefix: str = "") -> Lines:
        watches = [one.watch("") for one in self.scenes]
        return self.board.look(watches, Urls(prefix, Assets.load()), max(one.hands.time for one in self.scenes))


def names(found: Lines) -> list[str]:
    return [one.name for one in found.rows]


def test_only_lines_that_look_different_are_sent_again(scenes: list[Scene]) -> None:
    home = Home(scenes)
    first = home.look()
    assert first.since(first.have) == {"rows": {}, "gone": []}
    for scene in scenes:
        scene.see()
    second = home.look()
    assert second.since(first.have) == {"rows": {}, "gone": []}, "another evaluation of the same looks the same"
    scenes[1].at("canary")
    third = home.look()
    changed = third.since(first.have)
    assert changed is not None
    assert changed["rows"].keys() == {"basket"}
    assert third.since(third.have) == {"rows": {}, "gone": []}


def test_a_line_that_only_waits_stays_the_same_while_time_passes(scenes: list[Scene]) -> None:
    home = Home(scenes)
    scenes[0].at("half")
    before = home.look()
    scenes[0].see(20)
    assert home.look().since(before.have) == {"rows": {}, "gone": []}
    (row,) = [one for one in home.look().rows if one.name == "checkout"]
    assert 'it soaks for 1h at "half", until 1 Mar 13:0' not in row.next  # at the top nothing is waited for
    scenes[1].at("canary")
    assert next(one for one in home.look().rows if one.name == "basket").next.startswith(
        'promotion to half waits: it soaks for 1m at "canary", until 1 Mar 12:0'
    )


def test_a_state_that_is_not_known_is_answered_with_nothing_so_that_all_is_loaded_again(scenes: list[Scene]) -> None:
    found = Home(scenes).look()
    assert [found.since(have) for have in ("", "x.1", f"{found.have}x", f"{found.have.partition('.')[0]}.-1")] == [None] * 4


def test_rollouts_that_are_gone_are_told_and_may_come_back(scenes: list[Scene]) -> None:
    home = Home(scenes)
    first, gone = home.look(), scenes.pop(1)
    second = home.look()
    assert second.since(first.have) == {"rows": {}, "gone": ["basket"]}
    scenes.append(gone)
    back = home.look().since(second.have)
    assert back is not None
    assert (back["rows"].keys(), back["gone"]) == ({"basket"}, [])


def test_who_needs_a_person_comes_first(scenes: list[Scene]) -> None:
    home = Home(scenes)
    assert names(home.look()) == ["basket", "checkout", "search"]
    scenes[2].rolled_back()
    scenes[0].at("canary").see(errors=BAD)
    found = home.look()
    assert names(found) == ["search", "checkout", "basket"]
    assert [one.urgency for one in found.rows] == [Urgency.CRITICAL, Urgency.WATCH, Urgency.NONE]
    assert [one.asks for one in found.rows] == [True, False, False]


def test_an_evaluation_that_does_not_come_is_said(scenes: list[Scene]) -> None:
    scenes[0].hands.time = scenes[0].hands.time.replace(minute=30)
    rows = Home(scenes).look().rows
    assert {one.needs[0].word for one in rows} == {"not evaluated"}


def test_a_filter_finds_every_word_that_is_shown(scenes: list[Scene]) -> None:
    scenes[0].rolled_back()
    row = next(one for one in Home(scenes).look().rows if one.name == "checkout")
    for text in ("", "check", "TEAM checkout", "tier=", NASTY, "rolled back", "resumes"):
        assert row.matches(text, ""), text
    assert not row.matches("check basket", "")
    assert (row.matches("", "rolled_back"), row.matches("", "needs"), row.matches("", "ready")) == (True, True, False)


def test_links_go_through_the_prefix(scenes: list[Scene]) -> None:
    home = Home(scenes)
    home.look()
    found = home.look("/guard")
    assert all('href="/guard/rollouts/' in html and 'href="/r' not in html for _, html, _ in found.lines)
    urls = Urls("/guard", Assets.load())
    assert urls.rollout("a/b c", "incidents", "x?", before=3, to=None) == "/guard/rollouts/a%2Fb%20c/incidents/x%3F?before=3"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//elsewhere", "http://[", "http:", ""])
def test_what_is_no_address_of_a_page_is_no_link(url: str) -> None:
    assert outside(url) == ""
    assert outside("https://runbooks.example.com/x") == "https://runbooks.example.com/x"
