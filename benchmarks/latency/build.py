"""Builds llama.cpp's ``llama-server`` and ``llama-bench`` from the sources of llama-cpp-python.

The source package of the installed version is fetched by pip; its llama.cpp is the one that the
installed libraries were made from. The two programs are linked against these libraries where that
works, else llama.cpp is built whole with its own defaults (``GGML_NATIVE`` among them).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import options
from lsp_server.errors import StoreError, UsageError
from lsp_server.models.locks import locked

PACKAGE = "llama-cpp-python"
TARGETS = ("llama-server", "llama-bench")
_WRAPPER = Path(__file__).with_name("llama_server.cmake")
# Most of the source package is media, documents and vocabularies for tests.
_UNUSED = ("docs", "media", "models", "tests", "benches", "examples", "gguf-py")
_STEP = re.compile(r"^\[\s*(?:(\d+)/(\d+)|(\d+)%)\]")
_LIBRARIES = re.compile(r"lib(ggml|llama|mtmd)[^/]*\.(so|dylib)")

OnProgress = Callable[[str, float], None]


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """What was built.

    Args:
        folder: holds ``bin`` and ``lib``.
        version: of llama-cpp-python.
        same_libraries: whether they run on the libraries that llama-cpp-python runs on.
    """

    folder: Path
    version: str
    same_libraries: bool

    @property
    def server(self) -> Path:
        """``llama-server``."""
        return self.folder / "bin" / "llama-server"

    @property
    def bench(self) -> Path:
        """``llama-bench``."""
        return self.folder / "bin" / "llama-bench"


def find() -> Programs | None:
    """What was built before for the installed llama-cpp-python; None if nothing was."""
    version = _installed_version()
    folder = options.cache_folder(f"llama.cpp-{version}")
    try:
        libraries = (folder / "libraries").read_text("utf-8").strip()
    except OSError:
        return None
    programs = Programs(folder=folder, version=version, same_libraries=libraries == PACKAGE)
    return programs if programs.server.exists() and programs.bench.exists() else None


def build(on_progress: OnProgress = lambda _step, _share: None) -> Programs:
    """The two programs, built unless they are there already; takes about four minutes.

    Args:
        on_progress: called with what is being done, and how much of it is done (0 to 1).

    Raises:
        UsageError: something is missing (``no_llama_cpp``, ``no_cmake``, ``no_compiler``), the
            sources cannot be fetched (``no_sources``), or they do not compile (``build_failed``).
        StoreError: the cache folder cannot be written.
    """
    version = _installed_version()
    parent = options.cache_folder()
    parent.mkdir(parents=True, exist_ok=True)
    with locked(parent / "llama.cpp.lock", wait=True):
        if found := find():
            return found
        _check_tools()
        log = parent / f"llama.cpp-{version}.log"
        log.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix="llama.cpp-", dir=parent) as scratch:
            work = Path(scratch)
            on_progress("fetching the sources", 0.0)
            sources = _fetch(version, work, log)
            result = _compile_all(sources, work, log, on_progress)
            final = parent / f"llama.cpp-{version}"
            try:
                shutil.rmtree(final, ignore_errors=True)
                result.rename(final)
            except OSError as error:
                raise StoreError(
                    f"The programs cannot be moved to {final}: {error.strerror}.",
                    code="folder_unwritable",
                ) from error
    found = find()
    assert found is not None
    return found


def _installed_version() -> str:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(
            f"{PACKAGE} is not installed.",
            code="no_llama_cpp",
            hint="Run pip install '.[benchmarks]' in the checkout.",
        ) from error


def _check_tools() -> None:
    if shutil.which("cmake") is None:
        raise UsageError(
            "llama-server cannot be built: cmake is not in the PATH.",
            code="no_cmake",
            hint="Install cmake 3.21 or newer (pip install cmake ninja), or use --peers none.",
        )
    compilers = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    if not any(compiler and shutil.which(compiler) for compiler in compilers):
        raise UsageError(
            "llama-server cannot be built: there is no C++ compiler in the PATH.",
            code="no_compiler",
            hint="Install g++ or clang++, or use --peers none.",
        )


def _fetch(version: str, work: Path, log: Path) -> Path:
    """The llama.cpp of the source package, unpacked."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--progress-bar", "off"),
        *("--no-binary", PACKAGE, "--dest", str(work), f"{PACKAGE}=={version}"),
    ]
    archives = []
    if _logged(command, log) == 0:
        archives = sorted(work.glob("llama_cpp_python-*.tar.gz"))
    if not archives:
        raise UsageError(
            f"The sources of {PACKAGE} {version} cannot be fetched; see {log}.",
            code="no_sources",
            hint="Building llama-server needs a package index once. Use --peers none without it.",
        )
    with tarfile.open(archives[0]) as archive:
        archive.extractall(work, members=_members(archive), filter="data")
    (sources,) = work.glob("llama_cpp_python-*/vendor/llama.cpp")
    return sources


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        parts = Path(member.name).parts
        if parts[1:3] == ("vendor", "llama.cpp") and not (len(parts) > 4 and parts[3] in _UNUSED):
            yield member


