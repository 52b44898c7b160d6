"""Which files never count: ignored ones, generated ones, and those that may hold secrets."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import pathspec

# Folders that hold no source of the project's own, whatever its ignore files say.
_FOLDERS = frozenset(
    {
        *("node_modules", "bower_components", "site-packages", "dist-packages", "__pycache__"),
        *("__pypackages__", "build", "dist", "target", "vendor", "third_party", "venv", "env"),
        *("htmlcov", "coverage"),
    }
)
# Every part of a path is held against these: a folder of keys hides all that is in it.
_SECRET_PART = re.compile(
    r"""
    \.env(?:\..+|rc)? | .+\.env | \.ssh | \.aws | \.gnupg | \.kube | \.docker | \.azure | \.gcloud
    | \.netrc | _netrc | \.pgpass | \.my\.cnf | \.npmrc | \.pypirc | \.htpasswd | \.git-credentials
    | id_(?:rsa|dsa|ecdsa|ed25519).* | .+\.(?:pem|key|p8|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|age)
    | (?:.*[._-])?(?:credentials?|secrets?|passwords?|passwd)(?:[._-].*)?
    | .+\.tfvars(?:\.json)? | .+\.tfstate(?:\.backup)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Source code about secrets is source code: only its folder or a data file gives a secret away.
_CODE = re.compile(r".+\.(?:py|pyi|js|jsx|ts|tsx|go|rs|java|c|h|cc|cpp|hpp|cs|rb|php|swift|kt)\Z",
                   re.IGNORECASE)  # fmt: skip
_SECRET_CODE = re.compile(r"(?:\.env.*|id_(?:rsa|dsa|ecdsa|ed25519).*)", re.IGNORECASE)


# Asked about the same few files at every key.
@functools.lru_cache(maxsize=4096)
def is_secret(path: str) -> bool:
    """Whether a file must never be read for a prompt, by the parts of its path.

    Args:
        path: with slashes, absolute or relative.
    """
    *folders, name = PurePosixPath(path.replace("\\", "/")).parts or ("",)
    if any(_SECRET_PART.fullmatch(part) for part in folders):
        return True
    if _CODE.fullmatch(name):
        return bool(_SECRET_CODE.fullmatch(name))
    return bool(_SECRET_PART.fullmatch(name))


def is_foreign_folder(name: str) -> bool:
    """Whether a folder holds no source of the project's own, by its name."""
    return name.startswith(".") or name in _FOLDERS or name.endswith(".egg-info")


class Rules:
    """The ignore rules that hold in a folder: its own and those of the folders above.

    Args:
        banned: patterns in the form of ``.gitignore``, relative to the root; they win over all.
    """

    def __init__(self, banned: Sequence[str] = ()) -> None:
        self._banned = _spec(banned) if banned else None
        self._by_folder: dict[str, pathspec.GitIgnoreSpec] = {}

    def add(self, folder: str, lines: Iterable[str]) -> None:
        """Take up the ``.gitignore`` of a folder.

        Args:
            folder: relative to the root, with slashes; "" for the root itself.
            lines: of the file; a pattern that makes no sense is passed over.
        """
        self._by_folder[folder] = _spec(lines)

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path is left out; that a folder above it is must have been asked before.

        Args:
            path: relative to the root, with slashes.
            is_folder: patterns with a slash at their end hold for folders alone.
        """
        asked = f"{path}/" if is_folder else path
        if self._banned is not None and self._banned.match_file(asked):
            return True
        # The rules of the innermost folder win.
        folder = path.rpartition("/")[0]
        while True:
            rules = self._by_folder.get(folder)
            if rules is not None:
                inner = asked[len(folder) + 1 :] if folder else asked
                found = rules.check_file(inner).include
                if found is not None:
                    return found
            if not folder:
                return False
            folder = folder.rpartition("/")[0]


def _spec(lines: Iterable[str]) -> pathspec.GitIgnoreSpec:
    patterns = []
    for line in lines:
        try:
            pathspec.GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        patterns.append(line)
    return pathspec.GitIgnoreSpec.from_lines(patterns)
