"""What is told of a result without what is hidden."""

from rollback_daemon.errors import ConfigurationError, Problem
from rollback_daemon.intake import told
from rollback_daemon.judge.figures import Reading
from rollback_daemon.transitions.hiding import Hiding

HIDE = Hiding({"A": "secret-a", "B": "secret-b"})


def test_names_that_differ_by_what_is_hidden_are_told_apart_and_figures_stay() -> None:
    hide = Hiding({"A": "secret", "B": "secret-b"})
    read = Reading("x", {"value": 7.0}, None, {"facts": {"secret": {"secret-b": 1, "n": [2, "by secret"]}}}, {"secret": "one", "(value of A)": "two"})
    found = told.reading(read, hide)
    assert found.told == {"facts": {"(value of A)": {"(value of B)": 1, "n": [2, "by (value of A)"]}}}
    assert (found.failed, found.figures) == ({"(value of A)": "one", "(value of A) (2)": "two"}, {"value": 7.0})


def test_mistakes_keep_the_name_of_the_file_and_their_place() -> None:
    error = ConfigurationError([Problem("secret-a.json", 3, 1, "cases[0] (secret-b)", 'must be a number, not "secret-a"')])
    assert told.mistakes(error, HIDE) == ['secret-a.json:3:1: cases[0] ((value of B)): must be a number, not "(value of A)"']
