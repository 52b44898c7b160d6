"""Where the packages lie that a project imports: in a virtual environment, found by its files.

No interpreter is run for it: one that lies in a project's folder may be anybody's program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_IN_ROOT = (".venv", "venv", "env", ".env")
_ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")
_SIGNS = ("pyvenv.cfg", "conda-meta")
# Of an environment that was upgraded, folders of older versions may be left.
_LAYOUTS = ("lib/python3*/site-packages", "Lib/site-packages")


def packages_of(root: Path, environment: str = "") -> Path | None:
    """The folder of the packages that a project has.

    Args:
        root: of the project.
        environment: folder of its environment, relative to the root or absolute; "" looks for one
            in the root, then for the one that is active.

    Returns:
        None if there is none.
    """
    for folder in [root / environment] if environment else _candidates(root):
        if any((folder / sign).exists() for sign in _SIGNS):
            found = [path for layout in _LAYOUTS for path in folder.glob(layout) if path.is_dir()]
            if found:
                return max(found, key=lambda path: (_version(path), path))
    return None


def _candidates(root: Path) -> Iterator[Path]:
    yield from (root / name for name in _IN_ROOT)
    yield from (Path(os.environ[name]) for name in _ACTIVE if os.environ.get(name))


def _version(path: Path) -> tuple[int, ...]:
    """Of the Python that the folder belongs to."""
    numbers = path.parent.name.removeprefix("python").split(".")
    return tuple(int(number) for number in numbers if number.isdecimal())
