"""The corpus of fresh lines: fetched by pip, unpacked once, and compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchmarks.corpus import fresh
from benchmarks.corpus.fresh import Package, fingerprint, fresh_lines
from lsp_server.errors import FetchError, MidfillError, StoreError
from tests.benchmarks.corpora import NEW, OLD, write_wheel

SHELF = Package(name="shelf", old="1.0", new="2.0")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all pip can reach."""
    folder = tmp_path / "index"
    write_wheel(folder, "1.0", OLD)
    write_wheel(folder, "2.0", NEW)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def copying(index: Path, calls: list[str]) -> fresh.PipRunner:
    """A quick stand-in for pip that notes what it is asked for."""

    def run_pip(requirement: str, folder: Path, on_poll: Callable[[], None]) -> None:
        calls.append(requirement)
        (wheel,) = index.glob(requirement.replace("==", "-") + "-*.whl")
        shutil.copy(wheel, folder)

    return run_pip


def test_built_by_pip(index: Path, tmp_path: Path) -> None:
    """pip fetches both releases under the user's settings; only lines that are new are targets.

    A line that stood anywhere in the old release is not new, even in a new file.
    """
    folder = tmp_path / "corpus"
    said: list[str] = []
    (project,) = fresh_lines(folder, progress=said.append, packages=[SHELF])
    assert project.name == "shelf 2.0"
    assert project.cluster == "shelf"
    assert (project.root / "shelf/lend.py").read_text() == NEW["shelf/lend.py"]
    assert not list(project.root.glob("*.dist-info"))
    found = [(target.path, target.lines, target.new_file) for target in project.targets]
    assert found == [("shelf/books.py", (6,), False), ("shelf/lend.py", (0, 2), True)]
    assert said == ["fetching shelf==1.0", "fetching shelf==2.0"]


def test_built_once(index: Path, tmp_path: Path) -> None:
    """A corpus that is there is used as it is, without pip, and has the same fingerprint."""
    calls: list[str] = []
    folder = tmp_path / "corpus"
    first = fresh_lines(folder, packages=[SHELF], run_pip=copying(index, calls))
    again = fresh_lines(folder, packages=[SHELF], run_pip=copying(index, calls))
    assert calls == ["shelf==1.0", "shelf==2.0"]
    assert first == again
    assert fingerprint(first) == fingerprint(again)


def test_fingerprint_follows_the_files(index: Path, tmp_path: Path) -> None:
    """The fingerprint changes with a file that has targets."""
    projects = fresh_lines(tmp_path / "corpus", packages=[SHELF], run_pip=copying(index, []))
    before = fingerprint(projects)
    with (projects[0].root / "shelf/books.py").open("a") as file:
        file.write("# one more line\n")
    assert fingerprint(projects) != before


def test_interrupted_build_is_made_again(index: Path, tmp_path: Path) -> None:
    """What an interrupted build left is replaced; what it finished is kept."""
    folder = tmp_path / "corpus"
    calls: list[str] = []
    working = copying(index, calls)

    def interrupted(requirement: str, place: Path, on_poll: Callable[[], None]) -> None:
        if requirement.endswith("2.0"):
            raise KeyboardInterrupt
        working(requirement, place, on_poll)

    with pytest.raises(KeyboardInterrupt):
        fresh_lines(folder, packages=[SHELF], run_pip=interrupted)
    assert [path.name for path in folder.iterdir()] == ["shelf-1.0"]
    half = folder / "shelf-2.0" / "src" / "shelf"
    half.mkdir(parents=True)
    (half / "stale.py").write_text("stale = compute()\n")
    (project,) = fresh_lines(folder, packages=[SHELF], run_pip=working)
    assert calls == ["shelf==1.0", "shelf==2.0"]
    assert not (project.root / "shelf/stale.py").exists()


@pytest.mark.parametrize("marker", [b"", b"{}", b'{"layout": 0}', b"\xff"])
def test_unknown_marker(index: Path, tmp_path: Path, marker: bytes) -> None:
    """A release with a marker of another kind is fetched again."""
    folder = tmp_path / "corpus"
    calls: list[str] = []
    fresh_lines(folder, packages=[SHELF], run_pip=copying(index, calls))
    (folder / "shelf-2.0" / "release.json").write_bytes(marker)
    fresh_lines(folder, packages=[SHELF], run_pip=copying(index, calls))
    assert calls == ["shelf==1.0", "shelf==2.0", "shelf==2.0"]


