"""Prompts that outlive their slots and the engine: from the KV cache to disk, and back.

A prompt is saved in a longer pause, when the engine leaves, and when another one takes its slot,
and only its leading part without gaps: what was generated behind it is seldom wanted again. It
comes back when a request shares its beginning, or in the first pause after a start.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from context.sequences import common_prefix_length
from lsp_server import paths
from lsp_server.engine.job import Clock
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.llama import kv_store
from lsp_server.engine.llama.adapters import NO_ADAPTERS, AdapterSet
from lsp_server.engine.llama.kv_file import Meta
from lsp_server.engine.llama.kv_store import KvStore, Stored
from lsp_server.engine.llama.model import LlamaModel
from lsp_server.engine.llama.reuse import Plan, plan_reuse
from lsp_server.engine.llama.slots import Slot, SlotTable
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import StoreError

# Shorter prompts are evaluated sooner than a file is worth.
_MIN_TOKENS = 256
# A stored prompt is loaded if it spares at least so many tokens.
_MIN_GAIN = 64
_MAX_CANDIDATES = 3
# Prompts are saved when nobody asked for so long.
_SAVE_PAUSE_S = 30.0
# A start's prompts are loaded when nobody asks for so long.
_WARM_UP_PAUSE_S = 0.4
# Leaving may take so long; the process is ended a little later.
_LEAVE_S = 3.0
# How fast files are read and checked, and states taken, until it is known. Both are on the slow
# side of what was measured (0.5 to 4 GB/s).
_LOAD_BYTES_PER_MS = 300_000.0
_SAVE_BYTES_PER_MS = 300_000.0
# Smaller states tell nothing about the speed.
_MIN_TIMED_BYTES = 1024 * 1024
_NEWEST = 0.3
# While somebody waits, a prompt is saved only if that costs at most this share of what evaluating
# it again would.
_MAX_RESCUE_COST = 0.02

log = logging.getLogger("midfill.engine")


class Keeper:
    """Moves prompts between the slots and the disk.

    Args:
        llama: the model.
        table: its slots.
        store: where prompts lie; None keeps none.
        make_room: forgets other slots' prompts until a slot can hold so many tokens; False if
            too many are at work.

    Attributes:
        prefill_tokens_per_ms: how fast prompts are evaluated; 0 while it is not known.
        on_written: called, in another thread, when a file is written.
    """

    def __init__(
        self,
        llama: LlamaModel,
        table: SlotTable,
        store: KvStore | None,
        make_room: Callable[[Slot, int], bool],
    ) -> None:
        self.prefill_tokens_per_ms = 0.0
        self.on_written: Callable[[], None] = lambda: None
        self._llama = llama
        self._table = table
        self._store = store
        self._make_room = make_room
        # Who will ask with adapters, and where their files lie, is known only then.
        plain = [stored for stored in store.prompts if not stored.meta.adapters] if store else []
        self._to_warm = plain[: len(table.slots)]
        # By sequence: the file its text came from or went to, what was saved last, and its use.
        self._names: dict[int, str] = {}
        self._tried: dict[int, tuple[str, int]] = {}
        self._used_ns: dict[int, int] = {}
        self._started_ns = time.time_ns()
        self._active_s = time.monotonic()
        self._written = threading.Event()
        self._written.set()
        self._load_bytes_per_ms = _LOAD_BYTES_PER_MS
        self._save_bytes_per_ms = _SAVE_BYTES_PER_MS

    @property
    def n_prompts(self) -> int:
        """Prompts on disk that this engine can use."""
        return len(self._store.prompts) if self._store else 0

    @property
    def n_bytes(self) -> int:
        """What they take."""
        return sum(stored.n_bytes for stored in self._store.prompts) if self._store else 0

    def prefilled(self, clock: Clock) -> None:
        """The first token behind a prompt is known.

        That waits for a GPU as well, which the time of a single batch does not.
        """
        n_evaluated = clock.n_prompt - clock.n_reused
        if n_evaluated >= _MIN_GAIN and clock.n_generated > 0:
            speed = n_evaluated / max(clock.spent_ms["prefill"] + clock.since_mark_ms(), 1e-3)
            old = self.prefill_tokens_per_ms or speed
            self.prefill_tokens_per_ms = (1 - _NEWEST) * old + _NEWEST * speed

    def active(self) -> None:
        """Somebody is served."""
        self._active_s = time.monotonic()

    def warm_up(self, lanes: Lanes) -> bool:
        """Use a pause after the start to load a prompt; False if there is none to load."""
        if not self._to_warm:
            return False
        if not lanes.wait(_WARM_UP_PAUSE_S) and not lanes.closed:
            self._warm_up(self._to_warm.pop(0))
        return True

    def save(self, lanes: Lanes) -> bool:
        """Use a longer pause to save a prompt that changed; False if there is none to save now."""
        # While a file is being written, its end nudges the lanes.
        slot = next(iter(self._unsaved()), None) if self._written.is_set() else None
        if slot is None:
            return False
        pause_s = self._active_s + _SAVE_PAUSE_S - time.monotonic()
        if pause_s > 0:
            lanes.wait(pause_s)
        else:
            self._save_behind(slot)
        return True

    def close(self, *, save: bool) -> None:
        """Save what changed, the prompt used last first, as far as there is time.

        Args:
            save: False leaves the disk as it is.
        """
        until_s = time.monotonic() + _LEAVE_S
        if self._store is None or not save or not self._written.wait(_LEAVE_S):
            return
        for slot in self._unsaved():
            if time.monotonic() > until_s:
                return
            if (taken := self._take(slot)) is not None:
                self._put(*taken)

    # -- from disk -----------------------------------------------------------------------

    def restore(self, slot: Slot, plan: Plan, tokens: list[int]) -> Plan | None:
        """Load the stored prompt that spares most of a wanted one, if that is the quicker way.

        It is where evaluating the spared tokens takes longer than loading, both as measured on
        this machine. Before the first measurement the file tells how fast its writer was.

        Args:
            slot: free; chosen for the prompt, and marked with its adapters.
            plan: how to get to the prompt from what the slot holds.
            tokens: the prompt.

        Returns:
            The plan from what the slot holds now; None if it is as it was.
        """
        self._used_ns[slot.seq_id] = time.time_ns()
        adapters = key_of_set(slot.adapters)
        while (found := self._best(plan, tokens, adapters)) is not None:
            if not self._make_room(slot, len(found.meta.tokens)):
                return None
            if self._load(found, slot):
                return self._table.plan(slot, tokens, slot.adapters)
        return None

    def _best(self, plan: Plan, tokens: list[int], adapters: str) -> Stored | None:
        if self._store is None or plan.n_evaluated < _MIN_GAIN:
            return None
        usable = [stored for stored in self._store.prompts if stored.meta.adapters == adapters]
        shared = [(common_prefix_length(s.meta.tokens, tokens), s) for s in usable]
        near = sorted((s for s in shared if s[0] >= _MIN_TOKENS), key=lambda s: -s[0])
        best, most = None, _MIN_GAIN - 1
        for _, stored in near[:_MAX_CANDIDATES]:
            found = plan_reuse(stored.meta.tokens, tokens, move=self._table.can_move)
            gain = plan.n_evaluated - found.n_evaluated
            if gain > most and self._pays(stored, gain):
                best, most = stored, gain
        return best

    def _pays(self, stored: Stored, n_spared: int) -> bool:
        speed = self.prefill_tokens_per_ms or stored.meta.prefill_tokens_per_ms
        return not speed or n_spared / speed > stored.n_bytes / self._load_bytes_per_ms

    def _load(self, stored: Stored, slot: Slot, *, used: bool = True) -> bool:
        """Put a stored prompt into a slot; False if its file is bad, and the slot as it was.

        A state that llama.cpp does not take leaves the slot empty.
        """
        assert self._store is not None
        started_s = time.monotonic()
        try:
            if (loaded := self._store.load(stored, used=used)) is None:
                return False
        except MemoryError:
            self._store.discard(stored.name, "there is no memory for it")
            return False
        meta, payload = loaded
        slot.clear()
        with self._store.on_trial(stored.name):
            is_taken = self._llama.load_state(slot.seq_id, payload, len(meta.tokens))
        if not is_taken:
            self._store.discard(stored.name, "llama.cpp does not take it")
            return True
        self._load_bytes_per_ms = _learn(self._load_bytes_per_ms, len(payload), started_s)
        slot.tokens = list(meta.tokens)
        slot.n_prompt = len(slot.tokens)
        slot.n_drifted, slot.drifted_from = meta.n_drifted, meta.drifted_from
        self._names[slot.seq_id] = stored.name
        return True

    def _warm_up(self, stored: Stored) -> None:
        """Load a prompt into an empty slot; half of the cells stay free for what comes."""
        slots = self._table.slots
        empty = next((slot for slot in slots if not slot.tokens and not slot.busy), None)
        n_tokens = len(stored.meta.tokens)
        n_held = sum(len(slot.tokens) for slot in slots)
        if empty is None or 2 * (n_held + n_tokens) > self._llama.n_ctx:
            self._to_warm.clear()
        elif not any(_is_version(stored.meta.tokens, slot.tokens) for slot in slots):
            empty.adapters = NO_ADAPTERS
            self._load(stored, empty, used=False)
            # Those used last come first and are pushed out last.
            empty.last_used = min(slot.last_used for slot in slots) - 1

    # -- to disk -------------------------------------------------------------------------

    def rescue(self, slot: Slot) -> None:
        """A slot is about to lose its prompt, and somebody waits: save it if that is quick."""
        if self._store is None or not self._written.is_set() or not self._changed(slot):
            return
        if self.prefill_tokens_per_ms:
            again_ms = slot.n_whole / self.prefill_tokens_per_ms
            cost_ms = self._llama.state_bytes(slot.seq_id) / self._save_bytes_per_ms
            if cost_ms <= _MAX_RESCUE_COST * again_ms:
                self._save_behind(slot)

    def _unsaved(self) -> list[Slot]:
        changed = [slot for slot in self._table.slots if not slot.busy and self._changed(slot)]
        return sorted(changed, key=lambda slot: -slot.last_used)

    def _changed(self, slot: Slot) -> bool:
        """Whether a slot holds a prompt that is not on disk, or not as well evaluated."""
        n_tokens = slot.n_whole
        if self._store is None or n_tokens < _MIN_TOKENS:
            return False
        name = self._store.name_of(slot.tokens[:n_tokens], key_of_set(slot.adapters))
        n_drifted = _drift(slot)[0]
        if self._tried.get(slot.seq_id) == (name, n_drifted):
            return False
        stored = self._store.get(name)
        return stored is None or stored.meta.n_drifted > n_drifted

    def _take(self, slot: Slot) -> tuple[Meta, bytearray, str, int] | None:
        """What ``_put`` needs for the prompt of a slot; None if it cannot be had."""
        assert self._store is not None
        n_drifted, drifted_from = _drift(slot)
        meta = Meta(
            key=self._store.key,
            tokens=slot.tokens[: slot.n_whole],
            adapters=key_of_set(slot.adapters),
            n_drifted=n_drifted,
            drifted_from=drifted_from,
            prefill_tokens_per_ms=self.prefill_tokens_per_ms,
        )
        name = self._store.name_of(meta.tokens, meta.adapters)
        self._tried[slot.seq_id] = (name, n_drifted)
        if self._llama.state_bytes(slot.seq_id) > self._store.max_bytes:
            return None
        started_s = time.monotonic()
        try:
            state = self._llama.save_state(slot.seq_id, slot.parking, len(meta.tokens))
        except MemoryError:
            log.warning("a prompt cannot be saved: there is no memory for it")
            return None
        if not state:
            return None
        self._save_bytes_per_ms = _learn(self._save_bytes_per_ms, len(state), started_s)
        older = self._store.get(self._names.get(slot.seq_id, ""))
        self._names[slot.seq_id] = name
        is_newer = (
            older is not None
            and older.meta.adapters == meta.adapters
            and _is_version(older.meta.tokens, meta.tokens)
        )
        replaces = older.name if older and is_newer else ""
        return meta, state, replaces, self._used_ns.get(slot.seq_id, self._started_ns)

    def _save_behind(self, slot: Slot) -> None:
        """Take a slot's prompt now, and write it in another thread: a disk may be slow."""
        if (taken := self._take(slot)) is None:
            return
        self._written.clear()
        threading.Thread(target=self._write, args=taken, name="kv-writer", daemon=True).start()

    def _write(self, *taken: Any) -> None:
        try:
            self._put(*taken)
        finally:
            self._written.set()
            self.on_written()

    def _put(self, meta: Meta, state: bytearray, replaces: str, used_ns: int) -> None:
        try:
            if self._store is not None:
                self._store.put(meta, state, replaces=replaces, used_ns=used_ns)
        except Exception as error:
            log.error("a prompt cannot be saved: %s", type(error).__name__)


