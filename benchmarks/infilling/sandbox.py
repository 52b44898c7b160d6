"""Runs programs that a model wrote, in a child process that is kept on a short lead.

What it guards against is a completion that is wrong, slow, greedy or clumsy: an endless loop, a
list without end, a stray ``open(..., "w")``, ``os.system``, ``input()``, a request to the network.

- wall-clock time: the child's process group is killed; CPU time, address space, file size, open
  files, processes and core dumps: ``setrlimit``;
- network: on Linux the child has a network namespace of its own without any interface, where the
  kernel lets a user make one (``unshare``); everywhere an audit hook refuses sockets;
- files: an audit hook allows writing in a temporary folder only, which is the current folder and
  HOME too, and reading only there and in Python's standard library;
- processes: an audit hook refuses fork, exec, signals and ctypes;
- standard input is empty, output goes nowhere, the environment is empty, site-packages are out.

What it does not guard against is a program written to break out. An audit hook lives in the
interpreter that it watches, so code that gets at memory (a bug in a C module) gets past it; there
is no seccomp filter and no file system of its own. macOS has no network namespaces and does not
enforce the limit on address space; for root, Linux does not enforce the one on processes. Whoever
wants more runs the benchmark in a container or a virtual machine.
"""

from __future__ import annotations

import functools
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec

Reason = Literal["passed", "failed", "timed_out", "memory", "forbidden", "crashed", "syntax_error"]
_GUARD = Path(__file__).with_name("guard.py")
_MAX_VERDICT_BYTES = 16 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a program may use.

    Args:
        wall_s: seconds by the clock.
        cpu_s: seconds of CPU time.
        memory_bytes: address space.
        file_bytes: size of each file it writes.
        n_files: open files.
    """

    wall_s: float = 15.0
    cpu_s: int = 5
    memory_bytes: int = 1024 * 1024 * 1024
    file_bytes: int = 1024 * 1024
    n_files: int = 32


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a program went.

    Args:
        reason: ``passed``, or why it did not pass. ``crashed`` is an interpreter that ended
            without a verdict.
        message: the exception, or what was refused.
        seconds: by the clock, with the start of Python.
    """

    reason: Reason
    message: str = ""
    seconds: float = 0.0


class _Verdict(msgspec.Struct, frozen=True):
    nonce: str
    reason: Reason
    message: str


def run_program(source: str, limits: Limits | None = None) -> Outcome:
    """Run a program to its end or to a limit; it passes when no exception ends it.

    Args:
        source: Python source text.
        limits: what it may use.
    """
    limits = limits or Limits()
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mf-run-", ignore_cleanup_errors=True) as folder:
        nonce = secrets.token_hex(16)
        status, data = _run_child(source, limits, folder, nonce)
    reason, message = _judge(status, data, nonce)
    return Outcome(reason=reason, message=message, seconds=time.monotonic() - started_s)


@functools.cache
def network_is_cut() -> bool:
    """Whether the kernel gives children a network namespace of their own."""
    return bool(_namespaces())


@functools.cache
def _namespaces() -> tuple[str, ...]:
    """The command that starts a child without a network; empty where there is none."""
    command = shutil.which("unshare") if sys.platform == "linux" else None
    if command is None:
        return ()
    prefix = (command, "--user", "--net", "--")
    probe = subprocess.run(
        [*prefix, sys.executable, "-S", "-c", ""], capture_output=True, check=False
    )
    return prefix if probe.returncode == 0 else ()


def _run_child(source: str, limits: Limits, folder: str, nonce: str) -> tuple[int | None, bytes]:
    """Exit status (None when time ran out) and what the child reported."""
    order = {
        "nonce": nonce,
        "folder": folder,
        "cpu_s": math.ceil(limits.cpu_s),
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
        "n_files": limits.n_files,
    }
    # Lone surrogates cannot be in a source file; as "?" they make the program fail, if anything.
    body = msgspec.json.encode(order) + b"\n" + source.encode("utf-8", "replace")
    environment = {
        "HOME": folder,
        "TMPDIR": folder,
        # The order of sets of strings must not decide whether a program passes.
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    reader, writer = os.pipe()
    try:
        # As -I, but with the environment variables above.
        command = [*_namespaces(), sys.executable, "-P", "-s", "-S", str(_GUARD), str(writer)]
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            pass_fds=(writer,),
            start_new_session=True,
        )
        os.close(writer)
        writer = -1
        status: int | None
        try:
            child.communicate(body, timeout=limits.wall_s)
            status = child.returncode
        except BaseException as error:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            status = None
        os.set_blocking(reader, False)
        return status, _read(reader)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, _MAX_VERDICT_BYTES)
    except BlockingIOError:  # somebody still holds the other end
        return b""


def _judge(status: int | None, data: bytes, nonce: str) -> tuple[Reason, str]:
    if status is None:
        return "timed_out", "wall-clock time"
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "timed_out", "CPU time"
    try:
        verdict = msgspec.json.decode(data, type=_Verdict)
    except msgspec.MsgspecError:
        return "crashed", f"ended with status {status} before its end"
    if verdict.nonce != nonce:
        return "crashed", "gave a false verdict"
    return verdict.reason, verdict.message
