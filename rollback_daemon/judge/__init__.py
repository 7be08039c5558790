"""The judge: `(rollout, state, sight, now) -> (state, events)`. Pure: no clock, no I/O, no logging in any module here."""
