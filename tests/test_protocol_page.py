"""What editors/protocol.md says is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from lsp_server.actions import COMMANDS
from lsp_server.handlers import PROTOCOL
from lsp_server.lifecycle.messages import PARAMS, REQUESTS
from tests.commands.runner import write_script
from tests.conftest import midfill_command

_PAGE = (Path(__file__).resolve().parent.parent / "editors" / "protocol.md").read_text("utf-8")
_TIMEOUT_S = 120
# Those that every LSP client sends.
_PLAIN = {"initialize", "initialized", "shutdown", "exit", "$/cancelRequest"}


def test_every_method_is_on_the_page() -> None:
    """But those of LSP that every client sends in the same way; requests are marked as such."""
    ours = [m for m in PARAMS if m.startswith("midfill/") or "Complet" in m or m in REQUESTS]
    wanted = {*ours, "textDocument/didFocus", "workspace/didChangeConfiguration"} - _PLAIN
    assert [method for method in wanted if f"`{method}`" not in _PAGE] == []
    for method in wanted:
        mark = "→" if method in REQUESTS else "·"
        assert f"| {mark} `{method}`" in _PAGE, method
    named = set(re.findall(r"^\| [→·] `([^`]+)`", _PAGE, re.MULTILINE))
    assert named - {"didChangeStatus"} <= set(PARAMS)


def test_every_command_is_on_the_page() -> None:
    """By its last word at least."""
    assert [name for name in COMMANDS if name.removeprefix("midfill.") not in _PAGE] == []
    assert f'`{{"protocol": {PROTOCOL}}}`' in _PAGE


def run_client(tmp_path: Path, line: int, column: int) -> list[str]:
    """What the page's client prints for a place in a file, with a scripted engine."""
    found = re.search(r"<!-- minimal client -->\n```python\n(.*?)```", _PAGE, re.DOTALL)
    assert found is not None
    model = write_script(tmp_path, {"after": "return ", "pieces": ["left", " + right"]})
    config = Path(os.environ["MIDFILL_CONFIG_DIR"])
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text(f'model = {{ id = "{model}" }}\n')
    (tmp_path / "client.py").write_text(found[1])
    (tmp_path / "a.py").write_text("def add(left, right):\n    return \n")
    path = f"{Path(midfill_command()).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "client.py", "a.py", str(line), str(column)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


def test_the_minimal_client_gets_a_suggestion_that_grows(tmp_path: Path) -> None:
    """As it stands on the page."""
    first, *growing, last = run_client(tmp_path, 1, 11)
    assert first == f"protocol {PROTOCOL}"
    assert growing[:1] == ["… left"]
    assert last == "left + right"


def test_the_minimal_client_tells_why_there_is_none(tmp_path: Path) -> None:
    """The reason's code and sentence."""
    lines = run_client(tmp_path, 0, 0)
    assert lines[1] == "nothing"
    assert "model_stopped" in lines[2]
