"""The page that sends a browser once more to where it is.

Whoever follows a link from a chat comes without the cookies of his session: browsers keep SameSite=Strict ones back from a request that another
site began. Asked for once more by a page of our own, they come along, and nobody has to log in twice at night.
"""

from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse
from starlette.types import Scope

from rollback_daemon.faces.http import reach

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={url}"><title>rollbackd</title></head>
<body><p><a href="{url}">Go on</a></p></body></html>
"""
_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def once_more(scope: Scope) -> HTMLResponse:
    """A page that asks for the same address again."""
    query = scope["query_string"].decode("latin-1")
    path = reach.link(scope, quote(scope["path"], safe="/"))
    url = f"/{path.lstrip('/')}" + (f"?{query}" if query else "")  # never two slashes at its beginning, which would lead elsewhere
    return HTMLResponse(_PAGE.format(url=escape(url, quote=True)), headers=_HEADERS)
