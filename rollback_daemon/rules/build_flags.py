"""Flag values of a rule file: known to the baseline, possible in the store, and meant as YAML reads them.

Lives here: what is wrong with a flag's value. Must not live here: which stage has which flags (`build`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rollback_daemon.documents import Document, Step
from rollback_daemon.flags.store import FlagValue
from rollback_daemon.flags.stores import STORES
from rollback_daemon.rules.conditions import Notes
from rollback_daemon.rules.schema import flag_value

_WORDS = {**dict.fromkeys(("y", "yes", "on"), "true"), **dict.fromkeys(("n", "no", "off"), "false")}
_Where = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class FlagRules:
    """What flags of one file may be. `baseline` is None where it could not be read, and no key can be said to be missing there."""

    document: Document
    store: str
    baseline: Mapping[str, FlagValue] | None
    notes: Notes

    def known(self, flags: Mapping[str, FlagValue], trail: _Where) -> None:
        """Note each key that the baseline lacks."""
        for key in flags if self.baseline is not None else ():
            if key not in (self.baseline or {}):
                self.notes.say((*trail, key), f'sets "{key}", which the baseline lacks; say in the baseline what it goes back to')

    def values(self, flags: Mapping[str, FlagValue], trail: _Where) -> None:
        """Note each value that the store cannot hold, or that YAML readers do not agree on."""
        store = STORES.get(self.store)
        for key, value in flags.items():
            place = (*trail, key)
            if self._is_broken(place):
                continue
            unclear = [*self._unclear(place, value, has_booleans=store is None or store.check(key, value=True) is None)]
            for where, text in unclear:
                self.notes.say(where, text)
            if not unclear and store is not None and (complaint := store.check(key, value)) is not None:
                self.notes.say(place, complaint)

    def of_config(self, config: Mapping[str, FlagValue], trail: _Where) -> dict[str, FlagValue]:
        """The keys that a stage requires to have a value, without those that are flags, each of which is noted."""
        for key in config:
            if key in (self.baseline or {}):
                text = f'"{key}" is a flag of this rollout, and is held to what the stage sets; leave it out here, or take it out of the baseline'
                self.notes.say((*trail, key), text)
        self.values(config, trail)
        return {key: value for key, value in config.items() if key not in (self.baseline or {})}

    def of_action(self, flags: Mapping[str, object], trail: _Where) -> dict[str, FlagValue]:
        """The flags that an action sets, as far as they can be flags at all; everything that is wrong with them is noted."""
        usable: dict[str, FlagValue] = {}
        for key, value in flags.items():
            try:
                usable[key] = flag_value(value)
            except ValueError as error:
                self.notes.say((*trail, key), str(error))
        self.known(usable, trail)
        self.values({key: value for key, value in usable.items() if self.baseline is None or key in self.baseline}, trail)
        return usable

    def _is_broken(self, place: _Where) -> bool:
        return any(trail[: len(place)] == place for trail in self.document.broken)

    def _unclear(self, place: _Where, value: FlagValue, *, has_booleans: bool) -> Iterator[tuple[_Where, str]]:
        """Each part of the value that may not be what the person meant, with what is to be done about it."""
        parts = [((*place, index), part) for index, part in enumerate(value)] if isinstance(value, tuple) else [(place, value)]
        for where, part in parts:
            if (text := self.document.ambiguous.get(where)) is not None:
                yield where, ambiguous(text, has_booleans=has_booleans)
            elif part is None:
                yield where, 'has no value; write "" for an empty one'


def ambiguous(text: str, *, has_booleans: bool = True) -> str:
    """The complaint about a plain YAML word that readers do not agree on."""
    if meaning := _WORDS.get(text.lower()):
        plainly = f", or write {meaning}" if has_booleans else ""
        return f'{text} is {meaning} to some YAML readers and text to others; quote it: "{text}"{plainly}'
    return f'{text} means different things to different YAML readers; quote it: "{text}"'
