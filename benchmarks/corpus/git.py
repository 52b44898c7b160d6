"""Reading from a git repository without running anything of it or changing anything in it.

Only plumbing commands that read objects are used. Hooks, pagers, filters, external diff programs,
credential prompts and fetches of missing objects are off, whatever the configuration says.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from lsp_server.errors import UsageError

_OFF = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.allow=never"),
    *("-c", "log.showSignature=false"),
    *("-c", "core.quotePath=true"),
)
_ENVIRONMENT = {
    "GIT_ASKPASS": "true",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
# They would point git at another repository than the one that was asked for.
_REMOVED = (
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_EXTERNAL_DIFF"),
    *("GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_WORK_TREE"),
)
_REGULAR_MODES = (b"100644", b"100755")


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """A regular file of a tree.

    Args:
        path: from the root of the tree, as git keeps it: bytes, with slashes.
        sha: of its content.
        n_bytes: size of its content.
    """

    path: bytes
    sha: str
    n_bytes: int


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A commit.

    Args:
        sha: its hash.
        parent: hash of its parent; "" for a first commit.
        date: of the commit, ISO 8601.
        subject: first line of its message.
    """

    sha: str
    parent: str
    date: str
    subject: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A regular file that differs between two trees.

    Args:
        path: in the new tree, or in the old one for a file that was deleted.
        old: hash of its old content; "" for a new file.
        new: hash of its new content; "" for a file that was deleted.
    """

    path: bytes
    old: str
    new: str


class Repository:
    """A git repository.

    Args:
        path: the repository, or a folder in it.

    Raises:
        UsageError: ``git_missing``, ``no_such_folder`` or ``not_a_repository``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = path.expanduser().absolute()
        if not path.is_dir():
            raise UsageError(
                f"There is no folder {path}.",
                code="no_such_folder",
                hint="Give the path of a checkout.",
            )
        found = self._run("rev-parse", "--absolute-git-dir")
        if found.returncode != 0:
            reason = _reason(found.stderr)
            raise UsageError(
                f"git finds no repository in {path}: {reason}.",
                code="not_a_repository",
                hint="Give the path of a checkout with its history."
                if "dubious ownership" not in reason
                else "It belongs to another user; git reads it after: git config --global --add "
                "safe.directory FOLDER",
            )
        git_dir = Path(os.fsdecode(found.stdout.removesuffix(b"\n")))
        top = self._run("rev-parse", "--show-toplevel").stdout.removesuffix(b"\n")
        self.name = (Path(os.fsdecode(top)) if top else git_dir).name.removesuffix(".git")

    def resolve(self, revision: str) -> str:
        """The hash of the commit that a name stands for; "" if it stands for none."""
        if not revision or "\0" in revision:
            return ""
        found = self._run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        return found.stdout.decode().strip() if found.returncode == 0 else ""

    def log(self, revisions: Sequence[str], *, since: str, until: str) -> Iterator[LogEntry]:
        """Commits that touch Python files, newest first; merges are left out.

        Args:
            revisions: hashes to start from, and with ``^`` those to end at.
            since: ISO date and time; "" for no limit.
            until: the same.
        """
        command = ["log", "--no-color", "--no-notes", "--full-history", "--max-parents=1"]
        command += ["--no-patch", "--encoding=UTF-8", "--format=%H%x00%P%x00%cI%x00%s"]
        command += [f"--since={since}"] if since else []
        command += [f"--until={until}"] if until else []
        with self._process(*command, *revisions, "--", ":(top)*.py") as process:
            assert process.stdout is not None
            for line in process.stdout:
                sha, parent, date, subject = line.decode("utf-8", "replace").split("\0", 3)
                yield LogEntry(sha=sha, parent=parent, date=date, subject=subject.rstrip("\n"))
            if process.wait() != 0:
                raise self._unreadable("git log ended early")

    def changes(self, old: str, new: str) -> list[Change]:
        """The Python files that differ between two trees; renamed ones are found."""
        done = self._checked(
            *("diff-tree", "-r", "-z", "-M", "--raw", "--no-abbrev", "--no-relative"),
            *("--no-ext-diff", old, new, "--", ":(top)*.py"),
        )
        fields = iter(done.split(b"\0"))
        found = []
        for header in fields:
            if not header:
                continue
            old_mode, new_mode, old_sha, new_sha, status = header.removeprefix(b":").split(b" ")
            path = next(fields)
            if status.startswith(b"R"):
                path = next(fields)
            old_text = old_sha.decode() if old_mode in _REGULAR_MODES else ""
            new_text = new_sha.decode() if new_mode in _REGULAR_MODES else ""
            found.append(Change(path=path, old=old_text, new=new_text))
        return [change for change in found if change.old or change.new]

    def diff(self, old: str, new: str) -> tuple[set[int], list[bytes]]:
        """Indexes of the lines that ``new`` adds, and the lines of ``old`` it removes.

        Args:
            old: hash of a file's content.
            new: hash of another.
        """
        done = self._checked(
            *("diff", "--unified=0", "--inter-hunk-context=0", "--no-color", "--no-ext-diff"),
            *("--no-textconv", "--diff-algorithm=histogram", "--no-indent-heuristic"),
            *("--ignore-cr-at-eol", "--output-indicator-new=+", "--output-indicator-old=-"),
            *(old, new, "--"),
        )
        added: set[int] = set()
        removed: list[bytes] = []
        inside = False
        for line in done.split(b"\n"):
            if line.startswith(b"@@ "):
                inside = True
                start, _, length = line.split(b" ")[2].removeprefix(b"+").partition(b",")
                first = int(start) - 1
                added.update(range(first, first + int(length or b"1")))
            elif inside and line.startswith(b"-"):
                removed.append(line[1:])
        return added, removed

    def tree(self, commit: str) -> list[Blob]:
        """The regular files of a commit; links and submodules are left out."""
        done = self._checked("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        blobs = []
        for entry in done.split(b"\0"):
            header, _, path = entry.partition(b"\t")
            mode, _, rest = header.partition(b" ")
            if mode in _REGULAR_MODES:
                _, sha, size = rest.split()
                if not size.isdigit():
                    raise self._unreadable(f"the object {sha.decode()} is missing")
                blobs.append(Blob(path=path, sha=sha.decode(), n_bytes=int(size)))
        return blobs

    def contents(self, shas: Iterable[str]) -> Iterator[bytes]:
        """The contents of blobs, in the order asked for.

        Raises:
            UsageError: ``repository_unreadable``, one is missing.
        """
        with self._process("cat-file", "--batch") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for sha in shas:
                try:
                    process.stdin.write(sha.encode() + b"\n")
                    process.stdin.flush()
                except BrokenPipeError:
                    raise self._unreadable("git cat-file ended early") from None
                header = process.stdout.readline().split()
                if len(header) != 3 or header[1] != b"blob":
                    raise self._unreadable(f"the object {sha} is missing")
                yield process.stdout.read(int(header[2]))
                process.stdout.read(1)

    @contextlib.contextmanager
    def _process(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A running git; it is ended with the block, whatever it still has to say."""
        with subprocess.Popen(
            [*self._command(), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def _command(self) -> list[str]:
        return ["git", "--no-pager", "-C", str(self.path), *_OFF]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [*self._command(), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=_environment(),
                check=False,
            )
        except OSError as error:
            raise UsageError(
                "There is no git on this machine, which reads the repository.",
                code="git_missing",
                hint="Install git and run the same command again.",
            ) from error

    def _checked(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise self._unreadable(_reason(done.stderr))
        return done.stdout

    def _unreadable(self, reason: str) -> UsageError:
        return UsageError(
            f"git cannot read {self.path}: {reason}.",
            code="repository_unreadable",
            hint="It may be damaged (check it with: git fsck) or a partial clone (complete it "
            "with: git fetch --refetch --no-filter).",
        )


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _REMOVED}
    return {**kept, **_ENVIRONMENT}


def _reason(stderr: bytes) -> str:
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return (
        lines[0].strip().removeprefix("fatal: ").rstrip(".")[:300]
        if lines
        else "git gave no reason"
    )
