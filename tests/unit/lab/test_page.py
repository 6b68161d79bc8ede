"""The site tells right passwords from wrong ones, and hides what is guarded."""

from __future__ import annotations

import base64
from http import HTTPStatus

import pytest
from lab import estate, page
from lab.page import Request

USER = estate.USERS[0]


def basic(name: str, password: str) -> str:
    """Return the header line that shows a name and a password."""
    word = base64.b64encode(f"{name}:{password}".encode()).decode()
    return f"Authorization: Basic {word}\r\n"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("", HTTPStatus.UNAUTHORIZED),
        (basic(USER, "wrong"), HTTPStatus.UNAUTHORIZED),
        (basic("nobody", estate.PASSWORD), HTTPStatus.UNAUTHORIZED),
        ("Authorization: Basic ***\r\n", HTTPStatus.UNAUTHORIZED),
        (basic(USER, estate.PASSWORD), HTTPStatus.OK),
    ],
)
def test_guarded_page_asks_who_calls(fields: str, status: HTTPStatus) -> None:
    """Only a user with the password sees what lies behind /admin/; others are asked for it."""
    reply = page.answer(Request("GET", "/admin/", fields))

    assert status == reply.status
    assert (status is HTTPStatus.UNAUTHORIZED) == ("WWW-Authenticate: Basic" in reply.extra)


@pytest.mark.parametrize(
    ("password", "status"), [("wrong", HTTPStatus.OK), (estate.PASSWORD, HTTPStatus.FOUND)]
)
def test_form_tells_a_wrong_password(password: str, status: HTTPStatus) -> None:
    """The right password leads on; a wrong one shows the form again, with the word `wrong`."""
    body = f"user={USER}&password={password}".encode("ascii")
    reply = page.answer(Request("POST", "/login", body=body))

    assert status == reply.status
    assert (status is HTTPStatus.OK) == (b"wrong" in reply.body)


@pytest.mark.parametrize(
    ("target", "token", "status"),
    [
        ("/api/v1/items/7", "old", HTTPStatus.UNAUTHORIZED),
        ("/api/v1/items/7", estate.TOKEN, HTTPStatus.OK),
        ("/api/v0/items/7", estate.TOKEN, HTTPStatus.NOT_FOUND),
    ],
)
def test_api_refuses_an_expired_token(target: str, token: str, status: HTTPStatus) -> None:
    """A token is either right or refused; pages that have moved are not found."""
    fields = f"Authorization: Bearer {token}\r\n"

    assert status == page.answer(Request("GET", target, fields)).status


def test_stream_is_bounded() -> None:
    """However much is asked for, no answer is longer than four megabytes."""
    assert 4_000_000 == len(page.answer(Request("GET", "/stream/99999999999")).body)
