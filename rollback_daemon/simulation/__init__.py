"""What would happen to a rollout if signals had other values: the daemon's judge, from the present state on, with no effect.

Lives here: what is supposed (`settings`, `laying`), acting it out (`acting`, `length`), what would end it otherwise (`remedies`), the answer
(`telling`). Must not live here: HTTP, clocks, I/O, any decision (the judge).
"""
