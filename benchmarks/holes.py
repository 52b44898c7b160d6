"""Cursor positions in Python's own standard library: real code that every machine has."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import msgspec

_MODULES = (
    "argparse", "ast", "bdb", "calendar", "cmd", "configparser", "contextlib", "csv", "datetime",
    "difflib", "dis", "doctest", "fractions", "ftplib", "functools", "gettext", "heapq", "imaplib",
    "inspect", "ipaddress", "mailbox", "mimetypes", "netrc", "optparse", "pathlib", "pdb",
    "pickletools", "platform", "plistlib", "pprint", "queue", "random", "sched", "selectors",
    "shelve", "shlex", "shutil", "smtplib", "socketserver", "statistics", "string", "subprocess",
    "tarfile", "tempfile", "textwrap", "threading", "timeit", "trace", "traceback", "unittest/case",
    "unittest/mock", "uuid", "weakref", "zipfile",
)  # fmt: skip


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be typed.

    Args:
        name: module and line, for display.
        before: the file up to the line's first non-blank character.
        line: the line from there on, without its EOL.
        after: the rest of the file, from the line's EOL on.
    """

    name: str
    before: str
    line: str
    after: str


def stdlib_holes(n: int, seed: int) -> list[Hole]:
    """At most ``n`` holes, one a module while there are enough modules.

    Args:
        n: how many.
        seed: which ones.
    """
    chance = random.Random(seed)
    modules = [*_MODULES]
    chance.shuffle(modules)
    holes: list[Hole] = []
    while len(holes) < n:
        before = len(holes)
        for module in modules:
            if len(holes) < n:
                holes.extend(_holes(module, chance))
        if len(holes) == before:
            break
    return holes


def _holes(module: str, chance: random.Random) -> Iterator[Hole]:
    path = Path(sysconfig.get_path("stdlib")) / f"{module}.py"
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError):
        return
    candidates = [
        number
        for number, line in enumerate(lines)
        if number > 40
        and line.startswith("    ")
        and 20 <= len(line.strip()) <= 79
        and not line.strip().startswith(("#", '"', "'"))
    ]
    if candidates:
        number = chance.choice(candidates)
        text = lines[number].rstrip("\n")
        indent = len(text) - len(text.lstrip())
        yield Hole(
            name=f"{module}:{number + 1}",
            before="".join(lines[:number]) + text[:indent],
            line=text[indent:],
            after="\n" + "".join(lines[number + 1 :]),
        )
