"""Salted hashes."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lsp_server.acceptance.salt import SALT_FILE, TextHasher, user_hasher


def test_same_user_same_hash(tmp_path: Path) -> None:
    """Two processes of one user hash a text alike, because they share the salt file."""
    assert user_hasher(tmp_path)("secret") == user_hasher(tmp_path)("secret")
    assert user_hasher(tmp_path)("secret") != user_hasher(tmp_path)("secrets")


def test_other_user_other_hash(tmp_path: Path) -> None:
    """Without the salt a text cannot be recognised by hashing guesses."""
    assert user_hasher(tmp_path / "a")("secret") != user_hasher(tmp_path / "b")("secret")


def test_salt_is_private(tmp_path: Path) -> None:
    """The salt file has mode 0600, and nothing else is left in the folder."""
    user_hasher(tmp_path)
    assert stat.S_IMODE((tmp_path / SALT_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [SALT_FILE]


def test_first_use_by_many_at_once(tmp_path: Path) -> None:
    """When several make the salt at the same time they end up with the same one."""
    with ThreadPoolExecutor(8) as pool:
        hashes = set(pool.map(lambda _: user_hasher(tmp_path)("x"), range(32)))
    assert len(hashes) == 1


def test_cut_off_salt_is_replaced(tmp_path: Path) -> None:
    """A salt file that a full disk left empty is made anew."""
    (tmp_path / SALT_FILE).write_bytes(b"")
    first = user_hasher(tmp_path)
    assert len((tmp_path / SALT_FILE).read_bytes()) == 32
    assert user_hasher(tmp_path)("x") == first("x")


def test_unusable_folder_gives_a_passing_salt(tmp_path: Path) -> None:
    """Where no salt file can be made, hashing works and differs from process to process."""
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "state"
    assert user_hasher(place)("x") != user_hasher(place)("x")


def test_lone_surrogates_are_hashed() -> None:
    """Text that is no valid Unicode can be hashed."""
    assert len(TextHasher(b"salt")("\ud800")) == 24
