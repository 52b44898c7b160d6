"""Runs the ``midfill`` command with an engine that replays a script."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import midfill_command

# Only a guard: a run with the real model on a busy machine takes a minute.
_TIMEOUT_S = 600


def run(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``midfill`` in a process of its own, without a terminal."""
    return subprocess.run(
        [midfill_command(), *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def write_script(folder: Path, *replies: dict[str, Any], default: str = "") -> str:
    """Write a script; returns the model id that plays it."""
    path = folder / "script.json"
    path.write_text(json.dumps({"replies": replies, "default": default}))
    return f"scripted:{path}"
