"""Two of the same form that come together do it once; one that failed may be sent again; and what was done is told to whoever did it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rollback_daemon.errors import OperationRefused
from rollback_daemon.faces.page.once import Notice, Once


def test_two_that_come_together_do_it_once() -> None:
    once, done, begun, go_on = Once(), [], threading.Event(), threading.Event()

    def work() -> Notice:
        begun.set()
        assert go_on.wait(30)
        done.append(1)
        return Notice("ann", "It is done.")

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(once.do, "form", work)
        assert begun.wait(30)
        others = [pool.submit(once.do, "form", work) for _ in range(7)]
        go_on.set()
        keys = {one.result(30).key for one in [first, *others]}
    assert (len(keys), done) == (1, [1])
    (key,) = keys
    assert once.notice(key, "ann") == "It is done."
    assert (once.notice(key, "bob"), once.notice("guessed", "ann")) == ("", "")


def test_what_was_refused_may_be_tried_again() -> None:
    once = Once()

    def refused() -> Notice:
        raise OperationRefused("not now")

    with pytest.raises(OperationRefused):
        once.do("form", refused)
    assert once.do("form", lambda: Notice("ann", "now")).text == "now"
    assert once.do("form", refused).text == "now"


def test_only_the_newest_are_kept() -> None:
    once = Once()
    keys = [once.do(number, lambda: Notice("ann", "done")).key for number in range(1100)]
    assert [once.notice(key, "ann") for key in (keys[0], keys[-1])] == ["", "done"]
    assert once.do(0, lambda: Notice("ann", "again")).text == "again"
