"""Typing sessions: reading, replaying, and where an editor makes its requests."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from benchmarks.latency import drawing, session
from benchmarks.latency.session import Edit, Header, Move, Open, Session
from lsp_server.errors import UsageError


def typed(text: str, *gaps_ms: float, line: int = 0, column: int = 0) -> list[Edit]:
    """One edit a character, on one line."""
    return [
        Edit(
            gap_ms=gap_ms,
            line=line,
            column=column + place,
            end_line=line,
            end_column=column + place,
            text=character,
        )
        for place, (character, gap_ms) in enumerate(zip(text, gaps_ms, strict=True))
    ]


def session_of(*events: session.Event, **files: str) -> Session:
    """A session over files named ``NAME.py``."""
    header = Header(name="test", note="", files={f"{n}.py": text for n, text in files.items()})
    return Session(header=header, events=events)


def test_a_session_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What ``dump`` writes, ``load`` reads back, with a hash of the file."""
    written = session_of(Open(gap_ms=0, path="a.py"), *typed("xy", 5, 80), a="\n")
    path = tmp_path / "session.jsonl"
    path.write_bytes(session.dump(written))
    read = session.load(path)
    assert (read.header, read.events) == (written.header, written.events)
    assert len(read.sha256) == 64


def test_an_edit_moves_the_cursor_to_the_end_of_its_text() -> None:
    """Over line breaks too, and with other text left and right of it."""
    edit = Edit(gap_ms=0, line=0, column=1, end_line=1, end_column=1, text="1\n22")
    *_, (_, moment) = session.replay(session_of(Open(gap_ms=0, path="a.py"), edit, a="ab\ncd\n"))
    assert moment.text == "a1\n22d\n"
    assert (moment.line, moment.column) == (1, 2)
    assert (moment.before, moment.after) == ("a1\n22", "d\n")


def test_each_file_keeps_its_cursor() -> None:
    """Going back to a file finds the cursor where it was left."""
    events: tuple[session.Event, ...] = (
        *(Open(gap_ms=0, path="a.py"), Move(gap_ms=0, line=0, column=2)),
        *(Open(gap_ms=0, path="b.py"), Open(gap_ms=0, path="a.py")),
    )
    cursors = [(m.path, m.column) for _, m in session.replay(session_of(*events, a="abc", b=""))]
    assert cursors == [("a.py", 0), ("a.py", 2), ("b.py", 0), ("a.py", 2)]


def test_a_request_follows_an_edit_and_a_pause() -> None:
    """Shorter gaps make none, and the end of the session is a pause."""
    events: tuple[session.Event, ...] = (Open(gap_ms=0, path="a.py"), *typed("abc", 10, 100, 300))
    steps = session.steps(session_of(*events, a=""), 300)
    assert [step.moment.text for step in steps] == ["ab", "abc"]
    assert [step.available_ms for step in steps] == [300, math.inf]
    assert [len(step.events) for step in steps] == [3, 1]


def test_every_key_makes_a_request_when_asked_for() -> None:
    """Whatever the gaps are; a request has until the next key."""
    events: tuple[session.Event, ...] = (Open(gap_ms=0, path="a.py"), *typed("abc", 10, 100, 90))
    steps = session.steps(session_of(*events, a=""), 300, every_key=True)
    assert [step.moment.text for step in steps] == ["a", "ab", "abc"]
    assert [step.available_ms for step in steps] == [100, 90, math.inf]


def test_a_request_is_cold_after_opening_and_a_jump_after_moving() -> None:
    """Typing on is warm, and a file that was open before is a jump."""
    events: list[session.Event] = [Open(gap_ms=0, path="a.py"), *typed("ab", 9, 900)]
    events += [Move(gap_ms=900, line=0, column=0), *typed("c", 9)]
    events += [Open(gap_ms=900, path="b.py"), *typed("d", 9)]
    events += [Open(gap_ms=900, path="a.py"), *typed("e", 9)]
    steps = session.steps(session_of(*events, a="", b=""), 300)
    assert [step.kind for step in steps] == ["cold", "warm", "jump", "cold", "jump"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"", "no typing session"),
        (b"nothing\n", "no typing session"),
        (b'{"name":"n","note":"","files":{}}\n{"type":"open","gap_ms":0,"path":"a"}\n', "no file"),
        (b'{"name":"n","note":"","files":{"a":""}}\n{"type":"move","gap_ms":0,"line":0,"column":0}\n',
         "no file is open"),
        (b'{"name":"n","note":"","files":{"a":""}}\n{"type":"open","gap_ms":0,"path":"a"}\n'
         b'{"type":"move","gap_ms":0,"line":3,"column":0}\n', "line 4"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_session_is_refused(tmp_path: Path, lines: bytes, words: str) -> None:
    """With a message that says what is wrong with it."""
    path = tmp_path / "session.jsonl"
    path.write_bytes(lines)
    with pytest.raises(UsageError, match=words) as refused:
        session.load(path)
    assert refused.value.code == "not_a_session"


def test_a_missing_session_is_an_error_with_its_path(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(UsageError, match=r"nowhere\.jsonl") as refused:
        session.load(tmp_path / "nowhere.jsonl")
    assert refused.value.code == "no_session"


def test_the_shipped_session_is_what_its_script_draws() -> None:
    """Drawing the script over the header's files gives the file byte for byte."""
    shipped = session.load(session.DEFAULT_FILE)
    script = drawing.read_script(session.DEFAULT_FILE.with_suffix(".toml"))
    again = drawing.draw(script, shipped.header.files)
    assert session.dump(again) == session.DEFAULT_FILE.read_bytes()


def test_the_shipped_session_has_all_that_typing_is() -> None:
    """Three files, deletions, edits inside lines, jumps, keys of 80 to 300 ms, and it compiles."""
    shipped = session.load(session.DEFAULT_FILE)
    final = {moment.path: moment.text for _, moment in session.replay(shipped)}
    assert len(final) == 3
    for path, text in final.items():
        compile(text, path, "exec")
    edits = [event for event in shipped.events if isinstance(event, Edit)]
    assert any(not edit.text for edit in edits)
    assert any(edit.end_line > edit.line for edit in edits)
    kinds = [step.kind for step in session.steps(shipped, 300)]
    assert kinds.count("cold") == 3
    assert min(kinds.count("jump"), kinds.count("warm")) >= 5
    within_words = [e.gap_ms for e in edits if e.text.isalpha()]
    assert min(within_words) >= 80


def test_a_script_that_names_no_line_is_refused() -> None:
    """The text that no line holds is named."""
    script = msgspec.convert(
        {"name": "n", "seed": 1, "files": ["a"], "actions": [{"open": "a"}, {"after": "absent"}]},
        drawing.Script,
    )
    with pytest.raises(ValueError, match="absent"):
        drawing.draw(script, {"a": "present\n"})
