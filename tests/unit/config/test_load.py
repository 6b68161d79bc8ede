"""Settings are read from config.env and the environment; every problem is named with its remedy."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from ai_suricata.config.load import MASK, effective, load, variables
from ai_suricata.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def problems_of(path: Path | None = None, /, **environment: str) -> list[str]:
    """Return the problems of settings that can't be loaded."""
    with pytest.raises(ConfigError) as caught:
        load(path, environment)
    return caught.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a config.env that does not exist yet."""
    return tmp_path / "config.env"


def test_the_defaults_are_those_that_operators_rely_on() -> None:
    """Nothing is blocked until the operator says so."""
    found = load(None, {})

    assert ("/var/log/suricata/eve.json",) == found.source.paths
    assert (False, False, "dry_run") == (
        found.respond.auto_block,
        found.respond.dry_run,
        found.firewall.firewall,
    )
    assert (0.85, 0.70, 0.50, 0.30) == (
        found.classify.critical,
        found.classify.high,
        found.classify.medium,
        found.classify.low,
    )
    assert (5000, True, None) == (
        found.classify.training_events,
        found.classify.spoof_guard,
        found.respond.block_duration,
    )
    assert ("127.0.0.1", 9100) == (found.telemetry.host, found.telemetry.port)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("EVE_SOURCE", "ftp", "'file'"),
        ("EVE_SOCKET", "eve.sock", "has to begin with /"),
        ("EVE_START", "middle", "'end' or 'beginning'"),
        ("EVE_POLL_INTERVAL", "0", "greater than 0"),
        ("EVE_POLL_INTERVAL", "nan", "EVE_POLL_INTERVAL='nan'"),
        ("BATCH_SIZE", "many", "write a whole number"),
        ("BATCH_SIZE", "1.5", "write a whole number"),
        ("HOME_NET", "10.0.0.0/8, here", "'here' is neither an address nor a network"),
        ("HOME_NET", "10.0.0.0/33", "write it like 192.0.2.1 or 192.0.2.0/24"),
        ("MAX_SOURCES", "99", "greater than or equal to 100"),
        ("TRAINING_EVENTS", "-5", "greater than or equal to 100"),
        ("CRITICAL_THRESHOLD", "1.1", "less than or equal to 1"),
        ("LOW_THRESHOLD", "low", "write a number"),
        ("SPOOF_GUARD", "perhaps", "write true or false"),
        ("AUTO_BLOCK", "2", "write true or false"),
        ("BLOCK_DURATION", "forever", "write a number, or escalation"),
        ("BLOCK_DURATION", "1", "greater than or equal to 10"),
        ("NEVER_BLOCK", "@/no/such/file", "take @/no/such/file out"),
        ("ON_STOP", "forget", "'keep' or 'release'"),
        ("NEVER_BLOCK_REFRESH", "3001", "less than or equal to 3000"),
        ("FIREWALL", "iptables", "'dry_run', 'pfsense' or 'nftables'"),
        ("PFSENSE_PORT", "65536", "less than or equal to 65535"),
        ("PFSENSE_TABLE", "a b", "a letter and up to 30 letters, digits or underscores"),
        ("PFSENSE_TABLE", "t" * 32, "a letter and up to 30"),
        ("PFSENSE_TIMEOUT", "0", "greater than 0"),
        ("REDIS_DB", "-1", "greater than or equal to 0"),
        ("METRICS_PORT", "http", "write a whole number"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("MAX_ALERTS", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(
    variable: str, value: str, says: str
) -> None:
    """One sentence: which one, what it is, and the remedy."""
    (problem,) = problems_of(**{variable: value})

    assert problem.startswith(f"{variable}={value!r}: ")
    assert says in problem


@pytest.mark.parametrize("variable", ["REDIS_URL", "EVE_REDIS_URL"])
def test_what_is_no_address_of_a_redis_is_refused_without_showing_it(variable: str) -> None:
    """A password can stand in it."""
    [problem] = problems_of(**{variable: "http://user:secret@host"})

    assert f"{variable}=********: it has to begin with redis://" in problem
    assert "secret" not in problem


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"LOW_THRESHOLD": "0.6"}, ["LOW_THRESHOLD, MEDIUM_THRESHOLD"]),
        ({"CRITICAL_THRESHOLD": "0.7"}, ["must rise"]),
        ({"PFSENSE_TABLE": "ai_suricata_limit"}, ["must differ; name two tables"]),
        ({"FIREWALL": "pfsense"}, ["ssh-keyscan"]),
        ({"EVE_SOURCE": "ssh"}, ["EVE_SOURCE=ssh logs in to PFSENSE_HOST"]),
        (
            {"FIREWALL": "pfsense", "PFSENSE_TABLE": "ai_suricata_limit"},
            ["name two tables", "PFSENSE_KNOWN_HOSTS is missing"],
        ),
        ({"REDIS_SENTINELS": "a:26379"}, ["REDIS_SENTINEL_MASTER is missing"]),
        (
            {"REDIS_SENTINELS": "a:1", "REDIS_CLUSTER": "true", "REDIS_TLS_KEY": "/k"},
            ["REDIS_SENTINEL_MASTER is missing", "exclude each other", "belong together"],
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_named(
    environment: dict[str, str], named: list[str]
) -> None:
    """Each for itself could be right."""
    problems = problems_of(**environment)

    assert len(named) == len(problems)
    assert all(text in problem for text, problem in zip(named, problems, strict=True))


def test_all_problems_are_named_at_once(file: Path) -> None:
    """Of every group, of the file and of the environment: nobody wants to be told one by one."""
    file.write_text("AUTO_BLOK=true\nFIREWALL=iptables\nthis is no setting\nMAX_ALERTS=x\n")
    problems = problems_of(file, HOME_NET="here", MESSAGE_QUEUE_ENABLED="true")

    named = ("line 3", "AUTO_BLOK", "HOME_NET", "FIREWALL", "MESSAGE_QUEUE_ENABLED", "MAX_ALERTS")
    assert len(named) == len(problems)
    assert all(any(name in problem for problem in problems) for name in named)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("AUTO_BLOK", "AUTO_BLOCK"),
        ("auto_block", "AUTO_BLOCK"),
        ("CRITICAL_TRESHOLD", "CRITICAL_THRESHOLD"),
        ("PFSENSE_HOSTS", "PFSENSE_HOST"),
        ("TRAINING_EVENT", "TRAINING_EVENTS"),
    ],
)
def test_an_unknown_variable_of_the_file_names_the_nearest_known_one(
    file: Path, wrong: str, nearest: str
) -> None:
    """A slip of the pen must not be silently without effect."""
    file.write_text(f"{wrong}=true\n")
    (problem,) = problems_of(file)

    assert problem == f"{wrong} in {file}: unknown variable; did you mean {nearest}?"


def test_an_unknown_variable_that_is_near_to_none_is_to_be_taken_out(file: Path) -> None:
    """No guess is better than a wild one."""
    file.write_text("QQQ=1\n")

    assert problems_of(file)[0].endswith("config.env.example lists all; take it out")


def test_other_variables_of_the_environment_are_not_ours_to_judge() -> None:
    """Every process has a PATH."""
    assert load(None, {"PATH": "/bin", "AUTO_BLOK": "x"}) == load(None, {})


def test_nothing_but_what_is_passed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """An explicit environment is the whole environment; without one, the process's own is read."""
    monkeypatch.setenv("AUTO_BLOCK", "true")

    assert not load(None, {}).respond.auto_block
    assert load(None).respond.auto_block


