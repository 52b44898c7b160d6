"""Whether the user has paused midfill: a file in the state folder, so it outlives every process.

The file is the truth. Engines that run are told when it changes (``Pause``); engines and servers
that start later read it.
"""

from __future__ import annotations

import os
from pathlib import Path

from lsp_server import paths
from lsp_server.errors import EngineRefusedError, StoreError

CODE = "paused"
MESSAGE = "Completion is paused."
HINT = "To go on, run: midfill engine resume"


def flag_path() -> Path:
    """The file that is there while midfill is paused."""
    return paths.state_dir() / "paused"


def is_paused() -> bool:
    """Whether the user has paused midfill; one look into a folder."""
    return os.path.exists(flag_path())


def set_paused(paused: bool) -> bool:
    """Pause or go on; gives what it was before.

    Raises:
        StoreError: the state folder cannot be written.
    """
    path = flag_path()
    try:
        if not paused:
            path.unlink()
            return True
        paths.private_dir(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return False
    except (FileNotFoundError, NotADirectoryError):
        return False
    except FileExistsError:
        return True
    except OSError as error:
        raise StoreError(
            f"{path} cannot be {'written' if paused else 'removed'}: {error.strerror or error}.",
            code="pause_unwritable",
            hint="Check the permissions of its folder.",
        ) from error


def refusal() -> EngineRefusedError:
    """What a request gets meanwhile."""
    return EngineRefusedError(MESSAGE, code=CODE, hint=HINT)
