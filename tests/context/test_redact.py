"""Keys and passwords are taken out of a text."""

from __future__ import annotations

import random
import string

import pytest

from context.redact import MARK, redact

_ALNUM = string.ascii_letters + string.digits


def planted(chance: random.Random) -> tuple[str, str]:
    """A line of code with a secret in it, and the secret."""

    def word(n: int, signs: str = _ALNUM) -> str:
        return "".join(chance.choice(signs) for _ in range(n))

    keys = [
        "AKIA" + word(16, string.ascii_uppercase + string.digits),
        "ghp_" + word(36),
        "github_pat_" + word(60),
        "xoxb-" + word(24),
        "AIza" + word(35),
        "sk-ant-api03-" + word(40),
        "sk-proj-" + word(40),
        "sk_live_" + word(24),
        "glpat-" + word(20),
        "hf_" + word(34),
        "npm_" + word(36),
        "eyJ" + word(20) + "." + word(30) + "." + word(30),
        "SG." + word(22) + "." + word(43),
    ]
    names = ["password", "DB_PASSWORD", "api_key", "apiKey", "clientSecret", "auth_token"]
    value = word(10) + "!9" + word(6)
    forms = [
        (f"client = Client({chance.choice(keys)!r})", ""),
        (f"# use {chance.choice(keys)} for now", ""),
        (f'{chance.choice(names)} = "{value}"', value),
        (f"    '{chance.choice(names)}': '{value}',", value),
        (f'connect(user="me", {chance.choice(names)}="{value}")', value),
        (f"self.{chance.choice(names)}: str = '{value}'", value),
        (f"URL = 'postgres://admin:{value}@db.internal/shop'", value),
    ]
    line, secret = chance.choice(forms)
    return line, secret or next(key for key in keys if key in line)


def test_no_planted_secret_is_left() -> None:
    """500 secrets of many shapes, in calls, comments, assignments, dicts and URLs."""
    chance = random.Random(11)
    for _ in range(500):
        line, secret = planted(chance)
        assert secret in line
        assert secret not in redact(line), line
        assert MARK in redact(line)


def test_private_keys_go_as_a_whole() -> None:
    """With their end, and without it where the text is cut."""
    block = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----"
    assert redact(f"a = 1\n{block}\nb = 2") == f"a = 1\n{MARK}\nb = 2"
    assert "MIIEow" not in redact(block[:45])


@pytest.mark.parametrize(
    "line",
    [
        "password = get_password()",
        'password = os.environ["PASSWORD"]',
        'PASSWORD_FIELD = "password"',
        'token = "access_token"',
        'token_url = "https://example.org/token"',
        'parser.add_argument("--password", help="of the user")',
        'secret_name = "app/prod/database"',
        "tokens = tokenizer.encode(text)",
        'password = "<your password>"',
        'api_key = "${API_KEY}"',
        "key = 'name'",
        "def reset_password(self, token: str) -> None:",
        "sha = 'd670460b4b4aece5915caf5c68d12f560a9fe3e4'",
        "skill = 'sk-learn'",
    ],
)
def test_code_about_secrets_stays(line: str) -> None:
    """Names, places, patterns and calls are no secrets."""
    assert redact(line) == line
