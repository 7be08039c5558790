"""Statistics of two groups: a test that may be looked at for ever (`sequential`), one for a single look (`ranks`). Pure; no rule file, no time."""