def open_store(options: EngineOptions, llama: LlamaModel, model_sha256: str) -> KvStore | None:
    """Where prompts of a model lie on disk; None if none are kept.

    Args:
        options: of the engine.
        llama: the loaded model.
        model_sha256: hash of its file; "" keeps nothing.
    """
    if not model_sha256 or not options.kv_store_mib:
        return None
    try:
        return KvStore(
            paths.kv_dir(),
            kv_store.key_of(model_sha256, llama.kv_recipe),
            options.kv_store_mib * 2**20,
            n_vocab=llama.tokenizer.n_vocab,
        )
    except StoreError as error:
        log.warning("no prompts are kept on disk: %s", error)
    except OSError as error:
        log.warning("no prompts are kept on disk: %s", error.strerror)
    return None


def key_of_set(adapters: AdapterSet) -> str:
    """A name of a set of adapters that holds over restarts; "" for none."""
    if not adapters:
        return ""
    return hashlib.sha256(msgspec.msgpack.encode(adapters)).hexdigest()[:16]


def _is_version(old: Sequence[int], new: Sequence[int]) -> bool:
    """Whether a prompt is an older state of the same text: half of it is the same."""
    return 2 * common_prefix_length(old, new) >= len(old)


def _drift(slot: Slot) -> tuple[int, int]:
    """How much of what would be saved was moved, and from where on."""
    if slot.drifted_from >= slot.n_whole:
        return 0, 0
    return slot.n_drifted, slot.drifted_from if slot.n_drifted else 0


def _learn(old: float, n_bytes: int, started_s: float) -> float:
    """A speed in bytes per ms after one more measurement."""
    if n_bytes < _MIN_TIMED_BYTES:
        return old
    speed = n_bytes / max(1000 * (time.monotonic() - started_s), 1e-3)
    return (1 - _NEWEST) * old + _NEWEST * speed
