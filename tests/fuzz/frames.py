"""Random damage to a stream of LSP frames; the request behind the damage must still arrive.

``python -m tests.fuzz.frames --frames 100000`` makes the long run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys

import msgspec

from lsp_server.lifecycle.frames import Fault, FrameParser, Message, frame

MAX_BODY_BYTES = 4096


class Report(msgspec.Struct, kw_only=True):
    """What a run did.

    Args:
        seed: the run's seed.
        n_frames: frames sent, the damaged ones and the valid ones behind them.
        n_faults: faults the parser reported.
        kinds: number of damaged frames of each kind.
        lost: descriptions of valid messages that did not arrive.
    """

    seed: int
    n_frames: int = 0
    n_faults: int = 0
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    lost: list[str] = msgspec.field(default_factory=list)


def run(n_frames: int, seed: int) -> Report:
    """Send ``n_frames`` frames, every second one valid, in chunks cut at random."""
    rng = random.Random(seed)
    report = Report(seed=seed)
    parser = FrameParser(MAX_BODY_BYTES)
    while report.n_frames < n_frames and not report.lost:
        kind = rng.choice(list(DAMAGE))
        marker = f"m{report.n_frames}"
        # A waiting client sends nothing more until it is answered, so the valid frame must
        # come through without any bytes after it.
        data = DAMAGE[kind](rng) + valid_frame(rng, marker)
        report.n_frames += 2
        report.kinds[kind] = report.kinds.get(kind, 0) + 1
        arrived = False
        for chunk in chunks(rng, data):
            for event in parser.feed(chunk):
                report.n_faults += isinstance(event, Fault)
                arrived = arrived or (
                    isinstance(event, Message)
                    and isinstance(event.value, dict)
                    and event.value.get("id") == marker
                )
        if not arrived:
            report.lost.append(f"seed {seed}, {marker}, {kind}: {data[:400]!r}")
    return report


def chunks(rng: random.Random, data: bytes) -> list[bytes]:
    """Cut bytes into pieces of one size, of random sizes, or not at all."""
    size = rng.choice((1, 3, 17, 64, 0, 0))
    if size == 0:
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(4)))
        edges = [0, *cuts, len(data)]
        return [data[a:b] for a, b in itertools.pairwise(edges)]
    return [data[at : at + size] for at in range(0, len(data), size)]


def request(marker: str, filler: str = "") -> bytes:
    """The body of a request that can be told by its id."""
    message = {"jsonrpc": "2.0", "id": marker, "method": "fuzz/ping", "params": {"text": filler}}
    return json.dumps(message).encode()


def valid_frame(rng: random.Random, marker: str) -> bytes:
    """A frame that must get through, in one of the forms clients write."""
    body = request(marker, "Content-Length: 7\r\n\r\n" * rng.randrange(3))
    name = rng.choice((b"Content-Length", b"content-length", b"CONTENT-LENGTH"))
    extra = b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n"
    after = extra if rng.random() < 0.3 else b""
    return b"%b: %d\r\n%b\r\n%b" % (name, len(body), after, body)


def _body(rng: random.Random) -> bytes:
    return request("damaged", "x" * rng.randrange(200))


def _with_length(length: bytes, body: bytes) -> bytes:
    return b"Content-Length: " + length + b"\r\n\r\n" + body


def _too_short(rng: random.Random) -> bytes:
    body = _body(rng)
    return _with_length(b"%d" % rng.randrange(len(body)), body)


def _too_long(rng: random.Random) -> bytes:
    body = _body(rng)
    return _with_length(b"%d" % (len(body) + rng.randrange(1, 2000)), body)


def _number(rng: random.Random) -> bytes:
    bad = (b"-1", b"-99999999999", b"+5", b"0x10", b"1e3", b"", b"five", b"9" * 30, b"9" * 5000)
    return _with_length(rng.choice(bad), _body(rng))


def _huge(rng: random.Random) -> bytes:
    return _with_length(b"%d" % rng.randrange(MAX_BODY_BYTES + 1, 2**40), _body(rng))


def _refused(rng: random.Random) -> bytes:
    return frame(request("damaged", "y" * (MAX_BODY_BYTES + rng.randrange(5000))))


def _duplicate(rng: random.Random) -> bytes:
    body = _body(rng)
    other = b"Content-Length: %d\r\n" % rng.randrange(2 * len(body))
    return other + frame(body)


def _bad_json(rng: random.Random) -> bytes:
    bad = (
        b"",
        b"{",
        b"nope",
        b"{'a': 1}",
        b"[" * 3000,
        b'{"a": "\n"}',
        b"\x00\xff\xfe",
        b"9" * 4090,
    )
    return frame(rng.choice(bad))


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(300))


def _text_noise(rng: random.Random) -> bytes:
    pieces = (
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"Content-Length",
        b":",
        b" ",
        b"12",
        b"{}",
        b"GET / HTTP/1.1",
    )
    return b"".join(rng.choices(pieces, k=rng.randrange(20)))


def _no_length(rng: random.Random) -> bytes:
    return b"Content-Type: application/json\r\n\r\n" + _body(rng)


def _cut_off(rng: random.Random) -> bytes:
    whole = frame(_body(rng))
    return whole[: rng.randrange(len(whole))]


def _endless_header(rng: random.Random) -> bytes:
    return b"X-Filler: " + b"z" * rng.randrange(20_000)


DAMAGE = {
    "none": lambda rng: frame(_body(rng)),
    "too_short": _too_short,
    "too_long": _too_long,
    "number": _number,
    "huge": _huge,
    "refused": _refused,
    "duplicate": _duplicate,
    "bad_json": _bad_json,
    "noise": _noise,
    "text_noise": _text_noise,
    "no_length": _no_length,
    "cut_off": _cut_off,
    "endless_header": _endless_header,
}


def main(argv: list[str] | None = None) -> int:
    """Run the fuzz from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args(argv)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(2**32)
    report = run(args.frames, seed)
    print(f"seed {seed}: {report.n_frames} frames, {report.n_faults} faults, {report.kinds}")
    for lost in report.lost:
        print("lost:", lost)
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
