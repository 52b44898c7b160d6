"""A measuring process: a probe as JSON on standard input, what was found on standard output."""

from __future__ import annotations

import sys

import msgspec

from benchmarks.engine import probe
from lsp_server.errors import MidfillError


def main() -> int:
    """Measure; returns the exit status."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=probe.Probe)
    found: probe.Probed | probe.Failure
    try:
        found = probe.measure(asked)
    except MidfillError as error:
        found = probe.Failure(code=error.code, message=error.message, hint=error.hint)
    print(msgspec.json.encode(found).decode())
    return 1 if isinstance(found, probe.Failure) else 0


if __name__ == "__main__":
    sys.exit(main())
