"""Changing flags, once and provably: what to write (`plan`), the steps and their record (`execute`), commands (`hooks`) and checks (`steps`)."""