def test_the_environment_wins_over_the_file(file: Path) -> None:
    """So that one run can differ without an edit."""
    file.write_text("AUTO_BLOCK=true\nTRAINING_EVENTS=300\n")
    found = load(file, {"TRAINING_EVENTS": "400"})

    assert (True, 400) == (found.respond.auto_block, found.classify.training_events)


def test_an_empty_value_is_the_default(file: Path) -> None:
    """In the file."""
    file.write_text("HOME_NET=\nTRAINING_EVENTS=\nREDIS_PASSWORD=\nAUTO_BLOCK\n")

    assert load(None, {}) == load(file, {})


def test_an_empty_variable_of_the_environment_leaves_the_file_in_force(file: Path) -> None:
    """Compose files pass on empty variables; that must not turn DRY_RUN off."""
    file.write_text("DRY_RUN=true\n")

    assert load(file, {"DRY_RUN": ""}).respond.dry_run


@pytest.mark.parametrize("text", ["=1", "AUTO BLOCK=true", "REDIS_PASSWORD='open", 'LOG_LEVEL="I'])
def test_a_line_that_is_no_setting_is_named_by_its_number(file: Path, text: str) -> None:
    """It must not be skipped, and its content, which may be a secret, is not shown."""
    file.write_text(f"# comment\n\n{text}\n")
    (problem,) = problems_of(file)

    assert re.search(r"config\.env, line [1-3]: .*write NAME=value", problem)
    assert text not in problem


