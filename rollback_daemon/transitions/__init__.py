"""Changing flags, once and provably: what to write (`plan`), the steps and their record (`execute`), the command afterwards (`hooks`), checks (`steps`)."""
