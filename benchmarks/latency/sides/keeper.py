"""Runs a command until its own standard input ends: the command dies with whoever started this.

A pipe ends however its other side ends, so this holds for Ctrl-C, for a crash and for a kill.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

_LEAVE_S = 3.0


def main() -> int:
    """Run the command of the arguments; returns its exit status."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    return child.wait()


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    # Not sys.stdin: its lock would still be held when the interpreter ends.
    while os.read(0, 4096):
        pass
    child.terminate()
    try:
        child.wait(_LEAVE_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main())
