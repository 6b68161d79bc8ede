"""Settings of who is told: what would give a secret away does not start."""

from __future__ import annotations

import pytest

from ai_suricata.config.load import load
from ai_suricata.core.errors import ConfigError


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"WEBHOOK_URL": "ftp://hooks.example/x"}, "WEBHOOK_URL has to begin with https://"),
        (
            {"WEBHOOK_URL": "http://hooks.example/x", "WEBHOOK_TOKEN": "t"},
            "WEBHOOK_TOKEN would travel in the clear",
        ),
        (
            {"WEBHOOK_URL": "http://127.0.0.1.example/x", "WEBHOOK_TOKEN": "t"},
            "WEBHOOK_TOKEN would travel in the clear",
        ),
        ({"MAIL_TO": "ops@example.org"}, "MAIL_FROM is missing"),
        ({"SMTP_PASSWORD": "s3cret"}, "SMTP_PASSWORD would travel in the clear"),
        # Compatibility characters that fold into a URL's own (urllib.parse refuses them).
        ({"WEBHOOK_URL": "https://u:s3cret@ho\u2100st/x"}, "WEBHOOK_URL is no URL"),
        (
            {"WEBHOOK_URL": "https://u:s3cret@ho\u2100st/x", "WEBHOOK_TOKEN": "t"},
            "WEBHOOK_URL is no URL",
        ),
        ({"WEBHOOK_URL": "http://[s3cret"}, "WEBHOOK_URL is no URL"),
        ({"WEBHOOK_URL": "https://hooks.example:s3cret/x"}, "WEBHOOK_URL is no URL"),
        ({"WEBHOOK_URL": "https:///s3cret"}, "WEBHOOK_URL is no URL"),
    ],
)
def test_a_wrong_setting_is_named_and_its_secret_is_not(
    variables: dict[str, str], problem: str
) -> None:
    """With what to do about it."""
    with pytest.raises(ConfigError, match=problem) as raised:
        load(environment=variables)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "variables",
    [
        {"WEBHOOK_URL": "https://hooks.example/x", "WEBHOOK_TOKEN": "t"},
        {"WEBHOOK_URL": "http://localhost:8080/x", "WEBHOOK_TOKEN": "t"},
        {"MAIL_TO": "a@example.org, b@example.org", "MAIL_FROM": "ids@example.org"},
        {"SMTP_PASSWORD": "p", "SMTP_TLS": "starttls"},
    ],
)
def test_what_keeps_secrets_is_taken(variables: dict[str, str]) -> None:
    """A token to this machine itself, too."""
    load(environment=variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", [("192.0.2.1", 22)]),
        ("pf1.example, pf2.example:2222", [("pf1.example", 22), ("pf2.example", 2222)]),
        (
            "[2001:db8::1]:23 2001:db8::2 [2001:db8::3]",
            [
                ("2001:db8::1", 23),
                ("2001:db8::2", 22),
                ("2001:db8::3", 22),
            ],
        ),
    ],
)
def test_firewalls_may_be_several_each_with_a_port_of_its_own(
    text: str, expected: list[tuple[str, int]]
) -> None:
    """Names, addresses of both kinds, with or without a port."""
    settings = load(environment={"PFSENSE_HOST": text}).firewall

    assert expected == [(one.host, one.port) for one in settings.each()]


@pytest.mark.parametrize("text", ["192.0.2.1, 192.0.2.1", "pf:0", "pf:70000", ","])
def test_a_list_of_firewalls_that_can_not_be_is_refused(text: str) -> None:
    """One twice, a port that is none, nobody."""
    with pytest.raises(ConfigError, match="PFSENSE_HOST"):
        load(environment={"PFSENSE_HOST": text})
