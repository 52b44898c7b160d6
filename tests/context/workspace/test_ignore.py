"""Which files never count."""

from __future__ import annotations

import pytest

from context.workspace.ignore import Rules, is_foreign_folder, is_secret


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "app/.env.production",
        "config/prod.env",
        "home/.ssh/config",
        ".aws/config",
        "id_rsa",
        "keys/id_ed25519.pub",
        "tls/server.key",
        "tls/server.pem",
        "vault.kdbx",
        "secrets.yaml",
        "my-secrets.json",
        "credentials",
        "gcloud_credentials.json",
        "db.passwords.txt",
        "secrets/settings.py",
        "infra/prod.tfvars",
        ".npmrc",
        ".PYPIRC",
        r"C:\Users\me\.ssh\notes.py",
    ],
)
def test_secret_places_are_known(path: str) -> None:
    """A file that may hold a secret is told by any part of its path."""
    assert is_secret(path)


@pytest.mark.parametrize(
    "path",
    [
        "secrets.py",
        "lib/password_hasher.py",
        "app/credentials.ts",
        "environment.py",
        "env.example.md",
        "keyboard.py",
        "monkey.py",
        "tests/test_secrets.py",
        "asc.py",
    ],
)
def test_code_about_secrets_is_code(path: str) -> None:
    """Source files may be named after what they deal with."""
    assert not is_secret(path)


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("node_modules", True),
        (".git", True),
        (".venv", True),
        ("midfill.egg-info", True),
        ("site-packages", True),
        ("src", False),
        ("builder", False),
    ],
)
def test_foreign_folders(name: str, foreign: bool) -> None:
    """Folders of installed or generated things hold nothing of the project's own."""
    assert is_foreign_folder(name) == foreign


def test_rules_of_inner_folders_win() -> None:
    """An inner ``.gitignore`` takes back what an outer one says, as git does it."""
    rules = Rules()
    rules.add("", ["*.gen.py", "/top.py", "out/"])
    rules.add("kept", ["!*.gen.py"])
    assert rules.ignores("a.gen.py", is_folder=False)
    assert rules.ignores("deep/in/a.gen.py", is_folder=False)
    assert not rules.ignores("kept/a.gen.py", is_folder=False)
    assert rules.ignores("top.py", is_folder=False)
    assert not rules.ignores("deep/top.py", is_folder=False)
    assert rules.ignores("deep/out", is_folder=True)
    assert not rules.ignores("deep/out", is_folder=False)


def test_banned_files_stay_banned() -> None:
    """What the user bans no ignore file takes back."""
    rules = Rules(banned=["legacy/"])
    rules.add("", ["!legacy/"])
    assert rules.ignores("legacy", is_folder=True)
    assert rules.ignores("legacy/a.py", is_folder=False)


def test_patterns_without_sense_are_passed_over() -> None:
    """A broken line of an ignore file costs that line only."""
    rules = Rules()
    rules.add("", ["!", "***/[", "", "# all", "*.log.py"])
    assert rules.ignores("a.log.py", is_folder=False)
    assert not rules.ignores("a.py", is_folder=False)
