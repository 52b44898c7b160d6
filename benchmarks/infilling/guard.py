"""Runs one untrusted program; the child's side of sandbox.py, started as a script.

It uses the standard library only. The first line of standard input is JSON: a nonce, the folder
the program may write to, and limits; the rest is the program. The verdict goes to the file
descriptor named by the first argument, as JSON with the nonce: a program that merely ends early
cannot pass for one that ran through.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

# Modules in C that open files, sockets or processes without an audit event of their own.
_MODULES = {
    "_socket": "network",
    "_ssl": "network",
    "_ctypes": "process",
    "_posixsubprocess": "process",
    "_multiprocessing": "process",
    "_posixshmem": "process",
    "_curses": "process",
    "_tkinter": "process",
    "_dbm": "file",
    "_gdbm": "file",
    "_sqlite3": "file",
    "readline": "file",
}
_EVENTS = {
    "ctypes": "process",
    "os.exec": "process",
    "os.fork": "process",
    "os.forkpty": "process",
    "os.kill": "process",
    "os.killpg": "process",
    "os.posix_spawn": "process",
    "os.spawn": "process",
    "os.startfile": "process",
    "os.system": "process",
    "pty": "process",
    "resource": "process",
    "signal.pthread_kill": "process",
    "socket": "network",
    "sqlite3": "file",
    "subprocess": "process",
    "syslog": "process",
    "webbrowser": "process",
}
# Events about a path, and which of their arguments are paths.
_PATH_EVENTS = {
    "os.chdir": (0,),
    "os.chflags": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.lchflags": (0,),
    "os.lockf": (),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.removexattr": (0,),
    "os.rename": (0, 1),
    "os.link": (0, 1),
    "os.rmdir": (0,),
    "os.setxattr": (0,),
    "os.symlink": (0, 1),
    "os.truncate": (0,),
    "os.utime": (0,),
}
_READ_EVENTS = ("os.listdir", "os.scandir", "os.fwalk", "os.walk", "glob.glob")
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MAX_MESSAGE_CHARS = 300


class Forbidden(Exception):
    """The program tried something that it must not do."""


class Watch:
    """The audit hook.

    Args:
        folder: where the program may write; it may read there and in Python's own library.
    """

    def __init__(self, folder: str) -> None:
        self.refused = ""
        self._folder = os.path.realpath(folder)
        library = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
        self._readable = [self._folder, *(os.path.realpath(path) for path in library)]
        # Bound once: the program may replace names of these modules.
        self._realpath: Callable[[str], str] = os.path.realpath
        self._fsdecode: Callable[[Any], str] = os.fsdecode

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """See sys.addaudithook."""
        if event == "open":
            self._open(*args[:3])
        elif event == "import":
            if args[0] in _MODULES:
                self._refuse(_MODULES[args[0]], f"import {args[0]}")
        elif event in _PATH_EVENTS:
            for at in _PATH_EVENTS[event]:
                self._need(args[at], [self._folder], event)
        elif event in _READ_EVENTS:
            self._need(args[0] if args[0] is not None else ".", self._readable, event)
        else:
            kind = _EVENTS.get(event) or _EVENTS.get(event.partition(".")[0])
            if kind:
                self._refuse(kind, event)

    def _open(self, path: Any, mode: Any, flags: Any) -> None:
        writes = any(sign in (mode or "") for sign in "wax+") or bool((flags or 0) & _WRITE_FLAGS)
        self._need(path, [self._folder] if writes else self._readable, "open")

    def _need(self, path: Any, folders: list[str], event: str) -> None:
        if isinstance(path, int):  # a descriptor that is open already
            return
        real = self._realpath(self._fsdecode(path))
        if not any(real == folder or real.startswith(folder + os.sep) for folder in folders):
            self._refuse("file", event)

    def _refuse(self, kind: str, what: str) -> None:
        self.refused = self.refused or f"{kind}: {what}"
        raise Forbidden(what)


def main() -> None:
    """Run the program that standard input holds and report how it went."""
    report_fd = int(sys.argv[1])
    order = json.loads(sys.stdin.buffer.readline())
    source = sys.stdin.buffer.read().decode("utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.argv = ["program.py"]
    _limit(order)
    watch = Watch(order["folder"])
    reason, message = _run(source, watch)
    if watch.refused:
        reason, message = "forbidden", watch.refused
    verdict = {"nonce": order["nonce"], "reason": reason, "message": message[:_MAX_MESSAGE_CHARS]}
    os.write(report_fd, json.dumps(verdict).encode())
    os._exit(0)  # nothing that the program left behind (atexit, finalizers) runs any more


def _limit(order: dict[str, Any]) -> None:
    wanted = {
        "RLIMIT_AS": order["memory_bytes"],
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": order["cpu_s"],
        "RLIMIT_FSIZE": order["file_bytes"],
        "RLIMIT_NOFILE": order["n_files"],
        "RLIMIT_NPROC": 0,
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # After the soft limit on CPU time comes a signal that a program could catch.
        top = soft + 1 if name == "RLIMIT_CPU" and hard == resource.RLIM_INFINITY else soft
        try:
            resource.setrlimit(kind, (soft, top))
        except (ValueError, OSError):
            continue  # macOS takes no limit on address space


def _run(source: str, watch: Watch) -> tuple[str, str]:
    try:
        code = compile(source, "program.py", "exec", dont_inherit=True)
    except MemoryError:
        return "memory", "while compiling"
    except (SyntaxError, ValueError, RecursionError) as error:
        return "syntax_error", f"{type(error).__name__}: {error}"
    sys.addaudithook(watch)
    try:
        exec(code, {"__name__": "program"})
    except MemoryError:
        return "memory", "MemoryError"
    except BaseException as error:
        return "failed", f"{type(error).__name__}: {_text(error)}"
    return "passed", ""


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


if __name__ == "__main__":
    main()
