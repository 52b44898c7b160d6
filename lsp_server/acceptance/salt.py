"""Salted hashes: equal texts can be recognised, but nobody can guess a text from its hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from lsp_server import paths
from lsp_server.errors import StoreError

SALT_FILE = "events.salt"
_SALT_BYTES = 32
_DIGEST_BYTES = 12


class TextHasher:
    """Hashes texts with a secret of this user.

    Args:
        salt: the secret. It has to be random: the hash of a guessable text is guessable without.
    """

    def __init__(self, salt: bytes) -> None:
        self._key = hashlib.blake2b(salt, digest_size=32).digest()

    def __call__(self, text: str) -> str:
        """The hash of ``text`` as 24 hexadecimal digits (lone surrogates are allowed)."""
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._key, digest_size=_DIGEST_BYTES).hexdigest()


def user_hasher(folder: Path | None = None) -> TextHasher:
    """The hasher with the user's salt, which is made on first use.

    Where the salt can be neither read nor written, the hasher gets a random one: its hashes then
    mean nothing to other processes, and still give nothing away.

    Args:
        folder: where the salt lies; by default the state folder.
    """
    try:
        place = paths.private_dir(folder or paths.state_dir()) / SALT_FILE
        return TextHasher(_read_salt(place) or _make_salt(place))
    except (OSError, StoreError):
        return TextHasher(secrets.token_bytes(_SALT_BYTES))


def _read_salt(place: Path) -> bytes | None:
    try:
        salt = place.read_bytes()
    except FileNotFoundError:
        return None
    return salt if len(salt) == _SALT_BYTES else None


def _make_salt(place: Path) -> bytes:
    """Write a new salt; of several processes that do this at once, one wins for all."""
    draft = place.with_name(f"{SALT_FILE}.{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(secrets.token_bytes(_SALT_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(draft, place)
        winner = _read_salt(place)
        if winner is None:  # what lay there is no salt, for instance cut off by a full disk
            os.replace(draft, place)
            winner = place.read_bytes()
        return winner
    finally:
        draft.unlink(missing_ok=True)
