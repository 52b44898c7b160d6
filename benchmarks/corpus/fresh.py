"""The public corpus of fresh lines: code that is newer than the models.

A fresh line stands in a project's new release and nowhere in its release of mid-2024, which is
before the cutoff of the models. Both releases come from the package index through pip, at pinned
versions; the wheels are only unpacked, never installed or imported.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from benchmarks import options
from benchmarks.corpus.lines import code_file, split_lines, targets_of
from benchmarks.replay.types import Project, Target
from lsp_server.errors import FetchError, StoreError
from lsp_server.models.index import pip_download

# Downloads the wheel of one requirement into a folder, calling back now and then.
PipRunner = Callable[[str, Path, Callable[[], None]], None]

_LAYOUT = 1
_MARKER = "release.json"
_SOURCE = "src"
_MAX_UNPACKED_BYTES = 64 * 2**20
_NETWORK_SIGNS = (
    "from versions: none",
    "Retrying (",
    "Connection",
    "Temporary failure in name resolution",
)


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A project of the corpus: its name on the package index and two of its versions."""

    name: str
    old: str
    new: str


PACKAGES = (
    Package(name="anyio", old="4.4.0", new="4.16.0"),
    Package(name="click", old="8.1.7", new="8.5.1"),
    Package(name="packaging", old="24.1", new="26.3"),
    Package(name="starlette", old="0.38.2", new="1.10.0"),
    Package(name="platformdirs", old="4.2.2", new="4.14.7"),
    Package(name="structlog", old="24.4.0", new="26.1.0"),
    Package(name="more-itertools", old="10.4.0", new="11.2.1"),
)


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What was unpacked; written beside the files, last.

    Args:
        layout: version of how the folder is laid out.
        requirement: ``name==version``.
        wheel: name of the wheel.
        sha256: of the wheel.
    """

    layout: int
    requirement: str
    wheel: str
    sha256: str


def add_corpus_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--corpus``; see ``corpus_folder``."""
    parser.add_argument(
        "--corpus",
        type=Path,
        metavar="FOLDER",
        help="Folder of the fresh-lines corpus; it is built there when it is missing, which needs "
        "a package index (default: in the cache).",
    )


def corpus_folder(args: argparse.Namespace) -> Path:
    """``--corpus``, or the folder in the cache."""
    chosen: Path | None = args.corpus
    return options.cache_folder("fresh-lines") if chosen is None else chosen.expanduser().absolute()


def fresh_lines(
    folder: Path,
    *,
    progress: Callable[[str], None] = lambda _: None,
    packages: Sequence[Package] | None = None,
    run_pip: PipRunner = pip_download,
) -> list[Project]:
    """The corpus; what is missing of it is fetched first.

    Args:
        folder: where the releases lie. One that is there is used without a network.
        progress: called with what is being done.
        packages: the projects; None for those of the public corpus.
        run_pip: fetches a wheel.

    Raises:
        FetchError: ``pip_missing``, ``no_network``, ``version_not_found``, ``download_failed``,
            ``disk_full`` or ``wheel_invalid``.
        StoreError: ``corpus_unusable``, the folder cannot be read or written.
    """
    projects = []
    try:
        for package in PACKAGES if packages is None else packages:
            old, new = (
                _release(folder, f"{package.name}=={version}", progress, run_pip)
                for version in (package.old, package.new)
            )
            projects.append(_project(package, old, new))
    except OSError as error:
        raise StoreError(
            f"The corpus folder {folder} cannot be used: {error.strerror or error}.",
            code="corpus_unusable",
            hint="Check its permissions and the free space, or choose another folder with "
            "--corpus.",
        ) from error
    return projects


def fingerprint(projects: Sequence[Project]) -> str:
    """12 hex digits that change with the corpus' targets and with the files they stand in."""
    digest = hashlib.sha256()
    for project in projects:
        digest.update(msgspec.json.encode([project.name, project.targets]))
        for path in sorted({target.path for target in project.targets}):
            digest.update(hashlib.sha256((project.root / path).read_bytes()).digest())
    return digest.hexdigest()[:12]


def _project(package: Package, old: Path, new: Path) -> Project:
    known: set[str] = set()
    old_paths: set[str] = set()
    for path, data in _python_files(old):
        old_paths.add(path)
        text = data.decode("utf-8", "replace")
        known.update(line.strip() for line in split_lines(data) or text.splitlines())
    targets: list[Target] = []
    for path, data in _python_files(new):
        file = code_file(path, data)
        if file is not None:
            fresh = {at for at, line in enumerate(file.lines) if line.strip() not in known}
            targets += targets_of(file, fresh, new_file=path not in old_paths)
    return Project(
        name=f"{package.name} {package.new}",
        root=new,
        targets=tuple(targets),
        cluster=package.name,
    )


