"""The page that people look at: every rollout, and one in full, rendered on the server and kept up to date by server-sent events.

It needs no script to be read, and nothing from elsewhere. Must not live here: decisions, facts (`faces.views`, `governance`), the API (`faces.http`).
"""

from fastapi import FastAPI

from rollback_daemon.faces.page import forms, routes, session
from rollback_daemon.guard import Guard


def add(api: FastAPI, guard: Guard) -> None:
    """Put all of it into the application."""
    for part in (routes, forms, session):
        part.add(api, guard)