# Where the programs cannot be linked against the installed libraries.
_WHOLE = (
    *("-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF"),
    *("-DLLAMA_OPENSSL=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DBUILD_SHARED_LIBS=OFF"),
)


def _compile_all(sources: Path, work: Path, log: Path, on_progress: OnProgress) -> Path:
    """A folder with ``bin``, ``lib`` and a file that says whose libraries these are."""
    lists = sources / "CMakeLists.txt"
    original = lists.read_bytes()
    libraries = _package_libraries()
    if libraries is not None:
        lists.write_bytes(_WRAPPER.read_bytes())
        settings = (f"-DLIBRARIES={libraries}",)
        if _compile(sources, work / "linked", settings, log, on_progress):
            result = _collect(work / "linked", libraries, work / "with-libraries")
            if _runs(result, log):
                (result / "libraries").write_text(PACKAGE, "utf-8")
                return result
    lists.write_bytes(original)
    if _compile(sources, work / "whole", _WHOLE, log, on_progress):
        result = _collect(work / "whole", None, work / "static")
        if _runs(result, log):
            (result / "libraries").write_text("llama.cpp", "utf-8")
            return result
    raise UsageError(
        f"llama-server does not build on this machine; see {log}.",
        code="build_failed",
        hint="Use --peers none to measure without it.",
    )


def _package_libraries() -> Path | None:
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "lib"
    return folder if folder.is_dir() else None


def _compile(
    sources: Path, folder: Path, settings: tuple[str, ...], log: Path, on_progress: OnProgress
) -> bool:
    generator = ("-G", "Ninja") if shutil.which("ninja") else ()
    configure = (
        *("cmake", "-S", str(sources), "-B", str(folder), *generator),
        *("-DCMAKE_BUILD_TYPE=Release", *settings),
    )
    on_progress("configuring", 0.0)
    if _logged(configure, log) != 0:
        return False
    make = (
        *("nice", "-n", "10", "cmake", "--build", str(folder), "--target", *TARGETS),
        *("--parallel", str(os.cpu_count() or 1)),
    )
    return _logged(make, log, lambda share: on_progress("compiling", share)) == 0


def _collect(built: Path, libraries: Path | None, result: Path) -> Path:
    for name in ("bin", "lib"):
        (result / name).mkdir(parents=True)
    for name in TARGETS:
        shutil.copy2(built / "bin" / name, result / "bin" / name)
    if libraries is not None:
        for path in libraries.iterdir():
            if _LIBRARIES.match(path.name):
                shutil.copy2(path, result / "lib" / path.name)
    return result


def _runs(result: Path, log: Path) -> bool:
    return _logged((str(result / "bin" / "llama-server"), "--version"), log) == 0


def _logged(
    command: Sequence[str],
    log: Path,
    on_share: Callable[[float], None] = lambda _share: None,
) -> int:
    """Run a command with its output in the log; returns its exit status."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own, so that the compilers too can be ended.
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    file.write(line)
                    share = share_done(line)
                    if share is not None:
                        on_share(share)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                raise
        return process.returncode


def share_done(line: str) -> float | None:
    """How much is done according to a line of ninja (``[3/79]``) or make (``[ 12%]``).

    Args:
        line: of the build's output.
    """
    found = _STEP.match(line)
    if found is None:
        return None
    step, steps, percent = found.groups()
    return int(percent) / 100 if percent else int(step) / max(1, int(steps))
