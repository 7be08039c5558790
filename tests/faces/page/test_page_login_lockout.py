"""Wrong passwords make one wait, longer each time; sessions end; and a path to come back to is one of ours. On a clock that the test sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_daemon.faces.http.lockout import Attempt, LockedError, Lockout
from rollback_daemon.faces.http.sessions import IDLE, LONGEST, Sessions
from rollback_daemon.faces.page.session import own_path

ANN = Attempt("ann", "192.0.2.1")
USERS = {"ann": b"$2y$10$one", "bob": b"$2y$10$two"}


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Door:
    """A lockout at which everybody guesses wrong, another password each time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lockout, self.guesses = Lockout(self.clock), 0

    def wait(self, attempt: Attempt) -> int:
        try:
            self.lockout.check(attempt)
        except LockedError as error:
            return error.seconds
        return 0

    def guess(self, attempt: Attempt, times: int = 1) -> None:
        for _ in range(times):
            self.guesses += 1
            self.lockout.failed(attempt, str(self.guesses).encode())


@pytest.fixture
def door() -> Door:
    return Door()


def test_the_tenth_wrong_password_is_the_first_to_cost_time_and_each_one_costs_twice_as_much(door: Door) -> None:
    door.guess(ANN, 9)
    assert door.wait(ANN) == 0
    waits = []
    for _ in range(11):
        door.guess(ANN)
        waits.append(door.wait(ANN))
        door.clock.now += waits[-1]
        assert door.wait(ANN) == 0
    assert waits[:5] == pytest.approx([1, 2, 4, 8, 16], abs=1)
    assert waits[-1] == pytest.approx(300, abs=1)  # and never longer


def test_an_hour_without_a_guess_is_forgiven(door: Door) -> None:
    door.guess(ANN, 15)
    door.clock.now += 3601
    door.guess(ANN, 9)
    assert door.wait(ANN) == 0


def test_the_same_wrong_password_counts_once(door: Door) -> None:
    for _ in range(1000):
        door.lockout.failed(ANN, b"the one of last year")
    assert door.wait(ANN) == 0


def test_strangers_lock_out_neither_a_browser_nor_an_address_that_was_let_in(door: Door) -> None:
    """The person on call: at the desk where he logged in before, or in a browser that he has used, wherever it is now."""
    desk, phone = Attempt("ann", "192.0.2.7"), Attempt("ann", "203.0.113.9", "the phone's cookie")
    door.lockout.passed(desk, anew=True)
    for number in range(200):
        door.guess(Attempt("ann", f"198.51.100.{number}"))
    door.guess(Attempt("ann", "203.0.113.9"), 60)
    assert door.wait(Attempt("ann", "198.51.100.250")) > 0
    assert (door.wait(desk), door.wait(phone)) == (0, 0)
    door.guess(phone, 12)
    assert 0 < door.wait(phone) <= 60  # a stolen phone guesses no faster, and locks out only itself
    assert door.wait(desk) == 0


def test_one_address_cannot_try_a_password_on_everybody(door: Door) -> None:
    for number in range(60):
        door.guess(Attempt(f"user-{number}", "192.0.2.1"))
    assert door.wait(Attempt("somebody else", "192.0.2.1")) > 0
    assert door.wait(Attempt("user-1", "192.0.2.2")) == 0


def test_a_right_password_is_forgiven_its_wrong_ones_where_a_person_has_typed_it(door: Door) -> None:
    door.lockout.passed(ANN, anew=True)
    for anew, left in ((False, True), (True, False)):
        door.guess(ANN, 12)
        door.clock.now += 120
        door.lockout.passed(ANN, anew=anew)
        door.guess(ANN)
        assert (door.wait(ANN) > 0) is left


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.sampled_from(["", "cookie"])), max_size=60))
def test_what_is_kept_is_bounded_and_nobody_waits_longer_than_five_minutes(guesses: list[tuple[str, str, str]]) -> None:
    door = Door()
    for name, address, device in guesses:
        door.guess(Attempt(name, address, device))
        assert door.wait(Attempt(name, address, device)) <= 301
    assert len(door.lockout._tallies) <= 4 * 4096  # the bound itself is what is claimed


def test_a_session_ends_when_it_is_idle_or_old_or_its_user_is_gone_or_has_another_password() -> None:
    clock = Clock()
    sessions = Sessions(clock)

    def fresh() -> str:
        return sessions.begin("ann", USERS["ann"])

    token = fresh()
    clock.now += IDLE
    assert sessions.find(token, USERS) is None
    token = fresh()
    for _ in range(int(LONGEST // (IDLE / 2)) - 1):
        clock.now += IDLE / 2
        assert sessions.find(token, USERS) is not None
    clock.now += IDLE / 2
    assert sessions.find(token, USERS) is None
    token = fresh()
    clock.now += IDLE / 2
    assert sessions.find(token, USERS, used=False) is not None  # what a page asks by itself is no sign of a person
    clock.now += IDLE / 2
    assert sessions.find(token, USERS) is None
    for users in ({"bob": USERS["bob"]}, {**USERS, "ann": b"$2y$10$new"}, {}):
        token = fresh()
        assert sessions.find(token, users) is None
        assert sessions.find(token, USERS) is None  # nor does it come back with the user


def test_sessions_are_of_256_bits_each_other_and_no_more_than_twenty_of_one_person() -> None:
    sessions = Sessions()
    others = sessions.begin("bob", USERS["bob"])
    tokens = [sessions.begin("ann", USERS["ann"]) for _ in range(25)]
    assert len({*tokens}) == 25
    assert min(map(len, tokens)) >= 43
    assert [sessions.find(one, USERS) is not None for one in tokens] == [False] * 5 + [True] * 20
    assert sessions.find(others, USERS) is not None
    sessions.end(tokens[-1])
    assert sessions.find(tokens[-1], USERS) is None


@pytest.mark.parametrize("path", ["/", "/rollouts/checkout/rollback?to=baseline", "/?q=a%20b&phase=held"])
def test_one_comes_back_to_where_one_was(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//evil.example.com",
        "/\\evil.example.com",
        "https://evil.example.com/",
        "javascript:alert(1)",
        "rollouts",
        "/a\r\nSet-Cookie: x=y",
        "/\t/evil.example.com",
        "/a b",
        "/ä",
        "/login?next=/",
        "/logout",
    ],
)
def test_one_does_not_come_back_to_elsewhere(path: str) -> None:
    assert own_path(path) == "/"
