"""A model of llama.cpp's KV cache that checks how it is used.

Cells hold a token, a position and the sequences they belong to, as in llama.cpp. What comes
next depends on every token of the sequence at its position, so a prompt that was put together
wrongly gives another text.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from context.types import Segment
from lsp_server.engine.llama.adapters import NO_ADAPTERS, AdapterSet, File
from lsp_server.engine.llama.healing import NO_IDS, Ids
from lsp_server.engine.llama.model import Aborted, ContextFull, Entry
from lsp_server.engine.llama.reuse import Block
from lsp_server.engine.llama.sampler import Logits, Picked
from lsp_server.engine.llama.tokenizer import Encoded
from lsp_server.engine.protocol import Adapter, Generate
from lsp_server.models.adapter import invalid

_ROLES = {"fim_prefix": (1,), "fim_suffix": (2,), "fim_middle": (3,)}
_STOP = 4
_N_UBATCH = 16


class Cell:
    """An entry of the cache; it depends on the adapters it was evaluated with."""

    def __init__(self, token: int, position: int, seq_id: int, adapters: AdapterSet) -> None:
        self.adapters = adapters
        self.token = token
        self.position = position
        self.sequences = {seq_id}


class FakeSampler:
    """Takes what the fake predicts."""

    def pick(self, logits: Logits, banned: Ids = NO_IDS) -> Picked:
        """The likeliest token."""
        logits = np.delete(logits, banned) if len(banned) else logits
        return Picked(int(np.argmax(logits)), -0.5)

    def accept(self, token: int) -> None:
        """What was generated before changes nothing."""

    def close(self) -> None:
        """Nothing to free."""


class FakeAdapters:
    """Sets of adapters without files: the fake predicts another text for each.

    Attributes:
        in_force: the set on the context.
    """

    names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.in_force: AdapterSet = NO_ADAPTERS
        self.n_switches = 0
        self._loaded: set[AdapterSet] = {NO_ADAPTERS}

    def load(self, wanted: Sequence[Adapter], in_use: Collection[AdapterSet] = ()) -> AdapterSet:
        """Make a set known, and forget those that nobody needs."""
        adapters = fake_set(wanted)
        self._loaded = {NO_ADAPTERS, adapters, self.in_force, *in_use}
        return adapters

    def use(self, adapters: AdapterSet) -> None:
        """Put a set on the context."""
        assert adapters in self._loaded
        self.n_switches += adapters != self.in_force
        self.in_force = adapters


def fake_set(wanted: Sequence[Adapter]) -> AdapterSet:
    """The set of some adapters; a path that says so cannot be used."""
    if any("bad" in adapter.path for adapter in wanted):
        raise invalid(Path("/bad"), "it is bad")
    return tuple((File(adapter.path, 0, 0, 0), adapter.scale) for adapter in wanted)


class FakeTokenizer:
    """A token a character."""

    fim: ClassVar[dict[str, int]] = {role: ids[0] for role, ids in _ROLES.items()}

    n_vocab = 0x110000

    def encode(self, segments: Sequence[Segment], heal_bytes: int = 0) -> Encoded:
        """Markers and characters."""
        parts = [[*_ROLES.get(segment.role, ()), *map(ord, segment.text)] for segment in segments]
        return Encoded([*itertools.chain(*parts)], tuple(map(len, parts)), b"")

    def tokenize(self, text: str) -> list[int]:
        """Characters."""
        return [*map(ord, text)]

    stop_ids = np.array([_STOP], dtype=np.int32)

    def is_stop(self, token: int) -> bool:
        """Whether it ends a text."""
        return token == _STOP

    def piece(self, token: int) -> bytes:
        """The character."""
        return chr(token).encode()


class FakeLlama:
    """Stands in for LlamaModel.

    Args:
        n_ctx: cells.
        seed: of the aborts that come in the middle of a batch.
        copies: whether the model often goes on as the text did before, as real ones do.
    """

    can_shift = True
    shift_pending = False
    n_threads = 1
    n_gpu_layers = 0
    flash_attention = True
    status = None
    notice = ""
    kv_recipe = ("fake",)

    def __init__(self, n_ctx: int, seed: int = 0, *, copies: bool = False) -> None:
        self.tokenizer = FakeTokenizer()
        self.adapters = FakeAdapters()
        self.n_ctx = n_ctx
        self.n_ubatch = 2 * _N_UBATCH
        self.n_evaluated = self.n_batches = 0
        self.copies = copies
        self.n_evaluated = 0
        self.n_loaded = 0
        self.predicted: dict[int, int] = {}
        self.before_ubatch: Any = lambda: None
        self._cells: list[Cell] = []
        # Moved, and their keys not rotated yet: llama.cpp does that before the next batch.
        self._pending: set[Cell] = set()
        self._aborted = False
        self._chance = random.Random(seed)

    def sampler(self, params: object) -> FakeSampler:
        """What picks."""
        return FakeSampler()

    def logits(self, index: int) -> Logits:
        """Those that are highest at the token behind an entry."""
        token = self.predicted[index]
        return np.arange(token + 1, dtype=np.float32)

    # -- cells ---------------------------------------------------------------------------

    def abort(self) -> None:
        """Stop before the next piece of a batch."""
        self._aborted = True

    def clear_abort(self) -> None:
        """Go on."""
        self._aborted = False

    def decode(self, entries: Sequence[Entry]) -> None:
        """Evaluate, in pieces, between which an abort takes effect."""
        if len(self._cells) + len(entries) > self.n_ctx:
            raise ContextFull
        self.n_batches += 1
        self._pending.clear()
        for start in range(0, len(entries), _N_UBATCH):
            self.before_ubatch()
            if self._aborted:
                raise Aborted
            for index in range(start, min(start + _N_UBATCH, len(entries))):
                self._evaluate(index, entries[index])

    def _evaluate(self, index: int, entry: Entry) -> None:
        assert entry.position == self.evaluated_length(entry.seq_id), "positions must follow on"
        adapters = self.adapters.in_force
        self._cells.append(Cell(entry.token, entry.position, entry.seq_id, adapters))
        self.n_evaluated += 1
        if entry.wants_logits:
            assert all(cell.adapters == adapters for cell in self._of(entry.seq_id))
            tokens = self.sequence(entry.seq_id)
            self.predicted[index] = predict(tokens, adapters, copies=self.copies)
        else:
            self.predicted.pop(index, None)

    def sequence(self, seq_id: int) -> list[int]:
        """Tokens of a sequence in the order of their positions; no position may be missing."""
        cells = sorted(self._of(seq_id), key=lambda cell: cell.position)
        assert [cell.position for cell in cells] == list(range(len(cells)))
        return [cell.token for cell in cells]

    def evaluated_length(self, seq_id: int) -> int:
        """One more than the highest position."""
        return max((cell.position for cell in self._of(seq_id)), default=-1) + 1

    def truncate(self, seq_id: int, length: int) -> None:
        """Forget the end."""
        self.drop(seq_id, length, 10**9)

    def drop(self, seq_id: int, start: int, end: int) -> None:
        """Forget a range."""
        for cell in self._of(seq_id):
            if start <= cell.position < end:
                cell.sequences.discard(seq_id)
        self._cells = [cell for cell in self._cells if cell.sequences]

    def move(self, seq_id: int, start: int, end: int, n_places: int) -> None:
        """Give a range other positions."""
        for cell in self._of(seq_id):
            if start <= cell.position < end:
                assert cell.sequences == {seq_id}, "shared cells moved"
                cell.position += n_places
                self._pending.add(cell)

    def share(self, donor: int, seq_id: int, length: int) -> None:
        """Let a sequence have the beginning of another too."""
        self.truncate(seq_id, 0)
        self._copy(donor, seq_id, 0, length)

    def park(self, seq_id: int, parking: int, blocks: Sequence[Block], n_kept: int) -> None:
        """Take blocks aside."""
        assert not self._of(parking)
        for block in blocks:
            self._copy(seq_id, parking, block.source, block.source + block.length)
        self.truncate(seq_id, n_kept)
        parked = {id(c): c.position for c in self._of(parking)}
        for block in blocks:
            for cell in self._of(parking):
                if block.source <= parked[id(cell)] < block.source + block.length:
                    assert block.shift == 0 or cell.sequences == {parking}, "shared cells moved"
                    cell.position = parked[id(cell)] + block.shift
                    if block.shift:
                        self._pending.add(cell)

    def unpark(self, seq_id: int, parking: int, start: int, end: int) -> None:
        """Give a range back."""
        self._copy(parking, seq_id, start, end)
        self.drop(parking, start, end)

    def state_bytes(self, seq_id: int) -> int:
        """Size of a state."""
        return len(self._state(self._of(seq_id)))

    def save_state(self, seq_id: int, parking: int, length: int) -> bytearray:
        """The beginning of a sequence."""
        assert not self._of(parking)
        cells = sorted(self._of(seq_id), key=lambda cell: cell.position)[:length]
        assert [cell.position for cell in cells] == list(range(length))
        assert self._pending.isdisjoint(cells), "keys not rotated yet"
        return bytearray(self._state(cells))

    def load_state(self, seq_id: int, state: bytearray | memoryview, length: int) -> bool:
        """Put a state into cells of its own."""
        self.truncate(seq_id, 0)
        cells = msgspec.json.decode(bytes(state), type=list[tuple[int, AdapterSet]])
        if len(cells) != length or len(self._cells) + length > self.n_ctx:
            return False
        self._cells += [Cell(token, at, seq_id, sets) for at, (token, sets) in enumerate(cells)]
        self.n_loaded += 1
        return True

    @staticmethod
    def _state(cells: list[Cell]) -> bytes:
        return msgspec.json.encode([(cell.token, cell.adapters) for cell in cells])

    def _copy(self, source: int, target: int, start: int, end: int) -> None:
        for cell in self._of(source):
            if start <= cell.position < end:
                cell.sequences.add(target)

    def _of(self, seq_id: int) -> list[Cell]:
        return [cell for cell in self._cells if seq_id in cell.sequences]

    def close(self) -> None:
        """Nothing to free."""


def predict(
    tokens: Sequence[int], adapters: AdapterSet = NO_ADAPTERS, *, copies: bool = False
) -> int:
    """What follows on a sequence: a letter, or in one of twelve cases the end.

    With ``copies``, mostly what followed the text's last few tokens where they stood before.
    """
    digest = hashlib.sha256(repr([*tokens, *adapters]).encode()).digest()
    if copies and digest[2] % 5:
        (suffix,), (middle,) = _ROLES["fim_suffix"], _ROLES["fim_middle"]
        text = [*tokens[: tokens.index(suffix)], *tokens[tokens.index(middle) + 1 :]]
        for size in (3, 2, 1):
            for at in range(len(tokens) - 2, size, -1):
                if tokens[at - size : at] == text[-size:] and tokens[at] > _STOP:
                    return tokens[at]
    return _STOP if digest[0] % 12 == 0 else ord("a") + digest[1] % 26


def expected_text(llama: FakeLlama, request: Generate) -> str:
    """What a request must give."""
    tokens = list(llama.tokenizer.encode(request.segments).tokens)
    adapters = fake_set(request.adapters)
    text = ""
    n_most = request.sampling.max_tokens
    while len(text) < n_most and (token := predict(tokens, adapters, copies=llama.copies)) != _STOP:
        tokens.append(token)
        text += chr(token)
    return text
