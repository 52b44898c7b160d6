"""Results files that an interrupted run goes on with."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.records import RunFile, read_run
from lsp_server.errors import StoreError, UsageError
from tests.benchmarks.makers import made_up_run


class Guess(msgspec.Struct, frozen=True):
    """A record."""

    key: str
    right: bool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A results file in a folder that is not there yet."""
    return tmp_path / "runs" / "guesses.jsonl"


def test_run_goes_on(path: Path) -> None:
    """A second start with the same settings finds every record of the first."""
    first = RunFile(path, made_up_run(), Guess)
    first.append(Guess("a", True))
    first.append(Guess("b", False))
    second = RunFile(path, made_up_run(started="2031-02-04T00:00:00+00:00"), Guess)
    assert second.records == {"a": Guess("a", True), "b": Guess("b", False)}
    second.append(Guess("c", True))
    run, records = read_run(path, Guess)
    assert run == made_up_run()
    assert [record.key for record in records] == ["a", "b", "c"]


def test_torn_last_line(path: Path) -> None:
    """A record that was cut off while it was written is measured again."""
    file = RunFile(path, made_up_run(), Guess)
    file.append(Guess("a", True))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key":"b","ri')
    assert [record.key for record in read_run(path, Guess)[1]] == ["a"]
    again = RunFile(path, made_up_run(), Guess)
    assert list(again.records) == ["a"]
    assert path.read_bytes() == whole
    again.append(Guess("b", True))
    assert list(RunFile(path, made_up_run(), Guess).records) == ["a", "b"]


def test_empty_file_is_a_new_run(path: Path) -> None:
    """A file that was made but never written to is used."""
    path.parent.mkdir()
    path.touch()
    RunFile(path, made_up_run(), Guess).append(Guess("a", True))
    assert len(read_run(path, Guess)[1]) == 1


def test_other_run_is_refused(path: Path) -> None:
    """Records of another run are not mixed in; the error names what differs."""
    RunFile(path, made_up_run(), Guess).append(Guess("a", True))
    other = made_up_run(options={"limit": 50, "modes": ["full", "empty"], "seed": 7}, code="ffff")
    with pytest.raises(UsageError) as raised:
        RunFile(path, other, Guess)
    assert raised.value.code == "other_run"
    assert "limit 40 instead of 50" in str(raised.value)
    assert "code 0123456789ab instead of ffff" in str(raised.value)
    assert "modes" not in str(raised.value)
    assert "seed" not in str(raised.value)


def test_commit_machine_and_time_may_differ(path: Path) -> None:
    """Committing or rebooting between two halves of a run does not lose the first half."""
    RunFile(path, made_up_run(), Guess).append(Guess("a", True))
    busy = msgspec.structs.replace(made_up_run().machine, load_1min=3.0)
    later = made_up_run(commit="0" * 12, machine=busy, started="2031-03-01T00:00:00+00:00")
    assert list(RunFile(path, later, Guess).records) == ["a"]


def test_restart_gives_up_the_earlier_run(path: Path) -> None:
    """With restart even another run's file is begun anew."""
    RunFile(path, made_up_run(), Guess).append(Guess("a", True))
    file = RunFile(path, made_up_run(code="ffff"), Guess, restart=True)
    assert file.records == {}
    assert read_run(path, Guess) == (made_up_run(code="ffff"), [])


@pytest.mark.parametrize("content", [b"hello\n", b'{"key":"a","right":true}\n', b"\xff\xfe\n"])
def test_something_else_is_left_alone(path: Path, content: bytes) -> None:
    """A file that is no results file is neither used nor changed."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        RunFile(path, made_up_run(), Guess)
    assert raised.value.code == "not_a_run"
    with pytest.raises(UsageError):
        read_run(path, Guess)
    assert path.read_bytes() == content


def test_unusable_path(tmp_path: Path) -> None:
    """A folder in the file's place is a clear error."""
    with pytest.raises(StoreError) as raised:
        RunFile(tmp_path, made_up_run(), Guess)
    assert raised.value.code == "results_unusable"
    assert str(tmp_path) in str(raised.value)


def test_reading_without_a_file(path: Path) -> None:
    """Reading a run that was never made says so."""
    with pytest.raises(UsageError) as raised:
        read_run(path, Guess)
    assert raised.value.code == "no_run"
