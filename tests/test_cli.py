"""The ``midfill`` command: usage, exit codes, output trouble, what start-up imports."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_server import __version__, cli
from tests.commands.runner import run, write_script
from tests.conftest import midfill_command

_TIMEOUT_S = 60
_SLOW_MODULES = (
    "asyncio",
    "huggingface_hub",
    "llama_cpp",
    "lsprotocol",
    "psutil",
    "pygls",
    "rich",
    "sqlite3",
    "tree_sitter",
)
_IMPORTED = """
import json, sys
from lsp_server import cli
try:
    code = cli.main(sys.argv[1:])
except SystemExit as left:
    code = left.code
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_version() -> None:
    """--version prints name and version, nothing else."""
    answer = run("--version")
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert answer.stdout.decode() == f"midfill {__version__}\n"


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names every command with what it is for, and the first steps."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    for name, summary in cli._COMMANDS.items():
        assert f"{name} {summary}" in out
    assert "midfill model fetch" in out


@pytest.mark.parametrize("name", sorted(cli._COMMANDS))
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself; the summary is the one --help shows."""
    with pytest.raises(SystemExit) as caught:
        cli.main([name, "--help"])
    assert caught.value.code == 0
    assert f"usage: midfill {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "invalid choice: 'bogus'"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["complete"], "FILE:LINE:COL"),
        (["complete", "a.py:1:1", "--bogus"], "--bogus"),
        (["engine"], "ACTION"),
        (["engine", "bogus"], "invalid choice: 'bogus'"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage exits 2 and names what was wrong."""
    try:
        code: object = cli.main(arguments)
    except SystemExit as left:
        code = left.code
    out, err = capsys.readouterr()
    assert code == 2
    assert words in out + err


def test_no_arguments_on_a_terminal() -> None:
    """A user who types only ``midfill`` gets the help, and exit code 2."""
    master, slave = pty.openpty()
    try:
        answer = subprocess.run(
            [midfill_command()], stdin=slave, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    finally:
        os.close(slave)
        os.close(master)
    assert answer.returncode == 2
    assert answer.stdout.startswith(b"usage: midfill")


def test_no_arguments_for_an_editor() -> None:
    """Where stdin is no terminal ``midfill`` serves; a client that just leaves makes it fail."""
    answer = run()
    assert answer.returncode == 1
    assert b"usage" not in answer.stdout + answer.stderr
    assert b"Traceback" not in answer.stderr


def test_planted_context_package(tmp_path: Path) -> None:
    """Another package in the place of ``context`` keeps midfill from starting, with a hint."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "__init__.py").write_text("")
    answer = run("config", env={"PYTHONPATH": str(tmp_path)})
    assert answer.returncode == 2
    assert str(tmp_path / "context" / "__init__.py").encode() in answer.stderr
    assert b"pipx install midfill" in answer.stderr
    assert b"Traceback" not in answer.stderr


def test_context_of_the_current_folder_is_not_taken(tmp_path: Path) -> None:
    """A project that has a ``context`` package of its own does not disturb the command."""
    (tmp_path / "context.py").write_text("raise SystemExit(77)")
    assert run("--version", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [(["config"], ""), (["config", "--json"], ""), (["--help"], ""), (["config", "--json"], "1")],
)
def test_reader_that_left(arguments: list[str], unbuffered: str) -> None:
    """A pipe whose reader is gone ends the command without a word of Python's."""
    read, write = os.pipe()
    os.close(read)
    try:
        answer = subprocess.run(
            [midfill_command(), *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        )
    finally:
        os.close(write)
    assert (answer.returncode, answer.stderr) == (1, b"")


def test_head(tmp_path: Path) -> None:
    """``midfill complete … | head -1`` gives the first line without a complaint."""
    path = tmp_path / "a.py"
    path.write_text("def f(x):\n    ")
    model = write_script(tmp_path, default="y = x\n    y += 1\n    return y\n")
    command = [midfill_command(), "complete", f"{path}:2:5", "--model", model]
    answer = subprocess.run(
        ["bash", "-c", '"$@" | head -1', "bash", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == (b"y = x\n", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_disk(unbuffered: str) -> None:
    """Output that cannot be written is an error with a reason, not a traceback."""
    with open("/dev/full", "wb") as full:
        answer = subprocess.run(
            [midfill_command(), "config", "--json"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        )
    assert answer.returncode == 1
    assert answer.stderr.startswith(b"midfill: The output cannot be written: No space left")


def test_closed_streams() -> None:
    """A parent that closed stdin and stdout does not make the command fail."""
    answer = subprocess.run(
        ["bash", "-c", '"$1" config <&- >&-', "bash", midfill_command()],
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, b"")


def test_output_in_a_poor_locale(tmp_path: Path) -> None:
    """A character that the output's encoding lacks is written as an escape."""
    path = tmp_path / "a.py"
    path.write_text("name = ")
    model = write_script(tmp_path, default='"é"')
    env = {"PYTHONIOENCODING": "ascii"}
    answer = run("complete", f"{path}:1:8", "--model", model, env=env)
    assert (answer.returncode, answer.stdout) == (0, b'"\\xe9"\n')


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130 and one line."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "check_context", interrupt)
    assert cli.main(["config"]) == 130
    assert capsys.readouterr().err == "midfill: interrupted\n"


def _modules(*arguments: str) -> tuple[int, set[str]]:
    """Exit code of a command, and what it imported."""
    answer = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORTED, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=True,
    )
    code, modules = json.loads(answer.stdout.splitlines()[-1])
    return code, {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], 0), (["--help"], 0), (["complete", "missing.py:1:1"], 2)],
)
def test_start_is_light(arguments: list[str], code: int) -> None:
    """Version, help and a refused file load nothing that is slow to import."""
    left, modules = _modules(*arguments)
    assert left == code
    assert modules.isdisjoint(_SLOW_MODULES)


def test_completion_loads_what_it_needs(tmp_path: Path) -> None:
    """A completion needs neither LSP types nor rich output nor llama.cpp in this process."""
    path = tmp_path / "a.py"
    path.write_text("x = ")
    model = write_script(tmp_path, default="1")
    code, modules = _modules("complete", f"{path}:1:5", "--model", model)
    assert code == 0
    assert "tree_sitter" in modules
    assert modules.isdisjoint({"huggingface_hub", "llama_cpp", "lsprotocol", "pygls", "rich"})
