"""A git repository is read whatever its names and settings are, and nothing in it changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.corpus import git
from benchmarks.corpus.repository import checkout, commits
from lsp_server.errors import UsageError
from tests.benchmarks.corpora import BOOKS, Repo, lines_of


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository with one commit, and no configuration but its own."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = Repo(tmp_path / "library")
    made.commit({"books.py": BOOKS, "README": "read me first\n"}, "first")
    return made


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with its time and content."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_nothing_in_the_repository_changes(repo: Repo) -> None:
    """Reading writes nothing into the repository, even where the index is stale."""
    repo.commit({"lend.py": "lent_out = set()\n"})
    os.utime(repo.path / "books.py", (1, 1))
    before = state(repo.path)
    (commit,) = commits(repo.path)
    with checkout(repo.path, commit):
        pass
    assert state(repo.path) == before


def test_nothing_of_the_repository_runs(repo: Repo, tmp_path: Path) -> None:
    """Hooks, filters, pagers and external diff programs of the repository are not started."""
    repo.commit(
        {
            ".gitattributes": "*.py filter=trap diff=trap export-subst\nlend.py export-ignore\n",
            "lend.py": "lent_out = set()\n",
        }
    )
    repo.commit({"lend.py": "lent_out = set()\nreturned = set()\n"})
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for hook in ("post-checkout", "post-index-change", "pre-auto-gc", "reference-transaction"):
        shutil.copy(trap, repo.path / ".git" / "hooks" / hook)
    settings = ("core.pager", "diff.external", "filter.trap.smudge", "filter.trap.clean")
    for name in (*settings, "diff.trap.command", "diff.trap.textconv", "core.fsmonitor"):
        repo.git("config", name, str(trap))
    repo.git("config", "filter.trap.required", "true")
    (tmp_path / "sprung").unlink(missing_ok=True)
    chosen = commits(repo.path)
    assert [lines_of(commit.targets) for commit in chosen] == [{"lend.py": [1]}, {"lend.py": [0]}]
    with checkout(repo.path, chosen[0]) as project:
        assert (project.root / "lend.py").read_text() == "lent_out = set()\nreturned = set()\n"
    assert not (tmp_path / "sprung").exists()


def test_configuration_does_not_change_the_lines(repo: Repo) -> None:
    """What a user set for their own diffs and logs has no influence."""
    repo.commit({"shelf/books.py": BOOKS + "    author: str = 'none'\n", "books.py": None})
    plain = commits(repo.path)
    for name, value in {
        "color.ui": "always",
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.renames": "false",
        "diff.context": "9",
        "diff.interHunkContext": "9",
        "diff.relative": "true",
        "diff.algorithm": "minimal",
        "diff.wordRegex": ".",
        "log.showSignature": "true",
        "log.decorate": "full",
        "log.diffMerges": "on",
        "format.pretty": "fuller",
        "log.date": "relative",
    }.items():
        repo.git("config", name, value)
    assert commits(repo.path) == plain
    assert lines_of(plain[0].targets) == {"shelf/books.py": [3]}


def test_environment_of_another_repository(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a hook of another repository, still the given one is read."""
    repo.commit({"lend.py": "lent_out = set()\n"}, "lend")
    other = Repo(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
    assert [commit.subject for commit in commits(repo.path)] == ["lend"]


def test_crlf(repo: Repo) -> None:
    """Other line ends alone add nothing, and lines keep theirs in the checkout."""
    repo.commit({"books.py": BOOKS.replace("\n", "\r\n")}, "ends")
    more = BOOKS.replace("\n", "\r\n") + "    author: str = 'none'\r\n"
    repo.commit({"books.py": more}, "author")
    (commit,) = commits(repo.path)
    assert lines_of(commit.targets) == {"books.py": [3]}
    with checkout(repo.path, commit) as project:
        assert (project.root / "books.py").read_bytes() == more.encode()


def test_lines_that_look_like_a_diff(repo: Repo) -> None:
    """Content that resembles diff headers is not taken for one."""
    text = "x = 1\n++ compute()\n-- compute()\n@@ = 1\n"
    repo.commit({"odd.py": f'"""\n{text}"""\nfirst = compute()\n'})
    repo.commit({"odd.py": '"""\n@@ -1 +77 @@\n"""\nfirst = compute()\nsecond = compute()\n'})
    assert lines_of(commits(repo.path)[0].targets) == {"odd.py": [4]}


def test_links_and_submodules(repo: Repo, tmp_path: Path) -> None:
    """Links and submodules are left out of the workspace, so it never leads outside."""
    other = Repo(tmp_path / "other")
    sha = other.commit({"inner.py": "inner = compute()\n"})
    (repo.path / "link.py").symlink_to("/etc/hosts")
    (repo.path / "outside").symlink_to(tmp_path)
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{sha},module")
    repo.commit({"lend.py": "lent_out = set()\n"})
    (commit,) = commits(repo.path)
    assert lines_of(commit.targets) == {"lend.py": [0]}
    with checkout(repo.path, commit) as project:
        names = sorted(path.name for path in project.root.iterdir())
    assert names == ["README", "books.py", "lend.py"]


def test_names(repo: Repo) -> None:
    """Spaces, quotes, newlines, dashes and any alphabet are fine; what is no UTF-8 is left out."""
    names = [
        "with space.py",
        'quo"te.py',
        "new\nline.py",
        "-dash.py",
        "gemüse/日本.py",
        ":(top)x.py",
    ]
    repo.write(dict.fromkeys(names, "typed = compute()\n"))
    blob = repo.git("hash-object", "-w", "books.py")
    repo.git("add", "--all")
    subprocess.run(
        ["git", "-C", str(repo.path), "update-index", "-z", "--index-info"],
        input=f"100644 {blob}\t".encode() + b"caf\xe9.py\0",
        check=True,
    )
    repo.git("commit", "--quiet", "-m", "names")
    (commit,) = commits(repo.path)
    assert sorted(lines_of(commit.targets)) == sorted(names)
    with checkout(repo.path, commit) as project:
        found = {path.relative_to(project.root).as_posix() for path in project.root.rglob("*.py")}
    assert found == {*names, "books.py"}


def test_subfolder_and_bare_clone(repo: Repo, tmp_path: Path) -> None:
    """A folder in a checkout and a bare clone give the same commits as the checkout."""
    repo.commit({"shelf/lend.py": "lent_out = set()\n", "top.py": "top_level = True\n"})
    bare = tmp_path / "bare" / "library.git"
    bare.parent.mkdir()
    repo.git("clone", "--quiet", "--bare", ".", str(bare))
    wanted = commits(repo.path)
    for place in (repo.path / "shelf", bare):
        assert commits(place) == wanted
        with checkout(place, wanted[0]) as project:
            assert project.name.startswith("library ")
            assert (project.root / "shelf" / "lend.py").exists()


def test_folder_whose_name_begins_with_a_dash(
    tmp_path: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that looks like an option is a path."""
    repo.path.rename(tmp_path / "-C")
    monkeypatch.chdir(tmp_path)
    assert len(commits(Path("-C"))) == 1


def test_no_such_folder(tmp_path: Path) -> None:
    """A path that is not there is an error of its own."""
    with pytest.raises(UsageError) as raised:
        commits(tmp_path / "nowhere")
    assert raised.value.code == "no_such_folder"


def test_not_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without git is named, with what git said."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError) as raised:
        commits(tmp_path)
    assert raised.value.code == "not_a_repository"
    assert str(tmp_path) in raised.value.message


def test_git_missing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git the error says so."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError) as raised:
        commits(repo.path)
    assert raised.value.code == "git_missing"


def test_damaged_repository(repo: Repo) -> None:
    """A missing object ends in an error, not in a wrong corpus."""
    sha = repo.commit({"lend.py": "lent_out = set()\n"})
    (commit,) = commits(repo.path)
    blob = repo.git("rev-parse", f"{sha}:lend.py")
    (repo.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for attempt in (lambda: commits(repo.path), lambda: checkout(repo.path, commit).__enter__()):
        with pytest.raises(UsageError) as raised:
            attempt()
        assert raised.value.code == "repository_unreadable"
        assert "git fsck" in raised.value.hint


@pytest.mark.parametrize("path", [b"../up.py", b"a/../../b.py", b".git/hooks/x.py", b"a/.GIT/b"])
def test_hostile_paths(repo: Repo, path: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree whose names lead elsewhere is written without them."""
    (commit,) = commits(repo.path)
    whole = git.Repository.tree

    def tree(self: git.Repository, sha: str) -> list[git.Blob]:
        blobs = whole(self, sha)
        return [*blobs, git.Blob(path=path, sha=blobs[0].sha, n_bytes=blobs[0].n_bytes)]

    monkeypatch.setattr(git.Repository, "tree", tree)
    with checkout(repo.path, commit) as project:
        names = sorted(file.name for file in project.root.parent.rglob("*") if file.is_file())
    assert names == ["README", "books.py"]
