"""Frames: what is accepted, what is refused, and where reading goes on."""

from __future__ import annotations

import pytest

from lsp_server.lifecycle.frames import MAX_BODY_BYTES, Fault, FrameParser, Message, frame

PING = b'{"id":1}'


def parse(*chunks: bytes, limit: int = 1000) -> list[object]:
    """Values and fault codes that come out of a stream."""
    parser = FrameParser(limit)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return [event.value if isinstance(event, Message) else event.code for event in events]


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 8\r\n\r\n",
        b"content-length:8\r\n\r\n",
        b"CONTENT-LENGTH:  8  \r\n\r\n",
        b"Content-Length: 8\n\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 8\r\n\r\n",
        b"Content-Length: 8\r\ncontent-type: x\r\n\r\n",
        b"Content-Length: 8\r\nContent-Length: 8\r\n\r\n",
        b"Content-Length: 008\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_headers_in_any_case_and_order_cut_anywhere(header: bytes, size: int) -> None:
    """Header names know no case, other headers are skipped, chunks may end at any byte."""
    data = (header + PING) * 2
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert parse(*chunks) == [{"id": 1}, {"id": 1}]


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        (b"Content-Length: -8\r\n\r\n" + PING, "bad_length"),
        (b"Content-Length: 8.0\r\n\r\n" + PING, "bad_length"),
        (b"Content-Length: \r\n\r\n" + PING, "bad_length"),
        (b"Content-Length: 1001\r\n\r\n" + PING, "too_large"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + PING, "too_large"),
        (b"Content-Length: 900\r\n\r\n" + PING, "bad_length"),
        (b"Content-Type: json\r\n\r\n" + PING, "bad_header"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "bad_header"),
        (b"x" * 9000, "bad_header"),
        (frame(b"{nope}"), "bad_json"),
        (frame(b""), "bad_json"),
        (frame(b"[" * 990), "bad_json"),
        (frame(b"9" * 990 + b"x"), "bad_json"),
        (b"Content-Length: 5\r\n\r\n" + PING, "bad_json"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_damaged_frame_is_reported_and_the_next_one_read(
    damaged: bytes, fault: str, size: int
) -> None:
    """Each kind of damage has its code, and costs no message behind it."""
    data = damaged + frame(PING)
    found = parse(*(data[at : at + size] for at in range(0, len(data), size)))
    assert found[0] == fault
    assert found[-1] == {"id": 1}
    assert found.count({"id": 1}) == 1


def test_two_different_lengths_are_reported() -> None:
    """A frame with two lengths is no reason to lose the next one."""
    data = b"Content-Length: 3\r\nContent-Length: 8\r\n\r\n" + PING + frame(b'{"id":2}')
    found = parse(data)
    assert found[0] == "bad_length"
    assert found[-1] == {"id": 2}


def test_text_that_looks_like_a_header_is_text() -> None:
    """A document about LSP does not confuse the parser, cut anywhere."""
    body = b'{"text":"Content-Length: 5\\r\\n\\r\\nhello\\nContent-Length: 7\\n\\n"}'
    data = frame(body)
    assert parse(*(data[at : at + 1] for at in range(len(data)))) == [
        {"text": "Content-Length: 5\r\n\r\nhello\nContent-Length: 7\n\n"}
    ]


def test_invalid_utf8_costs_characters_not_the_message() -> None:
    """An edit with a stray byte keeps its place in the stream of edits."""
    assert parse(frame(b'{"text":"a\xffb"}')) == [{"text": "a\ufffdb"}]


def test_more_than_64_mib_are_refused_without_keeping_them() -> None:
    """The limit holds for a frame that really is that long, and memory does not grow."""
    parser = FrameParser()
    chunk = b'"' + b"x" * (1024 * 1024 - 1)
    n_chunks = MAX_BODY_BYTES // len(chunk) + 1
    events = parser.feed(b"Content-Length: %d\r\n\r\n" % (n_chunks * len(chunk)))
    for _ in range(n_chunks):
        events += parser.feed(chunk)
        assert len(parser._buffer) <= len(chunk) + 100
    events += parser.feed(frame(PING))
    first, last = events
    assert isinstance(first, Fault)
    assert first.code == "too_large"
    assert str(MAX_BODY_BYTES) in first.message
    assert last == Message(value={"id": 1})


def test_messages_of_faults_hold_no_content() -> None:
    """What a fault says never quotes the frame."""
    parser = FrameParser(1000)
    events = parser.feed(
        b"secret line\r\n\r\n"
        + frame(b"{secret")
        + frame(PING)
        + b"Content-Length: secret\r\n\r\n"
        + frame(PING)
    )
    faults = [event for event in events if isinstance(event, Fault)]
    assert len(faults) == 3
    assert not any("secret" in fault.message for fault in faults)
