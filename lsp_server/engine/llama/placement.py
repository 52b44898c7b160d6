"""Where a model goes, decided before it is loaded: what is asked for, and what it may come down to.

What the user leaves open is chosen by the memory that is free. Where the memory does not
suffice, the context is halved, then the KV cache is quantized, then layers leave the GPU; a
value that the user set comes down as well, and none is ever raised.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lsp_server.engine.llama.estimate import (
    Estimate,
    KvType,
    Placement,
    estimate,
    fits,
    shortages,
    usable_bytes,
)
from lsp_server.engine.llama.memory import Memory, in_gib
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError
from lsp_server.models import catalog
from lsp_server.models.shape import ModelShape

# A prefill ends early at the end of a physical batch, and keeps those that are whole. On two cores
# 128 tokens take two thirds of a second with the 0.5B; 256 are 1 to 4 % faster, 64 are 5 % slower.
_N_UBATCH_CPU, _N_UBATCH_GPU = 128, 512
_N_BATCH = 512
# llama.cpp turns the keys of all cells, used or not, whenever some are moved: on two cores that
# takes as long as one step of one token here, and with 8,192 cells twice as long.
_N_CTX_CPU, _N_CTX_GPU = 4096, 32768
# Below this a prompt and its suggestion find no room.
_N_CTX_FLOOR = 2048
_N_CTX_STEP = 256
# Numbers in one block of q8_0.
_Q8_BLOCK = 32


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A placement and what it needs."""

    placement: Placement
    need: Estimate


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to try.

    Args:
        asked: what the settings mean on this machine.
        steps: those that should fit, in the order in which they are tried; ``asked`` is the
            first of them unless there is too little memory.
        notes: what could not be done as the settings say, for the user.
        memory: what was free.
    """

    asked: Step
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    memory: Memory


def plan(shape: ModelShape, options: EngineOptions, memory: Memory, *, n_cores: int) -> Plan:
    """Decide what to try.

    Args:
        shape: of the model.
        options: what the user set; 0, -1, ``auto`` and () leave it open.
        memory: what is free.
        n_cores: cores this process may use.

    Raises:
        EngineError: ``out_of_memory``: not even the smallest fits.
    """
    asker = _Asker(shape, options, memory, n_cores)
    candidates = asker.candidates()
    steps = tuple(step for step in candidates if fits(step.need, memory))
    if not steps:
        # The estimate may be wrong by what should stay free; beyond that the load would fail,
        # or drive the machine out of memory.
        tight = [step for step in candidates if fits(step.need, memory, with_reserve=False)]
        steps = tuple(tight[-2:])
    if not steps:
        raise out_of_memory(min(candidates, key=lambda step: step.need.total_bytes), memory)
    return Plan(asked=candidates[0], steps=steps, notes=tuple(asker.notes), memory=memory)


class _Asker:
    """Lists the placements for one set of options, the best first."""

    def __init__(
        self, shape: ModelShape, options: EngineOptions, memory: Memory, n_cores: int
    ) -> None:
        self._shape = shape
        self._options = options
        self._memory = memory
        self._n_threads = options.n_threads or n_cores
        self._n_all = shape.n_layers + 1
        self.notes: list[str] = []
        self._split = self._wanted_split()
        self._main_gpu = self._wanted_gpu()

    def candidates(self) -> list[Step]:
        """All placements that may be tried, the most wanted first."""
        n_gpu_layers = self._wanted_layers()
        kv_types = self._kv_types()
        found: list[Step] = []
        if n_gpu_layers:
            found += self._with_layers(n_gpu_layers, kv_types)
            smallest = found[-1].placement
            for n_fewer in self._fewer_layers(n_gpu_layers, smallest):
                found += self._spread(msgspec.structs.replace(smallest, n_gpu_layers=n_fewer))
        return found + self._with_layers(0, kv_types)

    # -- what is asked for ---------------------------------------------------------------

    def _wanted_layers(self) -> int:
        wanted = self._options.n_gpu_layers
        if not self._memory.gpus:
            if wanted > 0:
                self.notes.append(
                    f"engine.n_gpu_layers is {wanted}, but this llama.cpp finds no GPU: the model "
                    "runs on the CPU."
                )
            return 0
        return self._n_all if wanted < 0 else min(wanted, self._n_all)

    def _wanted_gpu(self) -> int | None:
        """The GPU the user named; None if none."""
        wanted, n_gpus = self._options.main_gpu, len(self._memory.gpus)
        if wanted < n_gpus:
            return wanted if wanted >= 0 else None
        if n_gpus:
            self.notes.append(
                f"engine.main_gpu is {wanted}, but the last GPU is number {n_gpus - 1}: it is "
                "chosen by free memory."
            )
        return None

    def _wanted_split(self) -> tuple[float, ...]:
        """The shares the user set, one for each GPU; () if none."""
        wanted, n_gpus = self._options.tensor_split, len(self._memory.gpus)
        if not wanted or not n_gpus:
            return ()
        if len(wanted) > n_gpus or not any(wanted):
            self.notes.append(
                f"engine.tensor_split has {len(wanted)} shares for {n_gpus} GPUs: the model is "
                "split by free memory."
                if any(wanted)
                else "engine.tensor_split has no share above 0: the model is split by free memory."
            )
            return ()
        return wanted + (0.0,) * (n_gpus - len(wanted))

    def _kv_types(self) -> list[tuple[KvType, KvType]]:
        """Types of K and V, the wanted ones first.

        llama.cpp needs flash attention for a quantized V. Without it only K is quantized.
        """
        wanted = self._options.kv_type
        plain: tuple[KvType, KvType] = ("f16", "f16")
        can_k = self._shape.k_head > 0 and self._shape.k_head % _Q8_BLOCK == 0
        can_v = self._shape.v_head > 0 and self._shape.v_head % _Q8_BLOCK == 0
        if not (can_k and can_v):
            if wanted == "q8_0":
                self.notes.append(
                    "engine.kv_type is q8_0, but this model's heads cannot be cut into its "
                    "blocks: f16 is used."
                )
            return [plain]
        small: tuple[KvType, KvType] = ("q8_0", "q8_0")
        if self._options.flash_attention == "off":
            small = ("q8_0", "f16")
            if wanted == "q8_0":
                self.notes.append(
                    "Only the keys are kept as q8_0: values would need flash attention, which "
                    "is off (engine.flash_attention)."
                )
        return [small] if wanted == "q8_0" else [plain, small]

    def _wanted_ctx(self, n_gpu_layers: int) -> int:
        if self._options.n_ctx:
            return self._options.n_ctx
        n_ctx = _N_CTX_GPU if n_gpu_layers >= self._n_all else _N_CTX_CPU
        return min(n_ctx, self._shape.n_ctx_train or n_ctx)

    # -- coming down ---------------------------------------------------------------------

    def _with_layers(self, n_gpu_layers: int, kv_types: list[tuple[KvType, KvType]]) -> list[Step]:
        """With so many layers on GPUs: less and less context, then a smaller KV cache."""
        found: list[Step] = []
        sizes = _halvings(self._wanted_ctx(n_gpu_layers))
        for n_ctx in sizes:
            found += self._spread(self._placement(n_ctx, kv_types[0], n_gpu_layers))
        for types in kv_types[1:]:
            found += self._spread(self._placement(sizes[-1], types, n_gpu_layers))
        return found

    def _placement(self, n_ctx: int, types: tuple[KvType, KvType], n_gpu_layers: int) -> Placement:
        options = self._options
        flash = options.flash_attention
        if flash == "auto" and types[1] == "q8_0":
            flash = "on"
        elif flash == "auto" and not n_gpu_layers:
            # On a CPU it makes each token about a tenth slower, and saves only memory.
            flash = "off"
        return Placement(
            n_ctx=n_ctx,
            type_k=types[0],
            type_v=types[1],
            n_gpu_layers=n_gpu_layers,
            flash_attention=flash,
            n_threads=self._n_threads,
            use_mmap={"auto": None, "on": True, "off": False}[options.mmap],
            use_mlock=options.mlock,
            n_batch=_N_BATCH,
            n_ubatch=_N_UBATCH_GPU if n_gpu_layers else _N_UBATCH_CPU,
        )

    def _spread(self, placement: Placement) -> Iterator[Step]:
        """The ways to put a placement onto the GPUs: all on one, or split over all."""
        mode, gpus = self._options.split_mode, self._memory.gpus
        if not placement.n_gpu_layers:
            yield self._step(placement)
            return
        one_named = self._main_gpu is not None
        many = len(gpus) > 1
        if not many or mode == "none" or (mode == "auto" and (one_named or not self._split)):
            yield self._step(msgspec.structs.replace(placement, main_gpu=self._best_gpu()))
        if many and (mode in ("layer", "row") or (mode == "auto" and not one_named)):
            shares = self._split or tuple(float(usable_bytes(gpu)) for gpu in gpus)
            yield self._step(
                msgspec.structs.replace(
                    placement,
                    split_mode="row" if mode == "row" else "layer",
                    tensor_split=shares if any(shares) else (1.0,) * len(gpus),
                    main_gpu=self._best_gpu(),
                )
            )

    def _best_gpu(self) -> int:
        if self._main_gpu is not None:
            return self._main_gpu
        gpus = self._memory.gpus
        return max(range(len(gpus)), key=lambda index: gpus[index].free_bytes)

    def _fewer_layers(self, n_gpu_layers: int, smallest: Placement) -> list[int]:
        """The most layers that fit, and some smaller numbers in case llama.cpp still refuses."""
        most_bytes = min(sum(step.need.gpu_bytes) for step in self._spread(smallest))
        most = next(
            (
                n
                for n in range(n_gpu_layers - 1, 0, -1)
                for step in self._spread(msgspec.structs.replace(smallest, n_gpu_layers=n))
                # One layer less may need more: what is on the host is copied over in passing.
                if fits(step.need, self._memory) and sum(step.need.gpu_bytes) < most_bytes
            ),
            0,
        )
        return sorted({most, most * 3 // 4, most // 2, most // 4} - {0}, reverse=True)

    def _step(self, placement: Placement) -> Step:
        need = estimate(self._shape, placement, len(self._memory.gpus))
        return Step(placement=placement, need=need)


def _halvings(n_ctx: int) -> list[int]:
    """A context and its halves, down to the floor."""
    sizes = [n_ctx]
    while sizes[-1] > _N_CTX_FLOOR:
        half = sizes[-1] // 2 // _N_CTX_STEP * _N_CTX_STEP
        sizes.append(max(half, _N_CTX_FLOOR))
    return sizes


def out_of_memory(least: Step, memory: Memory, reason: str = "") -> EngineError:
    """The error where nothing fits.

    Args:
        least: the step that needs least.
        memory: what is free.
        reason: llama.cpp's, if it was asked.
    """
    host_bytes = memory.host_free_bytes
    found = shortages(least.need, memory, with_reserve=False) or shortages(least.need, memory)
    needed_bytes = max((f.needed_bytes for f in found), default=least.need.total_bytes)
    because = f" ({reason})" if reason else ""
    return EngineError(
        f"The model needs at least {in_gib(needed_bytes)} of memory, and {in_gib(host_bytes)} "
        f"are free{because}.",
        code="out_of_memory",
        hint=_smaller_model(least.need.total_bytes, memory),
    )


def _smaller_model(needed_bytes: int, memory: Memory) -> str:
    """Which model of the catalog would fit where one that needs so much does not."""
    free_bytes = max([memory.host_free_bytes, *(gpu.free_bytes for gpu in memory.gpus)])
    smaller = [
        entry
        for entry in catalog.ENTRIES
        if entry.size_bytes * 1.2 + (512 << 20) < min(free_bytes, needed_bytes)
        and entry.licence == "Apache-2.0"
    ]
    if not smaller:
        return "Close other programs; no model of the catalog needs so little."
    best = max(smaller, key=lambda entry: entry.size_bytes)
    return f"Close other programs, or use a smaller model: midfill model fetch {best.id}"


def describe(the_plan: Plan, taken: Step, *, n_layers: int, refusal: str = "") -> str:
    """One message on what was asked, what it became and why; "" where nothing came down.

    Args:
        the_plan: what was planned.
        taken: the step that works.
        n_layers: repeating layers of the model.
        refusal: what llama.cpp said to an earlier step, if it was tried.
    """
    asked, got = the_plan.asked.placement, taken.placement
    changes: list[str] = []
    if got.n_gpu_layers < asked.n_gpu_layers:
        changes.append(
            f"{got.n_gpu_layers} of the model's {n_layers + 1} layers are on the GPU"
            if got.n_gpu_layers
            else "the model runs on the CPU"
        )
    if got.n_ctx < asked.n_ctx:
        changes.append(f"the context was lowered from {asked.n_ctx:,} to {got.n_ctx:,} tokens")
    if (got.type_k, got.type_v) != (asked.type_k, asked.type_v):
        changes.append(f"the KV cache is kept as {got.type_k} instead of {asked.type_k}")
    if not changes:
        return " ".join(the_plan.notes)
    text = changes[0] if len(changes) == 1 else f"{', '.join(changes[:-1])} and {changes[-1]}"
    short = shortages(the_plan.asked.need, the_plan.memory)
    reasons = [
        f"{in_gib(s.free_bytes)} of {s.memory} were free, {in_gib(s.needed_bytes)} needed"
        for s in short
    ]
    if refusal:
        reasons.append(f"llama.cpp refused more: {refusal}")
    message = f"{text[0].upper()}{text[1:]}: {'; '.join(reasons)}."
    return " ".join([message, *the_plan.notes])