def test_another_process_was_faster(index: Path, tmp_path: Path) -> None:
    """A release that another process put there meanwhile is used."""
    folder = tmp_path / "corpus"
    plain = copying(index, [])

    def slow(requirement: str, place: Path, on_poll: Callable[[], None]) -> None:
        plain(requirement, place, on_poll)
        fresh_lines(folder, packages=[SHELF], run_pip=plain)

    (project,) = fresh_lines(folder, packages=[SHELF], run_pip=slow)
    assert len(project.targets) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["shelf-1.0", "shelf-2.0"]


@pytest.mark.parametrize(
    "name", ["../outside.py", "/outside.py", "shelf/../../outside.py", "shelf\\..\\outside.py"]
)
def test_names_that_point_outside(tmp_path: Path, name: str) -> None:
    """A wheel that would write elsewhere is refused, and nothing of it stays."""
    index = tmp_path / "index"
    write_wheel(index, "1.0", {**OLD, name: "bad = True\n"})
    with pytest.raises(FetchError) as raised:
        fresh_lines(tmp_path / "corpus", packages=[SHELF], run_pip=copying(index, []))
    assert raised.value.code == "wheel_invalid"
    assert not list(tmp_path.rglob("outside.py"))
    assert not list((tmp_path / "corpus").iterdir())


@pytest.mark.parametrize("damage", [b"", b"no archive", None], ids=["empty", "text", "bit"])
def test_damaged_wheel(index: Path, tmp_path: Path, damage: bytes | None) -> None:
    """A damaged wheel is an error that says what to do."""
    wheel = index / "shelf-1.0-py3-none-any.whl"
    if damage is None:
        damage = wheel.read_bytes().replace(b"class Book", b"class Cook")
    wheel.write_bytes(damage)
    with pytest.raises(FetchError) as raised:
        fresh_lines(tmp_path / "corpus", packages=[SHELF], run_pip=copying(index, []))
    assert raised.value.code == "wheel_invalid"
    assert "pip config list" in raised.value.hint


def test_version_that_the_index_lacks(index: Path, tmp_path: Path) -> None:
    """An index without the pinned version is told apart from no index."""
    package = msgspec.structs.replace(SHELF, new="3.0")
    with pytest.raises(FetchError) as raised:
        fresh_lines(tmp_path / "corpus", packages=[package])
    assert raised.value.code == "version_not_found"
    assert "shelf==3.0" in raised.value.message


def test_no_network(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any index the error shows pip's last line and how to do without one."""
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(FetchError) as raised:
        fresh_lines(tmp_path / "corpus", packages=[SHELF])
    assert raised.value.code == "no_network"
    assert "No matching distribution found for shelf==1.0" in raised.value.message
    assert "--corpus" in raised.value.hint


def test_no_pip(tmp_path: Path) -> None:
    """Without pip the hint says how to get it, and nothing about models."""

    def no_pip(requirement: str, folder: Path, on_poll: Callable[[], None]) -> None:
        raise FetchError("There is no pip.", code="pip_missing", hint="midfill model fetch")

    with pytest.raises(FetchError) as raised:
        fresh_lines(tmp_path / "corpus", packages=[SHELF], run_pip=no_pip)
    assert raised.value.code == "pip_missing"
    assert "ensurepip" in raised.value.hint
    assert "model" not in raised.value.hint


def test_other_failures_of_pip_keep_their_code(tmp_path: Path) -> None:
    """A full disk is reported as such."""

    def full(requirement: str, folder: Path, on_poll: Callable[[], None]) -> None:
        raise FetchError("The disk is full.", code="disk_full", hint="Free some space.")

    with pytest.raises(FetchError) as raised:
        fresh_lines(tmp_path / "corpus", packages=[SHELF], run_pip=full)
    assert raised.value.code == "disk_full"


def test_nothing_downloaded(tmp_path: Path) -> None:
    """pip that ends well without a wheel is an error."""
    with pytest.raises(FetchError) as raised:
        fresh_lines(tmp_path / "corpus", packages=[SHELF], run_pip=lambda *_: None)
    assert raised.value.code == "download_failed"


def test_folder_that_cannot_be_used(index: Path, tmp_path: Path) -> None:
    """A file in the place of the folder is a clear error."""
    place = tmp_path / "corpus"
    place.write_text("in the way")
    with pytest.raises(StoreError) as raised:
        fresh_lines(place, packages=[SHELF], run_pip=copying(index, []))
    error: MidfillError = raised.value
    assert error.code == "corpus_unusable"
    assert str(place) in error.message
    assert "--corpus" in error.hint


def test_pinned_packages() -> None:
    """The public corpus has seven projects, each with two exact and different versions."""
    assert len({package.name for package in fresh.PACKAGES}) == 7
    for package in fresh.PACKAGES:
        assert package.old != package.new
        assert all(part.isdigit() for part in f"{package.old}.{package.new}".split("."))
