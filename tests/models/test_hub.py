"""The hub as a source, against an HTTP server of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lsp_server.errors import FetchError
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.hub import Hub
from lsp_server.models.partial import Partial
from tests.models.conftest import TINY_BYTES

pytest.importorskip("huggingface_hub")


class HubServer(ThreadingHTTPServer):
    """Serves one file as the hub does.

    Args in attributes: ``body``; ``breaks_at``: the first answer ends after that many bytes;
    ``ranges``: False ignores the Range header; ``status``: answer to everything.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = TINY_BYTES
        self.breaks_at: int | None = None
        self.ranges = True
        self.status = 200
        self.asked: list[tuple[str, str, str | None]] = []
        self.tokens: list[str | None] = []

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        body = self._answer()
        if self.server.breaks_at is not None:
            body, self.server.breaks_at = body[: self.server.breaks_at], None
        if self.server.status == 200:
            self.wfile.write(body)

    def _answer(self) -> bytes:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.command, self.path, wanted))
        self.server.tokens.append(self.headers.get("Authorization"))
        body, status = self.server.body, self.server.status
        if wanted and self.server.ranges and status == 200:
            body = body[int(wanted.removeprefix("bytes=").removesuffix("-")) :]
            status = 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[HubServer]:
    """A running server."""
    running = HubServer()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def partial(tiny: ModelEntry, folder: Path) -> Iterator[Partial]:
    """Where the bytes go."""
    folder.mkdir(parents=True)
    opened = Partial(folder / tiny.filename, tiny.sha256)
    yield opened
    opened.close()


def hub(server: HubServer) -> Hub:
    """The source, without pauses."""
    return Hub(server.url, sleep=lambda seconds: None)


def test_pinned_file_is_streamed(tiny: ModelEntry, server: HubServer, partial: Partial) -> None:
    """The file is asked for at the pinned revision, without a token."""
    source = hub(server)
    counts: list[int] = []
    assert source.unavailable(tiny) == ""
    source.fetch(tiny, partial, counts.append)
    assert partial.path.read_bytes() == TINY_BYTES
    assert counts[-1] == tiny.size_bytes
    path = f"/{tiny.repo}/resolve/{tiny.revision}/{tiny.filename}"
    assert server.asked == [("HEAD", path, None), ("GET", path, None)]
    assert server.tokens == [None, None]


def test_broken_connection_is_resumed(
    tiny: ModelEntry, server: HubServer, partial: Partial
) -> None:
    """After a break only the missing bytes are asked for."""
    server.breaks_at = 5000
    hub(server).fetch(tiny, partial, lambda n: None)
    assert partial.path.read_bytes() == TINY_BYTES
    assert [wanted for _, _, wanted in server.asked] == [None, "bytes=5000-"]


def test_earlier_bytes_are_kept(tiny: ModelEntry, server: HubServer, partial: Partial) -> None:
    """What an interrupted run fetched is not fetched again."""
    partial.append(TINY_BYTES[:1000])
    hub(server).fetch(tiny, partial, lambda n: None)
    assert partial.path.read_bytes() == TINY_BYTES
    assert server.asked[0][2] == "bytes=1000-"


def test_server_without_ranges_starts_over(
    tiny: ModelEntry, server: HubServer, partial: Partial
) -> None:
    """If the server sends the whole file anyway, it is not appended to what is there."""
    server.ranges = False
    partial.append(b"x" * 1000)
    hub(server).fetch(tiny, partial, lambda n: None)
    assert partial.path.read_bytes() == TINY_BYTES


def test_longer_file_is_refused(tiny: ModelEntry, server: HubServer, partial: Partial) -> None:
    """More bytes than the model has are not taken, and nothing is kept."""
    server.body = TINY_BYTES + b"more"
    with pytest.raises(FetchError) as caught:
        hub(server).fetch(tiny, partial, lambda n: None)
    assert caught.value.code == "hash_mismatch"
    assert not partial.path.exists()


def test_failing_server_ends_after_some_attempts(
    tiny: ModelEntry, server: HubServer, partial: Partial
) -> None:
    """A server that fails again and again ends in an error, with pauses between attempts."""
    server.status = 500
    pauses: list[float] = []
    with pytest.raises(FetchError) as caught:
        Hub(server.url, sleep=pauses.append).fetch(tiny, partial, lambda n: None)
    assert caught.value.code == "download_failed"
    assert pauses == sorted(pauses)
    assert len(pauses) == len(server.asked) > 1


def test_file_that_is_not_there(tiny: ModelEntry, server: HubServer) -> None:
    """A hub that does not have the file is passed over."""
    server.status = 404
    assert "404" in hub(server).unavailable(tiny)


def test_unreachable_hub(tiny: ModelEntry, server: HubServer) -> None:
    """A hub that nobody answers for is passed over."""
    server.shutdown()
    server.server_close()
    assert "cannot be reached" in hub(server).unavailable(tiny)


def test_offline_switch_is_respected(
    tiny: ModelEntry, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HF_HUB_OFFLINE nothing is asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in hub(server).unavailable(tiny)
    assert server.asked == []


def test_absent_client_is_explained(tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without huggingface_hub the reason says how to get it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "midfill[local]" in Hub().unavailable(tiny)
