"""Any git repository as a corpus: the lines that each of its commits added.

The rest of the commit is the workspace. Its files are written to a temporary folder from git's
objects; the repository itself, its checkout, index, hooks and configuration are left alone.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from benchmarks.corpus.git import Change, LogEntry, Repository
from benchmarks.corpus.lines import code_file, split_lines, targets_of
from benchmarks.replay.types import Project, Target
from lsp_server.errors import StoreError, UsageError

# A commit that adds more brings in code that was not typed there.
_MAX_ADDED_LINES = 4000
_MAX_CHANGED_FILES = 300
# Larger files are no source; the workspace does without them.
_MAX_BLOB_BYTES = 2**20
_MAX_TREE_BYTES = 2**30
_MAX_TREE_FILES = 100_000
_RELATIVE_DATE = re.compile(
    r"(yesterday|today|\d+[ .](minute|hour|day|week|month|year)s?[ .]ago)", re.IGNORECASE
)
_DATE_HINT = "Give a date (2025-06-30), an age (3 months ago), or a revision that git log shows."


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that added Python lines.

    Args:
        sha: its hash.
        subject: first line of its message.
        date: of the commit, ISO 8601.
        targets: what it added, by path.
    """

    sha: str
    subject: str
    date: str
    targets: tuple[Target, ...]


def commits(
    repo: Path, *, since: str | None = None, until: str | None = None, limit: int = 50
) -> list[Commit]:
    """The newest commits that added Python lines, newest first.

    Merges are left out, and so is the first commit of a history that has others. Lines that a
    commit also removes somewhere were moved, not typed, and are no targets.

    Args:
        repo: the repository, or a folder in it.
        since: date, age or revision after which commits count.
        until: date, age or revision up to which they count; None for HEAD.
        limit: how many commits.

    Raises:
        UsageError: ``git_missing``, ``no_such_folder``, ``not_a_repository``,
            ``unknown_revision``, ``no_commits``, ``no_python`` or ``repository_unreadable``.
    """
    repository = Repository(repo)
    chosen: list[Commit] = []
    first: LogEntry | None = None
    n_seen = n_huge = 0
    for entry in _log(repository, since, until):
        n_seen += 1
        if not entry.parent:
            first = entry
            continue
        targets = _added(repository, entry)
        n_huge += targets is None
        if targets:
            chosen.append(_commit(entry, targets))
            if len(chosen) == limit:
                return chosen
    if first is not None and n_seen == 1 and (targets := _all_lines(repository, first.sha)):
        chosen.append(_commit(first, targets))
    if not chosen:
        raise _nothing(repository, n_seen, n_huge, since is not None or until is not None)
    return chosen


@contextlib.contextmanager
def checkout(repo: Path, commit: Commit) -> Iterator[Project]:
    """A commit as a project; its folder is gone with the block.

    Links, submodules, very large files and names that are not UTF-8 are left out.

    Args:
        repo: the repository, or a folder in it.
        commit: what ``commits`` gave.

    Raises:
        UsageError: ``tree_too_large`` or ``repository_unreadable``.
        StoreError: ``checkout_failed``, the files cannot be written.
    """
    repository = Repository(repo)
    try:
        with tempfile.TemporaryDirectory(prefix="midfill-commit-") as folder:
            root = Path(folder).resolve() / (repository.name or "repository")
            root.mkdir()
            _write_tree(repository, commit.sha, root)
            yield Project(
                name=f"{repository.name} {commit.sha[:10]}",
                root=root,
                targets=commit.targets,
                cluster=repository.name,
            )
    except _WriteError as error:
        raise StoreError(
            f"The files of commit {commit.sha[:10]} cannot be written: {error}.",
            code="checkout_failed",
            hint="Free some space, or choose another place for temporary files with TMPDIR.",
        ) from error


class _WriteError(Exception):
    """A file of the checkout cannot be written."""


def _log(repository: Repository, since: str | None, until: str | None) -> Iterator[LogEntry]:
    dates = {"since": "", "until": ""}
    head = repository.resolve("HEAD")
    revisions = [head]
    for name, text in (("since", since), ("until", until)):
        if text is None:
            continue
        date = _date(text, end_of_day=name == "until")
        if date:
            dates[name] = date
            continue
        sha = repository.resolve(text)
        if not sha:
            raise UsageError(
                f"{text!r} is neither a date nor a revision of {repository.path}.",
                code="unknown_revision",
                hint=_DATE_HINT,
            )
        if name == "since":
            revisions.append(f"^{sha}")
        else:
            revisions[0] = sha
    if not revisions[0]:
        raise UsageError(
            f"{repository.path} has no commits yet.",
            code="no_commits",
            hint="Choose a repository with a history.",
        )
    return repository.log(revisions, **dates)


