"""Problems found in a rollout after it was loaded, at the places where its file has them. Must not live here: what is wrong."""

from rollback_daemon.documents import Step, path_of
from rollback_daemon.errors import Problem
from rollback_daemon.rules.model import Rollout

PLACEHOLDER = "FILL-IN"
"""What stands in a rule file where a person has to write something: `rollbackd import` cannot know it."""


def problem_at(rollout: Rollout, trail: tuple[Step, ...], text: str) -> Problem:
    """A problem at the value that `trail` leads to, or at the nearest place above it."""
    place = trail
    while place and place not in rollout.places:
        place = place[:-1]
    return Problem(rollout.file, *rollout.places.get(place, (0, 0)), path_of(trail), text)
