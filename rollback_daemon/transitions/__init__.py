"""Changing flags, once and provably: what to write (`plan`), the steps and their record (`execute`), and the command afterwards (`hooks`)."""
