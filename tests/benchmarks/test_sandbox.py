"""The sandbox in which tests of generated code run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.infilling.sandbox import Limits, network_is_cut, run_program

_QUICK = Limits(wall_s=30, cpu_s=1)


@pytest.mark.parametrize(
    ("source", "reason", "message"),
    [
        ("assert 1 + 1 == 2\n", "passed", ""),
        ("import math, re, collections, hashlib, typing, random, statistics\n", "passed", ""),
        ("assert False, 'wrong'\n", "failed", "AssertionError: wrong"),
        ("1 / 0\n", "failed", "ZeroDivisionError"),
        ("def f():\n    return f()\nf()\n", "failed", "RecursionError"),
        ("import sys\nsys.exit(0)\n", "failed", "SystemExit"),
        ("input()\n", "failed", "EOFError"),
        ("import json, sys\nimport yaml\n", "failed", "ModuleNotFoundError"),
        ("def f(:\n", "syntax_error", "SyntaxError"),
        ("x = 1\n\x00\n", "syntax_error", ""),
        ("import os\nos._exit(0)\n", "crashed", ""),
        ("import os\nos.abort()\n", "crashed", ""),
    ],
)
def test_outcome(source: str, reason: str, message: str) -> None:
    """A program passes only when it runs through; else the outcome says how it ended."""
    outcome = run_program(source)

    assert outcome.reason == reason
    assert outcome.message.startswith(message)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import socket\n", "network"),
        ("import urllib.request\n", "network"),
        ("open('/tmp/mf-not-allowed', 'w')\n", "file"),
        ("open('../mf-not-allowed', 'w')\n", "file"),
        ("open('/etc/passwd')\n", "file"),
        ("import os\nos.open('/tmp/mf-not-allowed', os.O_CREAT | os.O_RDWR)\n", "file"),
        ("import os\nos.remove('/tmp/mf-not-allowed')\n", "file"),
        ("import os\nos.mkdir('/tmp/mf-not-allowed')\n", "file"),
        ("import os\nos.rename('a', '/tmp/mf-not-allowed')\n", "file"),
        ("import os\nos.listdir('/')\n", "file"),
        ("import os\nos.symlink('/', 'root')\n", "file"),
        ("import os\nos.system('true')\n", "process"),
        ("import os\nos.fork()\n", "process"),
        ("import os\nos.execv('/bin/true', ['true'])\n", "process"),
        ("import os\nos.kill(os.getppid(), 9)\n", "process"),
        ("import subprocess\n", "process"),
        ("import ctypes\n", "process"),
        ("import sqlite3\n", "file"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (9, 9))\n", "process"),
    ],
)
def test_forbidden(source: str, kind: str) -> None:
    """Sockets, processes and files outside the temporary folder are refused and named."""
    outcome = run_program(source)

    assert outcome.reason == "forbidden"
    assert outcome.message.startswith(f"{kind}: ")


def test_forbidden_cannot_be_swallowed() -> None:
    """A program that catches the refusal and goes on still does not pass."""
    outcome = run_program(
        "import os\ntry:\n    os.system('true')\nexcept BaseException:\n    pass\n"
    )

    assert outcome.reason == "forbidden"


def test_own_folder() -> None:
    """A program may write in its current folder, its home too, which is gone afterwards."""
    source = (
        "import os\n"
        "open('note', 'w').write('text')\n"
        "assert open(os.path.join(os.environ['HOME'], 'note')).read() == 'text'\n"
        "raise ValueError(os.getcwd())\n"
    )
    outcome = run_program(source)

    assert outcome.reason == "failed"
    folder = Path(outcome.message.removeprefix("ValueError: "))
    assert folder.name.startswith("mf-run-")
    assert not folder.exists()


def test_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of our environment reaches the program."""
    monkeypatch.setenv("MIDFILL_SECRET_FOR_TEST", "x")

    assert run_program(
        "import os\nassert 'MIDFILL_SECRET_FOR_TEST' not in os.environ\n"
    ).reason == ("passed")


def test_file_size_limit() -> None:
    """A file cannot grow beyond its limit."""
    source = "f = open('big', 'wb')\nfor _ in range(64):\n    f.write(bytes(65536))\nf.close()\n"

    assert run_program(source).reason == "failed"


def test_cpu_time() -> None:
    """An endless loop ends at the limit on CPU time."""
    outcome = run_program("while True:\n    pass\n", _QUICK)

    assert outcome.reason == "timed_out"


def test_wall_clock_time() -> None:
    """A program that waits ends at the limit on wall-clock time, whatever it catches."""
    source = (
        "import signal\nwhile True:\n    try:\n        signal.pause()\n"
        "    except BaseException:\n        pass\n"
    )
    outcome = run_program(source, Limits(wall_s=1))

    assert outcome.reason == "timed_out"
    assert outcome.message == "wall-clock time"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space")
def test_memory() -> None:
    """A program that takes too much memory is told so."""
    source = "x = []\nwhile True:\n    x.append(bytearray(64 * 1024 * 1024))\n"

    assert run_program(source).reason == "memory"


def test_output_is_dropped() -> None:
    """A program that prints without end of its own is only slow, and its output goes nowhere."""
    outcome = run_program("for _ in range(20000):\n    print('x' * 100)\n")

    assert outcome.reason == "passed"


def test_verdict_cannot_be_forged() -> None:
    """A verdict written by the program itself lacks the nonce."""
    forged = '{"nonce": "", "reason": "passed", "message": ""}'
    source = (
        "import os\n"
        "for fd in range(3, 20):\n"
        f"    try: os.write(fd, {forged.encode()!r})\n"
        "    except OSError: pass\n"
        "os._exit(0)\n"
    )

    assert run_program(source).reason == "crashed"


def test_hash_order_is_fixed() -> None:
    """Sets of strings have one order in every run, so a verdict is the same twice."""
    source = "raise ValueError(list({'a', 'b', 'c', 'd', 'e', 'f'}))\n"

    assert run_program(source).message == run_program(source).message


@pytest.mark.skipif(not network_is_cut(), reason="no network namespaces here")
def test_network_namespace() -> None:
    """Where the kernel allows it, a child is in another network namespace than we are."""
    ours = os.readlink("/proc/self/ns/net")
    source = "import os\nraise ValueError(os.readlink('/proc/self/ns/net'))\n"

    outcome = run_program(source)

    assert outcome.message.startswith("ValueError: net:[")
    assert ours not in outcome.message
