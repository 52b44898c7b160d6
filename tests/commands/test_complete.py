"""``midfill complete``: positions, refusals, output for people, pipes and programs."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server import cli
from lsp_server.commands import complete
from lsp_server.errors import UsageError
from lsp_server.types import Completion
from tests.commands.runner import run, write_script
from tests.conftest import midfill_command

Invoke = Callable[..., tuple[int, str, str]]

_SOURCE = 'def add(a, b):\n    """The sum."""\n    return \n'
_HOLE = "3:12"
_TIMEOUT_S = 60


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with a hole at line 3, column 12."""
    path = tmp_path / "add.py"
    path.write_text(_SOURCE)
    return path


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Runs ``midfill complete`` in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["complete", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


# -- FILE:LINE:COL -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.py:1:2", ("a.py", 1, 2)),
        ("a:b.py:10:20", ("a:b.py", 10, 20)),
        ("a:1:2:3:4", ("a:1:2", 3, 4)),
        ("folder/with space/ä.py:007:1", ("folder/with space/ä.py", 7, 1)),
        ("a.py:0:0", ("a.py", 0, 0)),
        ("line\nbreak:1:1", ("line\nbreak", 1, 1)),
    ],
)
def test_position_is_taken_from_the_end(text: str, expected: tuple[str, int, int]) -> None:
    """The last two numbers are line and column; all before them is the file, colons included."""
    path, line, column = complete.parse_position(text)
    assert (str(path), line, column) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.py",
        "a.py:1",
        "a.py:1:",
        ":1:1",
        "a.py:x:1",
        "a.py:1:-1",
        "a.py:1:1 ",
        "a.py:1:٣",
        "a.py:" + "1" * 5000 + ":1",
    ],
)
def test_bad_position(text: str) -> None:
    """Another form is refused with an example."""
    with pytest.raises(UsageError) as caught:
        complete.parse_position(text)
    assert caught.value.code == "bad_position"
    assert "app.py:12:5" in caught.value.hint


@pytest.mark.parametrize(
    ("position", "words"),
    [
        ("0:1", "has 4 lines; there is no line 0"),
        ("5:1", "has 4 lines; there is no line 5"),
        ("1:0", "column 0 is outside 1 to 15"),
        ("1:16", "has 14 characters; column 16 is outside 1 to 15"),
        ("4:2", "has 0 characters; column 2 is outside 1 to 1"),
        (f"{'9' * 18}:1", "there is no line"),
    ],
)
def test_position_outside_the_file(invoke: Invoke, source: Path, position: str, words: str) -> None:
    """A line or column that is not there is refused, and the message names what is."""
    code, out, err = invoke(f"{source}:{position}", "--json")
    assert code == 2
    assert json.loads(out)["error"] == "position_out_of_range"
    assert words in err


@pytest.mark.parametrize("position", ["1:1", "1:15", "3:12", "4:1"])
def test_position_inside_the_file(source: Path, position: str) -> None:
    """First and last column, and the empty line behind the last line end, are places."""
    line, column = map(int, position.split(":"))
    request = complete._request(source, _SOURCE, line, column)
    assert (request.line, request.column) == (line - 1, column - 1)


# -- files that cannot be completed ------------------------------------------------------