def _date(text: str, *, end_of_day: bool) -> str:
    """A date in git's words; "" if the text is none.

    git takes any text for a date, and a bare date for that day at the present time.
    """
    if _RELATIVE_DATE.fullmatch(text.strip()):
        return text.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    # Eight digits may be the beginning of a hash.
    if "-" not in text:
        return ""
    if len(text) == len("2025-06-30"):
        return f"{text}T23:59:59" if end_of_day else f"{text}T00:00:00"
    return moment.isoformat()


def _commit(entry: LogEntry, targets: list[Target]) -> Commit:
    return Commit(sha=entry.sha, subject=entry.subject, date=entry.date, targets=tuple(targets))


def _added(repository: Repository, entry: LogEntry) -> list[Target] | None:
    """The targets of a commit, by path; None when it is too large to have been typed."""
    changes = repository.changes(entry.parent, entry.sha)
    if len(changes) > _MAX_CHANGED_FILES:
        return None
    contents = _texts(repository, changes)
    added: dict[bytes, set[int]] = {}
    removed: set[str] = set()
    for change in changes:
        if change.old and change.new:
            added[change.path], old = repository.diff(change.old, change.new)
            removed.update(line.decode("utf-8", "replace").strip() for line in old)
        elif change.new:
            added[change.path] = set(range(len(split_lines(contents[change.new]) or ())))
        else:
            removed.update(
                line.strip() for line in contents[change.old].decode("utf-8", "replace").split("\n")
            )
    if sum(map(len, added.values())) > _MAX_ADDED_LINES:
        return None
    targets = []
    for change in sorted(changes, key=lambda change: change.path):
        path = _text_path(change.path)
        file = code_file(path, contents[change.new]) if change.new and path else None
        if file is not None:
            fresh = {at for at in added[change.path] if file.lines[at].strip() not in removed}
            targets += targets_of(file, fresh, new_file=not change.old)
    return targets


def _texts(repository: Repository, changes: list[Change]) -> dict[str, bytes]:
    """The contents of all new files, and of those that were deleted."""
    shas = list(dict.fromkeys(change.new or change.old for change in changes))
    return dict(zip(shas, repository.contents(shas), strict=True))


def _all_lines(repository: Repository, sha: str) -> list[Target]:
    blobs = [
        blob
        for blob in repository.tree(sha)
        if blob.path.endswith(b".py") and blob.n_bytes <= _MAX_BLOB_BYTES
    ]
    targets = []
    contents = repository.contents(blob.sha for blob in blobs)
    for blob, data in zip(blobs, contents, strict=True):
        path = _text_path(blob.path)
        file = code_file(path, data) if path else None
        if file is not None:
            targets += targets_of(file, file.usable, new_file=True)
    return targets


def _write_tree(repository: Repository, sha: str, root: Path) -> None:
    named = [(blob, _text_path(blob.path)) for blob in repository.tree(sha)]
    blobs = [(blob, path) for blob, path in named if path and blob.n_bytes <= _MAX_BLOB_BYTES]
    n_bytes = sum(blob.n_bytes for blob, _ in blobs)
    if len(blobs) > _MAX_TREE_FILES or n_bytes > _MAX_TREE_BYTES:
        raise UsageError(
            f"Commit {sha[:10]} has {len(blobs):,} files of {n_bytes / 2**20:,.0f} MiB, which is "
            f"more than can be written for a replay.",
            code="tree_too_large",
            hint="Choose a smaller repository.",
        )
    contents = repository.contents(blob.sha for blob, _ in blobs)
    for (_, path), data in zip(blobs, contents, strict=True):
        place = root / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        except OSError as error:
            raise _WriteError(error.strerror or str(error)) from error


def _text_path(path: bytes) -> str:
    """A path that may be written below a folder; "" for one that may not."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    parts = text.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        return ""
    return text


def _nothing(repository: Repository, n_seen: int, n_huge: int, limited: bool) -> UsageError:
    if n_seen == 0 and limited:
        return UsageError(
            f"{repository.path} has no commits to Python files in that range.",
            code="no_commits",
            hint=f"Choose another --since or --until. {_DATE_HINT}",
        )
    huge = f" ({n_huge} bring in more than anybody types)" if n_huge else ""
    return UsageError(
        f"{repository.path} has no commit that adds Python lines{huge}.",
        code="no_python",
        hint="Choose a repository whose history has changes to .py files; merges, generated and "
        "vendored files, moved lines and lines under 8 characters do not count.",
    )