def _python_files(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root).as_posix(), path.read_bytes()


def _release(
    folder: Path, requirement: str, progress: Callable[[str], None], run_pip: PipRunner
) -> Path:
    """The folder of a release's files, fetched if it is not there."""
    place = folder / requirement.replace("==", "-")
    if not _is_whole(place, requirement):
        progress(f"fetching {requirement}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as building:
            _build(Path(building), requirement, run_pip)
            _put(Path(building) / "release", place, requirement)
    return place / _SOURCE


def _is_whole(place: Path, requirement: str) -> bool:
    try:
        marker = msgspec.json.decode((place / _MARKER).read_bytes(), type=Release)
    except (OSError, msgspec.MsgspecError):
        return False
    same = marker.layout == _LAYOUT and marker.requirement == requirement
    return same and (place / _SOURCE).is_dir()


def _put(release: Path, place: Path, requirement: str) -> None:
    """Move a release to its place, unless another process was faster."""
    if _is_whole(place, requirement):
        return
    if place.exists():
        shutil.rmtree(place)
    try:
        release.rename(place)
    except OSError:
        if not _is_whole(place, requirement):
            raise


def _build(folder: Path, requirement: str, run_pip: PipRunner) -> None:
    """Fetch and unpack into ``folder/release``."""
    downloads = folder / "wheels"
    downloads.mkdir()
    try:
        run_pip(requirement, downloads, lambda: None)
    except FetchError as error:
        raise _explained(error, requirement, downloads) from error
    wheels = sorted(downloads.glob("*.whl"))
    if not wheels:
        raise FetchError(
            f"pip fetched no wheel for {requirement}.",
            code="download_failed",
            hint="Check pip's index settings with: pip config list",
        )
    wheel = wheels[0]
    release = folder / "release"
    try:
        _unpack(wheel, release / _SOURCE)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise FetchError(
            f"The wheel of {requirement} is not as it should be: {error}",
            code="wheel_invalid",
            hint="Run the same command again; if it stays so, check pip's index settings with: "
            "pip config list",
        ) from error
    marker = Release(
        layout=_LAYOUT,
        requirement=requirement,
        wheel=wheel.name,
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )
    (release / _MARKER).write_bytes(msgspec.json.encode(marker))


def _unpack(wheel: Path, root: Path) -> None:
    """Unpack the package folders of a wheel; its metadata is no part of the source.

    Raises:
        zipfile.BadZipFile, EOFError: the archive is damaged.
        ValueError: a name points outside, or it is far larger than a package of source is.
    """
    root.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        members = archive.infolist()
        if sum(info.file_size for info in members) > _MAX_UNPACKED_BYTES:
            raise ValueError("it is too large for a package of source.")
        for info in members:
            path = PurePosixPath(info.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
                raise ValueError(f"the name {info.filename!r} points outside.")
            if info.is_dir() or path.parts[0].endswith((".dist-info", ".data")):
                continue
            place = root.joinpath(*path.parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            # Read to the end, which checks the CRC. A link in the archive becomes a plain file.
            place.write_bytes(archive.read(info))


def _explained(error: FetchError, requirement: str, folder: Path) -> FetchError:
    """The same failure in the words of the corpus."""
    if error.code == "pip_missing":
        return FetchError(
            error.message,
            code="pip_missing",
            hint="Add it with: python -m ensurepip (or: uv pip install pip), or give a folder "
            "that holds the corpus with --corpus.",
        )
    if error.code != "download_failed":
        return error
    try:
        log = (folder / "pip.log").read_text("utf-8", "replace")
    except OSError:
        log = ""
    if any(sign in log for sign in _NETWORK_SIGNS):
        return FetchError(
            f"pip reaches no package index that has {requirement}: {_last_line(log)}.",
            code="no_network",
            hint="Check the network and pip's index settings (pip config list), or copy the "
            "corpus folder from a machine that has it and give it with --corpus.",
        )
    if "No matching distribution found" in log:
        return FetchError(
            f"The package index does not have {requirement}: {_last_line(log)}.",
            code="version_not_found",
            hint="The corpus needs just this version; use an index that mirrors all of PyPI "
            "(pip config list shows the index in use).",
        )
    return error


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR:").strip(" .")[:300] if lines else "pip gave no reason"
