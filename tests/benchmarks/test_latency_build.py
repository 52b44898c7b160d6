"""Building llama-server: what is checked before, and what a broken build leaves."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import options
from benchmarks.latency import build
from lsp_server.errors import UsageError


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("[3/12] Building CXX object common/arg.cpp.o\n", 0.25),
        ("[ 12%] Building CXX object common/arg.cpp.o\n", 0.12),
        ("[100%] Built target llama-server\n", 1.0),
        ("-- Configuring done\n", None),
        ("in [3/12] of the text\n", None),
    ],
)
def test_progress_is_read_from_ninja_and_make(line: str, share: float | None) -> None:
    """Other lines say nothing."""
    assert build.share_done(line) == share


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A llama-cpp-python of version 1.2.3; gives the folder of what is built for it."""
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "1.2.3")
    return options.cache_folder("llama.cpp-1.2.3")


def tools(folder: Path, *names: str) -> str:
    """A PATH with programs of these names that fail."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\necho it failed >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("names", "code"), [(("c++",), "no_cmake"), (("cmake",), "no_compiler")])
def test_missing_tools_are_named_before_anything_is_fetched(
    installed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: Sequence[str],
    code: str,
) -> None:
    """With a hint at what to do."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", tools(tmp_path / "bin", *names))
    with pytest.raises(UsageError) as refused:
        build.build()
    assert refused.value.code == code
    assert "--peers none" in refused.value.hint


def test_without_sources_the_error_names_the_log(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has what pip said, and nothing that could pass for a build is left."""
    monkeypatch.setenv("PATH", tools(tmp_path / "bin", "cmake", "c++"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "cmake"))
    with pytest.raises(UsageError) as refused:
        build.build()
    log = options.cache_folder() / "llama.cpp-1.2.3.log"
    assert refused.value.code == "no_sources"
    assert str(log) in refused.value.message
    assert "it failed" in log.read_text()
    assert build.find() is None


def sources_of(work: Path) -> Path:
    """A source tree with a CMakeLists.txt."""
    sources = work / "llama_cpp_python-1.2.3" / "vendor" / "llama.cpp"
    sources.mkdir(parents=True)
    (sources / "CMakeLists.txt").write_text("original")
    return sources


# A cmake that "builds" both programs where the list of the source folder holds a word.
_CMAKE = """#!/bin/sh
case "$1" in
-S) grep -q {word} "$2/CMakeLists.txt" && mkdir -p "$4/bin" ;;
--build) for name in llama-server llama-bench; do
    printf '#!/bin/sh\\nexit 0\\n' > "$2/bin/$name" && chmod 755 "$2/bin/$name"
  done
  echo '[1/1] Linking' ;;
esac
"""


@pytest.mark.parametrize(("word", "same"), [("LIBRARIES", True), ("original", False)])
def test_what_cannot_be_linked_is_built_whole(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, same: bool
) -> None:
    """First with the installed libraries, else by llama.cpp's own CMakeLists.txt; kept then."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name in ("libllama.so", "libggml-cpu.so.0", "libother.so"):
        (libraries / name).touch()
    folder = tmp_path / "bin"
    tools(folder, "c++")
    (folder / "cmake").write_text(_CMAKE.format(word=word))
    (folder / "cmake").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(build, "_fetch", lambda _version, work, _log: sources_of(work))
    monkeypatch.setattr(build, "_package_libraries", lambda: libraries)
    shares: list[float] = []
    programs = build.build(lambda _what, share: shares.append(share))
    assert programs.folder == installed
    assert programs.same_libraries is same
    assert shares[-1] == 1.0
    kept = sorted(path.name for path in (installed / "lib").iterdir())
    assert kept == (["libggml-cpu.so.0", "libllama.so"] if same else [])
    assert subprocess.run([programs.server], check=False).returncode == 0
    assert build.find() == programs
    assert [p.name for p in installed.parent.iterdir() if p.is_dir()] == ["llama.cpp-1.2.3"]


def test_a_build_that_fails_names_its_log(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After both ways were tried."""
    monkeypatch.setenv("PATH", f"{tools(tmp_path / 'bin', 'cmake', 'c++')}:/usr/bin:/bin")
    monkeypatch.setattr(build, "_fetch", lambda _version, work, _log: sources_of(work))
    with pytest.raises(UsageError) as refused:
        build.build()
    assert refused.value.code == "build_failed"
    assert "llama.cpp-1.2.3.log" in refused.value.message
    assert build.find() is None


def test_a_build_that_lacks_a_program_is_not_found(installed: Path) -> None:
    """Whoever deleted it gets it built again."""
    (installed / "bin").mkdir(parents=True)
    (installed / "libraries").write_text(build.PACKAGE)
    (installed / "bin" / "llama-server").touch()
    assert build.find() is None
    (installed / "bin" / "llama-bench").touch()
    found = build.find()
    assert found is not None
    assert found.same_libraries