def test_a_file_that_is_missing_is_named(file: Path) -> None:
    """The operator asked for it."""
    assert problems_of(file) == [
        f"{file} can't be read (No such file or directory); name another file with --config"
    ]


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    """Latin-1, for one."""
    file.write_bytes(b"REDIS_PASSWORD=\xe4\n")

    assert problems_of(file) == [f"{file} is not UTF-8 text; save it as UTF-8"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("10.0.0.0/8,192.0.2.1", ["10.0.0.0/8", "192.0.2.1/32"]),
        (" 10.0.0.0/8   2001:db8::/32 ", ["10.0.0.0/8", "2001:db8::/32"]),
        ("::ffff:192.0.2.1", ["192.0.2.1/32"]),
    ],
)
def test_networks_are_written_with_commas_or_blanks(text: str, expected: list[str]) -> None:
    """Addresses are networks of one."""
    found = load(None, {"HOME_NET": text}).features.home_net

    assert tuple(map(ip_network, expected)) == found


def test_a_list_in_a_file_is_read_with_its_comments(tmp_path: Path) -> None:
    """An `@file` may stand beside networks; one within a file is not followed."""
    listed = tmp_path / "partners.txt"
    listed.write_text(f"# partners\n192.0.2.0/24  # the office\n\n198.51.100.7\n@{listed}\n")
    found = load(None, {"NEVER_BLOCK": f"203.0.113.1, @{listed}"}).respond.never_block

    assert ["203.0.113.1/32", "192.0.2.0/24", "198.51.100.7/32"] == list(map(str, found))


def test_a_wrong_line_in_a_listed_file_is_named(tmp_path: Path) -> None:
    """With the word that is wrong."""
    listed = tmp_path / "partners.txt"
    listed.write_text("192.0.2.0/24\npartner.example\n")

    assert "'partner.example' is neither" in problems_of(NEVER_BLOCK=f"@{listed}")[0]


_PASSWORDS = [
    "a$b${HOME}",
    "a#b #c",
    "a\"b'c",
    "a\\b\\\\n",
    " a b ",
    "pässwörd→漢字",
    "=",
    "$'\"#\\ ",
]


@pytest.mark.parametrize("password", _PASSWORDS)
def test_any_password_survives_config_env_in_single_quotes(file: Path, password: str) -> None:
    r"""As in a shell string with escapes: only \\ and \' are written with a backslash."""
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    file.write_text(f"REDIS_PASSWORD='{quoted}'\n", encoding="utf-8")
    found = load(file, {}).redis.password

    assert found is not None
    assert password == found.get_secret_value()


@pytest.mark.parametrize("password", _PASSWORDS)
def test_any_password_survives_the_environment(password: str) -> None:
    """Nothing is expanded or cut there."""
    assert load(None, {"REDIS_PASSWORD": password}).redis.password == SecretStr(password)


@pytest.mark.parametrize("variable", ["REDIS_PASSWORD", "REDIS_URL"])
def test_secrets_are_masked_wherever_settings_are_shown(variable: str) -> None:
    """In the list of what is in force, and in what a log may print of the settings."""
    found = load(None, {variable: "redis://u:hunter2@host"})
    shown = {name: value for _, name, value, _ in effective(found)}

    assert MASK == shown[variable]
    assert "hunter2" not in repr(found)
    assert "hunter2" not in "".join(shown.values())


def test_what_is_in_force_is_listed_with_whether_it_is_the_default() -> None:
    """Every variable once, in the way in which it is written."""
    rows = list(effective(load(None, {"AUTO_BLOCK": "yes", "BLOCK_DURATION": "86400"})))
    shown = {name: (value, default) for _, name, value, default in rows}

    assert set(variables()) == {name for _, name, _, _ in rows}
    assert len(rows) == len(shown)
    assert ("true", False) == shown["AUTO_BLOCK"]
    assert ("86400", False) == shown["BLOCK_DURATION"]
    assert ("escalation", True) == {n: (v, d) for _, n, v, d in effective(load(None, {}))}[
        "BLOCK_DURATION"
    ]
    assert ("0.85", True) == shown["CRITICAL_THRESHOLD"]


def test_what_is_listed_can_be_loaded_again(file: Path) -> None:
    """Values are shown as they stand in config.env."""
    before = load(None, {"HOME_NET": "10.0.0.0/8, 2001:db8::/32", "BLOCK_DURATION": "60"})
    text = "".join(f"{name}='{value}'\n" for _, name, value, _ in effective(before))
    file.write_text(text)

    assert before == load(file, {})


@pytest.mark.parametrize("variable", ["MESSAGE_QUEUE_ENABLED"])
def test_what_this_version_does_not_have_is_refused_when_turned_on(variable: str) -> None:
    """No setting is silently without effect; turned off, it is accepted."""
    assert "does not have it yet; set it to false" in problems_of(**{variable: "true"})[0]
    assert load(None, {variable: "false"}) == load(None, {})


def test_settings_are_frozen() -> None:
    """What was checked is what is used."""
    with pytest.raises(ValidationError):
        setattr(load(None, {}).respond, "auto_block", True)  # noqa: B010 - mypy knows that it can't be
