"""Where midfill keeps its files. Every folder is private to the user (0700).

Environment variables override each place: ``MIDFILL_CACHE_DIR`` (models, caches),
``MIDFILL_STATE_DIR`` (acceptance log, engine logs), ``MIDFILL_RUNTIME_DIR`` (sockets),
``MIDFILL_CONFIG_DIR`` (the user's settings file).
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import platformdirs

from lsp_server.errors import StoreError

# sun_path holds 108 bytes on Linux and 104 on macOS; the file name needs 32 of them.
_MAX_SOCKET_DIR_BYTES = 70


def cache_dir() -> Path:
    """Folder of fetched models and caches; it may be deleted at any time."""
    return _override("MIDFILL_CACHE_DIR") or Path(platformdirs.user_cache_dir("midfill", False))


def models_dir() -> Path:
    """Folder of fetched models."""
    return cache_dir() / "models"


def index_dir() -> Path:
    """Folder of the indexes of workspaces; they hold names and signatures of the user's code."""
    return cache_dir() / "index"


def suggestions_dir() -> Path:
    """Folder of suggestions that were made; they hold text that continues the user's code."""
    return cache_dir() / "suggestions"


def kv_dir() -> Path:
    """Folder of saved KV caches; they hold the tokens of prompts, and so text of the user's."""
    return cache_dir() / "kv"


def state_dir() -> Path:
    """Folder of the acceptance log and of engine logs."""
    return _override("MIDFILL_STATE_DIR") or Path(platformdirs.user_state_dir("midfill", False))


def config_dir() -> Path:
    """Folder of the user's settings file."""
    return _override("MIDFILL_CONFIG_DIR") or Path(platformdirs.user_config_dir("midfill", False))


def runtime_dir() -> Path:
    """Folder of engine sockets and locks; short enough for a Unix socket address."""
    chosen = _override("MIDFILL_RUNTIME_DIR")
    if chosen is None:
        base = os.environ.get("XDG_RUNTIME_DIR")
        chosen = Path(base) / "midfill" if base and Path(base).is_dir() else None
    if chosen is None:
        chosen = Path(tempfile.gettempdir()) / f"midfill-{os.getuid()}"
    if len(os.fsencode(chosen)) > _MAX_SOCKET_DIR_BYTES:
        digest = hashlib.sha256(os.fsencode(chosen)).hexdigest()[:16]
        chosen = Path("/tmp") / f"midfill-{os.getuid()}-{digest}"
    return chosen


def path_of(uri: str) -> Path | None:
    """The place that a ``file`` URI names; None for any other URI."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = Path(unquote(parts.path))
    return path if path.is_absolute() and "\0" not in parts.path else None


def private_dir(path: Path) -> Path:
    """Create ``path`` with mode 0700 and check that it belongs to this user.

    Raises:
        StoreError: the folder cannot be made, or belongs to somebody else.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
    except OSError as error:
        raise StoreError(
            f"Cannot create the folder {path}: {error.strerror or error}.",
            code="folder_unwritable",
            hint="Check its permissions, or choose another place with MIDFILL_CACHE_DIR, "
            "MIDFILL_STATE_DIR or MIDFILL_RUNTIME_DIR.",
        ) from error
    if stat.S_ISLNK(info.st_mode) and path.parent == Path("/tmp"):
        raise StoreError(f"{path} is a link.", code="folder_not_private", hint="Remove it.")
    if path.stat().st_uid != os.getuid():
        raise StoreError(
            f"The folder {path} belongs to another user.",
            code="folder_not_private",
            hint="Remove it, or choose another place with MIDFILL_RUNTIME_DIR.",
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        try:
            path.chmod(0o700)
        except OSError as error:
            raise StoreError(
                f"The folder {path} is open to other users and cannot be closed.",
                code="folder_not_private",
                hint=f"Run: chmod 700 {path}",
            ) from error
    return path


def _override(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None
