"""The pages of the lab's site: what it answers, logins included (RFC 9110, RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs

from lab.estate import PASSWORD, TOKEN, USERS

PAGES = (
    "/",
    "/about",
    "/contact",
    "/news",
    "/products",
    "/products/list?page=2",
    "/products/view?id=7",
    "/products/view?id=12",
    "/docs/install.html",
    "/docs/manual.html",
    "/blog/2024/03/spring",
    "/static/site.css",
    "/static/app.js",
    "/static/logo.png",
    "/search?q=garden+chairs",
    "/login",
)
BROKEN_LINKS = ("/blog/2019/old-post", "/static/missing.png", "/favicon.ico", "/downloads/v1.zip")
ARCHIVE = tuple(f"/blog/2024/{month:02}/{word}" for month in range(1, 13) for word in ("a", "b"))
"""Pages that crawlers find besides."""
_KNOWN = re.compile(
    r"/(about|contact|news|products(/\w+)?|docs/\w+\.html|blog/2024/\d\d/\w+|search|login"
    r"|static/(site\.css|app\.js|logo\.png|manual\.pdf)|api/v1/(items|orders)/\d+|status"
    r"|robots\.txt|sitemap\.xml|account|upload/\w+|stream/\d+)?"
)
_TYPES = {
    "css": "text/css",
    "js": "application/javascript",
    "png": "image/png",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "xml": "application/xml",
}
_SIZES = {"/static/logo.png": 24_000, "/static/app.js": 61_000, "/static/manual.pdf": 900_000}
"""Bytes of what is no text."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT"})
_FORM = (
    b'<form method="post" action="/login"><input name="user">'
    b'<input name="password" type="password"></form>'
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `fields` are its header lines as they came."""

    method: str
    target: str
    fields: str = ""
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: HTTPStatus
    kind: str
    body: bytes
    extra: str = ""
    """More header lines, each with its end."""


def answer(request: Request) -> Answer:
    """Return the answer to a request."""
    if request.method not in _METHODS:
        return Answer(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"method not allowed\n")
    if request.path.startswith("/admin/"):
        return _guarded(request)
    if request.path.startswith("/api/"):
        return _called(request)
    if request.path == "/login" and request.method == "POST":
        return _logged_in(request)
    if not _KNOWN.fullmatch(request.path):
        return Answer(HTTPStatus.NOT_FOUND, "text/html", b"<html><h1>Not found</h1></html>\n")
    kind = _TYPES.get(request.path.rpartition(".")[2], "text/html")
    return Answer(HTTPStatus.OK, kind, _content(request.path))


def _content(path: str) -> bytes:
    if path in _SIZES:
        return bytes(_SIZES[path])
    if path.startswith("/stream/"):
        return bytes(min(int(path.rpartition("/")[2]), 4_000_000))
    if path == "/robots.txt":
        return b"User-agent: *\nDisallow: /admin/\nSitemap: /sitemap.xml\n"
    links = "".join(f'<a href="{page}">{page}</a>\n' for page in PAGES)
    page = f"<html><h1>{path}</h1>\n{links}</html>\n".encode("latin-1", "replace")
    return page + _FORM if path == "/login" else page


def _guarded(request: Request) -> Answer:
    """Ask for name and password; nothing behind `/admin/` is for anybody else."""
    given = re.search(r"(?im)^authorization:\s*basic\s+(\S+)", request.fields)
    try:
        name, _, password = (
            base64.b64decode(given[1]).decode().partition(":") if given else ("",) * 3
        )
    except (binascii.Error, UnicodeDecodeError):
        name = password = ""
    if _is_right(name, password):
        return Answer(HTTPStatus.OK, "text/html", _content(request.path))
    extra = 'WWW-Authenticate: Basic realm="admin"\r\n'
    return Answer(HTTPStatus.UNAUTHORIZED, "text/html", b"<h1>Who are you?</h1>\n", extra)


def _logged_in(request: Request) -> Answer:
    form = parse_qs(request.body.decode("latin-1"))
    if _is_right(form.get("user", [""])[0], form.get("password", [""])[0]):
        return Answer(HTTPStatus.FOUND, "text/html", b"", "Location: /account\r\n")
    return Answer(HTTPStatus.OK, "text/html", b"<p>wrong name or password</p>\n" + _FORM)


def _called(request: Request) -> Answer:
    """Answer a program; whoever shows a token must show the right one."""
    token = re.search(r"(?im)^authorization:\s*bearer\s+(\S+)", request.fields)
    if token and token[1] != TOKEN:
        return Answer(HTTPStatus.UNAUTHORIZED, "application/json", b'{"error": "expired"}\n')
    if request.path != "/api/v1/token" and not _KNOWN.fullmatch(request.path):
        return Answer(HTTPStatus.NOT_FOUND, "application/json", b'{"error": "unknown"}\n')
    return Answer(HTTPStatus.OK, "application/json", b'{"id": 1, "state": "ready"}\n')


def _is_right(name: str, password: str) -> bool:
    return name in USERS and password == PASSWORD
