"""A git repository as a corpus: its commits' added lines, and their files as the workspace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.corpus import repository
from benchmarks.corpus.repository import checkout, commits
from lsp_server.errors import StoreError, UsageError
from tests.benchmarks.corpora import BOOKS, Repo, lines_of


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository with one commit, and no configuration but its own."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = Repo(tmp_path / "library")
    made.commit({"books.py": BOOKS, "README": "read me first\n"}, "first")
    return made


def test_added_lines(repo: Repo) -> None:
    """The lines that a commit adds are targets, in old and in new files."""
    sha = repo.commit(
        {"books.py": BOOKS + "    author: str = 'none'\n", "lend.py": "lent_out = set()\n"}, "lend"
    )
    (commit,) = commits(repo.path)
    assert (commit.sha, commit.subject, commit.date[:10]) == (sha, "lend", "2025-03-02")
    assert lines_of(commit.targets) == {"books.py": [3], "lend.py": [0]}
    assert [target.new_file for target in commit.targets] == [False, True]


def test_workspace_is_the_commit(repo: Repo) -> None:
    """A checkout has the files of its commit, not those of the working tree, and then is gone."""
    repo.commit({"lend.py": "lent_out = set()\n", "notes.md": "notes\n"})
    repo.commit({"lend.py": "given_back = set()\n", "notes.md": None})
    repo.write({"lend.py": "work in progress\n", "untracked.py": "untracked = True\n"})
    newer, older = commits(repo.path)
    with checkout(repo.path, older) as project:
        root = project.root
        assert project.name == f"library {older.sha[:10]}"
        assert project.cluster == "library"
        assert project.targets == older.targets
        assert sorted(path.name for path in root.iterdir()) == [
            "README",
            "books.py",
            "lend.py",
            "notes.md",
        ]
        assert (root / "lend.py").read_text() == "lent_out = set()\n"
    assert not root.exists()
    with checkout(repo.path, newer) as project:
        assert (project.root / "lend.py").read_text() == "given_back = set()\n"
        assert not (project.root / "notes.md").exists()


def test_renamed_file(repo: Repo) -> None:
    """A file that was only renamed adds nothing; what was added to it counts as an old file's."""
    repo.commit({"books.py": None, "shelf/books.py": BOOKS}, "only moved")
    repo.commit({"shelf/books.py": None, "stack.py": BOOKS + "    author: str = 'none'\n"}, "more")
    (commit,) = commits(repo.path)
    assert commit.subject == "more"
    (target,) = commit.targets
    assert (target.path, target.lines, target.new_file) == ("stack.py", (3,), False)


def test_moved_lines(repo: Repo) -> None:
    """Lines that the commit takes away elsewhere, or indents anew, were not typed."""
    repo.commit({"tools.py": "def helper(value):\n    return value + 10\n\n\nleft = compute()\n"})
    repo.commit(
        {
            "tools.py": "left = compute()\n",
            "more.py": "class Helpers:\n    def helper(value):\n        return value + 10\n",
        },
        "moved",
    )
    newest = commits(repo.path)[0]
    assert lines_of(newest.targets) == {"more.py": [0]}


def test_files_that_do_not_count(repo: Repo) -> None:
    """Binary, vendored, generated and other files have no targets, but stay in the workspace."""
    repo.commit(
        {
            "data.py": b"\0\1\2 = compute()\n" * 3,
            "latin.py": "name = 'Käthe'\n".encode("latin-1"),
            "vendor/copied.py": "copied = compute()\n",
            "schema_pb2.py": "generated = compute()\n",
            "script.sh": "echo hello there\n",
            "real.py": "typed = compute()\n",
        }
    )
    (commit,) = commits(repo.path)
    assert lines_of(commit.targets) == {"real.py": [0]}
    with checkout(repo.path, commit) as project:
        assert (project.root / "data.py").exists()
        assert (project.root / "vendor" / "copied.py").exists()


def test_merges_are_left_out(repo: Repo) -> None:
    """A merge adds nothing itself; the commits of both its sides count."""
    repo.git("checkout", "--quiet", "-b", "side")
    repo.commit({"side.py": "side = compute()\n"}, "side")
    repo.git("checkout", "--quiet", "main")
    repo.commit({"lend.py": "lent_out = set()\n"}, "lend")
    repo.git("merge", "--quiet", "--no-ff", "-m", "merged", "side")
    assert sorted(commit.subject for commit in commits(repo.path)) == ["lend", "side"]