def _missing(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _binary(path: Path) -> None:
    path.write_bytes(b"\x7fELF\0\0")


def _latin1(path: Path) -> None:
    path.write_bytes("é".encode("latin-1"))


def _large(path: Path) -> None:
    path.write_bytes(b"x = 1\n" * (20 * 2**20 // 6))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_missing, "file_unreadable", "No such file or directory"),
        (_folder, "file_unreadable", "is a folder"),
        (_pipe, "file_unreadable", "is not a regular file"),
        (_binary, "file_binary", "is a binary file"),
        (_latin1, "file_not_utf8", "iconv -f latin1 -t utf-8"),
        (_large, "document_too_large", "files up to 4,194,304 bytes are completed"),
    ],
)
def test_unfit_file(
    invoke: Invoke, source: Path, spoil: Callable[[Path], None], error: str, words: str
) -> None:
    """A file that cannot be completed is refused with its reason before any engine starts."""
    spoil(source)
    code, out, err = invoke(f"{source}:1:1", "--json")
    assert code == 2
    assert json.loads(out)["error"] == error
    assert words in err
    assert "Traceback" not in err


def test_unreadable_file(invoke: Invoke, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file the user may not read is refused, and the message says to look at permissions."""

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    code, _, err = invoke(f"{source}:1:1")
    assert code == 2
    assert f"{source} cannot be read: Permission denied. Check the name and the permissions" in err


def test_size_limit_is_a_setting(invoke: Invoke, source: Path) -> None:
    """``completion.max_document_bytes`` of the command line decides what is too large."""
    limit = "completion.max_document_bytes=10"
    code, out, _ = invoke(f"{source}:1:1", "--json", "--set", limit)
    assert code == 2
    assert json.loads(out)["error"] == "document_too_large"


# -- text forms --------------------------------------------------------------------------


def test_crlf_file(tmp_path: Path) -> None:
    """The suggestion for a CRLF file has CRLF line ends; columns do not count them."""
    path = tmp_path / "crlf.py"
    path.write_bytes(b"def first(items):\r\n    ")
    reply = {"after": "def first(items):\n    ", "text": "item = items[0]\n    return item\n"}
    model = write_script(tmp_path, reply)
    answer = run("complete", f"{path}:2:5", "--model", model)
    assert answer.stdout == b"item = items[0]\r\n    return item\n"
    assert answer.returncode == 0
    beyond = run("complete", f"{path}:1:19", "--model", model)
    assert beyond.returncode == 2
    assert b"has 17 characters" in beyond.stderr


def test_bom_is_no_character(tmp_path: Path) -> None:
    """A byte order mark is no part of the first line."""
    path = tmp_path / "bom.py"
    path.write_bytes(b"\xef\xbb\xbfx = ")
    model = write_script(tmp_path, {"after": "x = ", "text": "1"})
    assert run("complete", f"{path}:1:5", "--model", model).stdout == b"1\n"
    assert run("complete", f"{path}:1:6", "--model", model).returncode == 2


def test_columns_count_characters(tmp_path: Path) -> None:
    """A column is a code point, whatever its size in UTF-8 or UTF-16."""
    path = tmp_path / "wide.py"
    path.write_text('name = "ä😀"; x = ', "utf-8")
    model = write_script(tmp_path, {"after": '"ä😀"; x = ', "text": "name"})
    assert run("complete", f"{path}:1:18", "--model", model).stdout == b"name\n"


def test_empty_file(tmp_path: Path) -> None:
    """An empty file has one place, 1:1."""
    path = tmp_path / "empty.py"
    path.write_bytes(b"")
    model = write_script(tmp_path, default="import os")
    assert run("complete", f"{path}:1:1", "--model", model).stdout == b"import os\n"
    assert b"has 1 line; there is no line 2" in run("complete", f"{path}:2:1").stderr


# -- output ------------------------------------------------------------------------------


def test_json(tmp_path: Path, source: Path) -> None:
    """--json prints one object, with places counted from 1."""
    model = write_script(tmp_path, {"after": "return ", "text": "a + b"})
    answer = run("complete", f"{source}:{_HOLE}", "--model", model, "--json")
    record = json.loads(answer.stdout)
    assert answer.returncode == 0
    assert (record["text"], record["line"], record["column"]) == ("a + b", 3, 12)
    assert (record["model"], record["complete"], record["finish_reason"]) == (
        "scripted",
        True,
        "stop",
    )
    assert record["timings"]["n_generated"] > 0
    assert "explain" not in record
    assert answer.stderr == b""


def test_json_explain(tmp_path: Path, source: Path) -> None:
    """--explain --json adds snippets, prompt and raw text to the object."""
    model = write_script(tmp_path, {"after": "return ", "text": "a + b"})
    answer = run("complete", f"{source}:{_HOLE}", "--model", model, "--json", "--explain")
    explain = json.loads(answer.stdout)["explain"]
    assert explain["raw"] == "a + b"
    assert explain["context"]["prefix"][-1]["origin"] == "before_cursor"
    assert len(explain["segment_tokens"]) == len(explain["prompt"]["segments"])


def test_explain(tmp_path: Path, source: Path) -> None:
    """--explain lists snippets with origin and the figures on stderr; stdout stays clean."""
    long_line = f"names = [{', '.join(f'name_{number}' for number in range(40))}]  # [bold] [/]"
    source.write_text(f"{long_line}\n\n\n{_SOURCE}")
    model = write_script(tmp_path, {"after": "return ", "text": "a + b"})
    answer = run("complete", f"{source}:6:12", "--model", model, "--explain")
    assert answer.stdout == b"a + b\n"
    lines = answer.stderr.decode().splitlines()
    assert long_line in lines
    assert any(line.startswith("── prefix: before_cursor (bytes ") for line in lines)
    assert any(line.startswith("── suffix: after_cursor (bytes ") for line in lines)
    figures = {line[:11].strip(): line for line in lines[lines.index("── figures ──") + 1 :]}
    assert {"model", "cursor", "prompt", "reused", "generated", "prefill", "total"} <= set(figures)
    assert "fim_prefix" in figures["prompt"]
    assert "in code, add, " in figures["cursor"]


@pytest.mark.parametrize("explain", [[], ["--explain"]])
def test_nothing_to_add(tmp_path: Path, source: Path, explain: list[str]) -> None:
    """Where the model adds nothing the exit code is 1, and stderr has the reason."""
    model = write_script(tmp_path, default="")
    answer = run("complete", f"{source}:{_HOLE}", "--model", model, *explain)
    last = answer.stderr.decode().splitlines()[-1]
    assert answer.returncode == 1
    assert answer.stdout == b""
    assert last == ("midfill: no suggestion: The model has nothing to add here. (model_stopped)")
    assert (b"before_cursor" in answer.stderr) == bool(explain)


def test_nothing_to_add_as_json(tmp_path: Path, source: Path) -> None:
    """Programs get the reason as a code."""
    model = write_script(tmp_path, default="")
    answer = run("complete", f"{source}:{_HOLE}", "--model", model, "--json")
    assert answer.returncode == 1
    record = json.loads(answer.stdout)
    assert (record["text"], record["reason"]) == ("", "model_stopped")


def test_switched_off(tmp_path: Path, source: Path) -> None:
    """A language that is switched off is named."""
    model = write_script(tmp_path, default="a + b")
    off = 'completion.disabled_languages=["python"]'
    answer = run("complete", f"{source}:{_HOLE}", "--model", model, "--set", off)
    assert answer.returncode == 1
    assert b"no suggestion: Switched off for python. (language_disabled)" in answer.stderr


def test_no_model(invoke: Invoke, source: Path) -> None:
    """Without a model the message names the command that fetches one."""
    code, out, err = invoke(f"{source}:{_HOLE}")
    assert (code, out) == (1, "")
    assert "Run: midfill model fetch" in err
    code, out, _ = invoke(f"{source}:{_HOLE}", "--json")
    assert code == 1
    assert json.loads(out)["reason"] == "model_not_fetched"


def test_unknown_model(invoke: Invoke, source: Path) -> None:
    """A model that is in no catalog is refused with its name."""
    code, _, err = invoke(f"{source}:{_HOLE}", "--model", "0.6b")
    assert code == 1
    assert "0.6b" in err
    assert "(model_unknown)" in err


def test_fetch_takes_the_model_that_is_missing(
    invoke: Invoke, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--fetch fetches exactly the model the settings ask for, once the file is known to be fit."""
    from lsp_server.commands import model

    fetched: list[str] = []
    monkeypatch.setattr(model, "fetch", fetched.append)
    invoke(f"{source}:{_HOLE}", "--fetch")
    invoke(f"{source}:{_HOLE}", "--fetch", "--model", "1.5b-base-q8")
    assert fetched == ["auto", "1.5b-base-q8"]
    assert invoke(f"{source}:99:1", "--fetch")[0] == 2
    assert invoke(f"{source}:{_HOLE}", "--fetch", "--model", "missing.gguf")[0] == 1
    assert len(fetched) == 2


# -- options -----------------------------------------------------------------------------


def test_set_overrides(tmp_path: Path, source: Path) -> None:
    """--set reaches the completion."""
    source.write_text("def add(a, b):\n    ")
    model = write_script(tmp_path, default="c = a\n    c += b\n    return c\n")
    whole = run("complete", f"{source}:2:5", "--set", f"model.id={model}")
    assert whole.stdout.count(b"\n") == 3
    one = run("complete", f"{source}:2:5", "--model", model, "--set", "completion.max_lines=1")
    assert one.stdout == b"c = a\n"


@pytest.mark.parametrize("assignment", ["", "=", "x", "x=1", "completion.=1", ".max_lines=1"])
def test_malformed_set(invoke: Invoke, source: Path, assignment: str) -> None:
    """What is not SECTION.NAME=VALUE is refused with an example."""
    code, out, err = invoke(f"{source}:{_HOLE}", "--json", "--set", assignment)
    assert code == 2
    assert json.loads(out)["error"] == "bad_setting"
    assert "--set completion.max_lines=4" in err


def test_set_of_a_bad_value_is_told(tmp_path: Path, source: Path) -> None:
    """A value that does not fit is named on stderr, and the completion is made without it."""
    model = write_script(tmp_path, default="a + b")
    assignments = ("--set", "completion.max_lines=many", "--set", "completion.maxlines=1")
    answer = run("complete", f"{source}:{_HOLE}", "--model", model, *assignments)
    assert answer.stdout == b"a + b\n"
    assert b"'completion.max_lines' is not used: Expected `int`, got `str`." in answer.stderr
    assert b"Did you mean 'completion.max_lines'?" in answer.stderr


# -- terminals and pipes -----------------------------------------------------------------


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [midfill_command(), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # A job in the background ignores SIGINT and hands that on; a terminal's command
            # does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(slave)
        self.seen = b""

    def read_until(self, wanted: bytes | None) -> None:
        """Read until some bytes came, or (None) until the command closed the terminal."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        while wanted is None or wanted not in self.seen:
            ready, _, _ = select.select([self._master], [], [], deadline_s - time.monotonic())
            assert ready, f"{wanted!r} did not come: {self.seen!r}"
            try:
                data = os.read(self._master, 4096)
            except OSError:  # Linux: the other end is closed
                data = b""
            if not data:
                assert wanted is None, f"{wanted!r} did not come: {self.seen!r}"
                return
            self.seen += data

    def close(self) -> None:
        """End the command if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(_TIMEOUT_S)
        os.close(self._master)


def test_terminal_sees_the_text_grow(tmp_path: Path, source: Path) -> None:
    """On a terminal text appears before the model is done; Ctrl-C then ends with code 130."""
    reply: dict[str, Any] = {"after": "return ", "pieces": ["a", " + b"], "hang": True}
    model = write_script(tmp_path, reply)
    terminal = Terminal("complete", f"{source}:{_HOLE}", "--model", model)
    try:
        terminal.read_until(b"a + b")
        assert terminal.process.poll() is None
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until(None)
        assert terminal.process.wait(_TIMEOUT_S) == 130
        assert b"midfill: interrupted" in terminal.seen
        assert b"Traceback" not in terminal.seen
    finally:
        terminal.close()


def test_terminal_gets_the_text_once(tmp_path: Path, source: Path) -> None:
    """What was streamed is not written again at the end."""
    reply = {"after": "return ", "pieces": ["a", " +", " b"], "interval_ms": 1}
    model = write_script(tmp_path, reply)
    terminal = Terminal("complete", f"{source}:{_HOLE}", "--model", model)
    try:
        terminal.read_until(None)
        assert terminal.process.wait(_TIMEOUT_S) == 0
        assert terminal.seen.endswith(b"a + b\r\n")
        assert terminal.seen.count(b"a +") == 1
    finally:
        terminal.close()


def test_pipe_gets_only_the_whole_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal partial text is held back."""
    printer = complete._Printer(silent=False)
    whole = Completion(id="1", text="a + b", line=0, column=0)
    printer.partial(Completion(id="1", text="a", line=0, column=0))
    printer.partial(Completion(id="1", text="a +", line=0, column=0))
    assert capsys.readouterr().out == ""
    printer.final(whole)
    assert capsys.readouterr().out == "a + b\n"


def test_text_that_was_taken_back_is_written_anew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the end differs from what a terminal shows, the whole text follows on its own line."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    printer = complete._Printer(silent=False)
    printer.partial(Completion(id="1", text="f(x", line=0, column=0))
    printer.final(Completion(id="1", text="f()", line=0, column=0))
    assert capsys.readouterr().out == "f(x\nf()\n"


def test_terminal_shows_lines_as_they_will_stand(tmp_path: Path) -> None:
    """On a terminal the first line gets the indent that the file has before the cursor already."""
    path = tmp_path / "body.py"
    path.write_text("def f():\n    \n")
    reply = {"after": "    ", "pieces": ["a = 1", "\n    return a"], "interval_ms": 1}
    terminal = Terminal("complete", f"{path}:2:5", "--model", write_script(tmp_path, reply))
    try:
        terminal.read_until(None)
        assert terminal.process.wait(_TIMEOUT_S) == 0
        assert terminal.seen.endswith(b"    a = 1\r\n    return a\r\n")
    finally:
        terminal.close()
