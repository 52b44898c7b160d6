"""Fetch a model from the Hugging Face hub, at a pinned revision.

The bytes are streamed by the hub client's HTTP session into midfill's own partial file. No token
is sent: the models are public.
"""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from lsp_server import __version__
from lsp_server.errors import FetchError, MidfillError
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.partial import Partial

_CONNECT_S = 6.0
_READ_S = 30.0
# Name look-ups know no timeout of their own, so the first contact gets one from outside.
_FIRST_CONTACT_S = 10.0
_MAX_ATTEMPTS = 4
_MAX_PAUSE_S = 8.0
_HEADERS = {"User-Agent": f"midfill/{__version__}", "Accept-Encoding": "identity"}
_TRUE = ("1", "true", "yes", "on")


class Hub:
    """The source "Hugging Face hub".

    Args:
        endpoint: base URL of the hub; None is the client's own default (or ``HF_ENDPOINT``).
        sleep: waits a number of seconds before another attempt.
    """

    name = "the Hugging Face hub"
    extra_bytes = 0

    def __init__(
        self, endpoint: str | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._endpoint = endpoint
        self._sleep = sleep

    def unavailable(self, entry: ModelEntry) -> str:
        """Why this source cannot deliver that model; "" if it may."""
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE:
            return "HF_HUB_OFFLINE is set"
        if importlib.util.find_spec("huggingface_hub") is None:
            return "huggingface_hub is not installed (pip install 'midfill[local]')"
        return self._first_contact(self._url(entry))

    def fetch(self, entry: ModelEntry, partial: Partial, on_bytes: Callable[[int], None]) -> None:
        """Append the bytes that are missing.

        Args:
            entry: the model.
            partial: where the bytes go; those in it are not fetched again.
            on_bytes: called with the number of bytes there.

        Raises:
            FetchError: ``download_failed`` (what is there stays), ``hash_mismatch`` when the
                file there is longer than it should be, or ``disk_full``.
        """
        url = self._url(entry)
        failure: Exception | None = None
        n_failures = 0
        while partial.n_bytes < entry.size_bytes and n_failures < _MAX_ATTEMPTS:
            before = partial.n_bytes
            try:
                self._stream(url, entry, partial, on_bytes)
            except MidfillError:
                raise
            except Exception as error:  # the session's own kinds, whatever HTTP library it uses
                failure = error
                self._sleep(min(2.0**n_failures, _MAX_PAUSE_S))
            n_failures = 0 if partial.n_bytes > before else n_failures + 1
        if partial.n_bytes < entry.size_bytes:
            raise FetchError(
                f"The download from {self.name} broke off: {_reason(failure)}",
                code="download_failed",
                hint="Check the network and run the same command again; it goes on where it "
                "stopped.",
            ) from failure

    def _url(self, entry: ModelEntry) -> str:
        from huggingface_hub import hf_hub_url

        url: str = hf_hub_url(
            entry.repo, entry.filename, revision=entry.revision, endpoint=self._endpoint
        )
        return url

    def _first_contact(self, url: str) -> str:
        """Ask once for the file's headers; "" if the hub has it, else why not."""
        answer: list[str] = []

        def ask() -> None:
            try:
                status = (
                    self._session()
                    .head(url, headers=_HEADERS, timeout=_CONNECT_S, follow_redirects=False)
                    .status_code
                )
            except Exception as error:  # as in fetch
                answer.append(f"it cannot be reached: {_reason(error)}")
            else:
                answer.append("" if status < 400 else f"it answers with status {status}")

        thread = threading.Thread(target=ask, daemon=True, name="midfill-hub")
        thread.start()
        thread.join(_FIRST_CONTACT_S)
        return answer[0] if answer else "it cannot be reached: no answer"

    def _stream(
        self, url: str, entry: ModelEntry, partial: Partial, on_bytes: Callable[[int], None]
    ) -> None:
        start = partial.n_bytes
        headers = {**_HEADERS, "Range": f"bytes={start}-"} if start else _HEADERS
        with self._session().stream(
            "GET", url, headers=headers, timeout=(_CONNECT_S, _READ_S, _READ_S, _CONNECT_S)
        ) as response:
            response.raise_for_status()
            if start and response.status_code != 206:
                partial.truncate(0)
            for block in response.iter_bytes():
                if partial.n_bytes + len(block) > entry.size_bytes:
                    partial.discard()
                    raise FetchError(
                        f"{self.name.capitalize()} sends more bytes than {entry.id} has.",
                        code="hash_mismatch",
                        hint="Nothing was kept. Check for a proxy that changes downloads.",
                    )
                partial.append(block)
                on_bytes(partial.n_bytes)

    def _session(self) -> Any:
        from huggingface_hub import get_session

        return get_session()


def _reason(error: Exception | None) -> str:
    text = str(error).strip().splitlines()
    return f"{text[0][:200]}" if text else type(error).__name__