def test_first_commit_alone(repo: Repo) -> None:
    """The first commit counts as new when there is no other."""
    (commit,) = commits(repo.path)
    assert lines_of(commit.targets) == {"books.py": [0, 1, 2]}
    assert all(target.new_file for target in commit.targets)


def test_newest_first_and_limit(repo: Repo) -> None:
    """The limit keeps the newest commits that add Python lines; others are not counted."""
    for n in range(4):
        repo.commit({"lend.py": "".join(f"value_{m} = {m}\n" for m in range(n + 1))}, f"add {n}")
        repo.commit({"README": f"{n}\n"}, f"notes {n}")
    assert [commit.subject for commit in commits(repo.path, limit=3)] == ["add 3", "add 2", "add 1"]


@pytest.mark.parametrize(
    ("since", "until", "wanted"),
    [
        ("2025-03-03", None, ["4", "3"]),
        ("2025-03-03T12:00:01+00:00", None, ["4"]),
        (None, "2025-03-03", ["3", "2"]),
        ("2025-03-03", "2025-03-03", ["3"]),
        ("v3", None, ["4"]),
        ("v2", "v3", ["3"]),
        (None, "HEAD~1", ["3", "2"]),
        ("2000 weeks ago", None, ["4", "3", "2"]),
    ],
)
def test_range(repo: Repo, since: str | None, until: str | None, wanted: list[str]) -> None:
    """A range is given by dates, whole days included, by ages, or by revisions."""
    for n in (2, 3, 4):
        repo.commit({f"file{n}.py": f"value_{n} = compute()\n"}, str(n))
        repo.git("tag", f"v{n}")
    found = commits(repo.path, since=since, until=until)
    assert [commit.subject for commit in found] == wanted


@pytest.mark.parametrize(
    "text", ["nothing-of-that-name", "--all", "--output=out", "2025-13-45", "deadbeef", "", "a\0b"]
)
@pytest.mark.parametrize("option", ["since", "until"])
def test_unknown_revision(repo: Repo, option: str, text: str) -> None:
    """What is neither date nor revision is refused, and never becomes an option of git."""
    with pytest.raises(UsageError) as raised:
        commits(repo.path, **{option: text})  # type: ignore[arg-type]
    assert raised.value.code == "unknown_revision"
    assert "2025-06-30" in raised.value.hint
    assert not (repo.path / "out").exists()


def test_empty_repository(tmp_path: Path) -> None:
    """A repository without commits is an error of its own."""
    with pytest.raises(UsageError) as raised:
        commits(Repo(tmp_path / "empty").path)
    assert raised.value.code == "no_commits"


def test_nothing_in_the_range(repo: Repo) -> None:
    """A range without commits says that it is the range."""
    with pytest.raises(UsageError) as raised:
        commits(repo.path, since="2025-06-30")
    assert raised.value.code == "no_commits"
    assert "--since" in raised.value.hint


def test_no_python(tmp_path: Path) -> None:
    """A repository without Python is refused with what would count."""
    made = Repo(tmp_path / "texts")
    made.commit({"README": "read me first\n"})
    made.commit({"README": "read me second\n"})
    with pytest.raises(UsageError) as raised:
        commits(made.path)
    assert raised.value.code == "no_python"


def test_huge_commits(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that brings in more than anybody types is left out, and an error counts it."""
    monkeypatch.setattr(repository, "_MAX_ADDED_LINES", 5)
    repo.commit({"many.py": "".join(f"value_{n} = compute()\n" for n in range(9))}, "import")
    with pytest.raises(UsageError) as raised:
        commits(repo.path)
    assert raised.value.code == "no_python"
    assert "1 bring in more" in raised.value.message
    repo.commit({"few.py": "value = compute()\n"}, "work")
    assert [commit.subject for commit in commits(repo.path)] == ["work"]


def test_large_trees(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Very large files stay away from the workspace, and a tree that is too large is refused."""
    repo.commit({"lend.py": "lent_out = set()\n", "data.json": "1" * 4000})
    (commit,) = commits(repo.path)
    monkeypatch.setattr(repository, "_MAX_BLOB_BYTES", 1000)
    with checkout(repo.path, commit) as project:
        assert not (project.root / "data.json").exists()
    monkeypatch.setattr(repository, "_MAX_TREE_FILES", 2)
    with pytest.raises(UsageError) as raised, checkout(repo.path, commit):
        pass
    assert raised.value.code == "tree_too_large"


def test_no_space_for_a_checkout(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that cannot be written says where to put it."""
    (commit,) = commits(repo.path)

    def full(place: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError) as raised, checkout(repo.path, commit):
        pass
    assert raised.value.code == "checkout_failed"
    assert "TMPDIR" in raised.value.hint
