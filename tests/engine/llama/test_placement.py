"""Where a model goes, on machines of all sizes."""

from __future__ import annotations

from typing import Any

import pytest

from lsp_server.engine.llama.estimate import Placement, estimate, fits
from lsp_server.engine.llama.memory import Memory
from lsp_server.engine.llama.placement import Plan, describe, plan
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError
from lsp_server.models.shape import ModelShape
from tests.engine.llama.shapes import GIB, SEVEN_B, machine, shape

ALL = SEVEN_B.n_layers + 1


def planned(memory: Memory, model: ModelShape = SEVEN_B, **options: Any) -> Plan:
    """The plan for a model on a machine."""
    return plan(model, EngineOptions(**options), memory, n_cores=8)


def first(memory: Memory, model: ModelShape = SEVEN_B, **options: Any) -> Placement:
    """What is tried first."""
    return planned(memory, model, **options).steps[0].placement


@pytest.mark.parametrize(
    ("memory", "options", "expected"),
    [
        (machine(64), {}, {"n_gpu_layers": 0, "n_ctx": 4096, "type_k": "f16", "n_ubatch": 128}),
        (machine(64, 24), {}, {"n_gpu_layers": ALL, "n_ctx": 32768, "n_ubatch": 512}),
        (machine(64, 24), {"n_ctx": 4096}, {"n_gpu_layers": ALL, "n_ctx": 4096}),
        (machine(64, 24), {"n_gpu_layers": 0}, {"n_gpu_layers": 0, "n_ctx": 4096}),
        (machine(64, 24), {"n_gpu_layers": 10}, {"n_gpu_layers": 10, "n_ctx": 4096}),
        (machine(64, 24), {"n_gpu_layers": 900}, {"n_gpu_layers": ALL}),
        (machine(64, 24), {"kv_type": "q8_0"}, {"type_k": "q8_0", "type_v": "q8_0"}),
        (machine(64, 24), {"kv_type": "q8_0"}, {"flash_attention": "on", "n_ctx": 32768}),
        (machine(64), {"flash_attention": "off"}, {"flash_attention": "off"}),
        (machine(64), {"flash_attention": "on"}, {"flash_attention": "on"}),
        (machine(64), {}, {"flash_attention": "off"}),
        (machine(64), {"kv_type": "q8_0"}, {"flash_attention": "on"}),
        (machine(64, 24), {}, {"flash_attention": "auto"}),
        (machine(64), {"mmap": "off", "mlock": True}, {"use_mmap": False, "use_mlock": True}),
        (machine(64), {}, {"use_mmap": None, "n_threads": 8}),
        (machine(64), {"n_threads": 3}, {"n_threads": 3}),
        # One GPU that is too small, in growing need: context, KV type, layers, none.
        (machine(64, 6.5), {}, {"n_gpu_layers": ALL, "n_ctx": 16384, "type_v": "f16"}),
        (machine(64, 4.9), {}, {"n_gpu_layers": ALL, "n_ctx": 2048, "type_v": "f16"}),
        (machine(64, 4.82), {}, {"n_gpu_layers": ALL, "n_ctx": 2048, "type_v": "q8_0"}),
        (machine(64, 2.5), {}, {"n_gpu_layers": 11, "n_ctx": 2048, "type_v": "q8_0"}),
        (machine(64, 0.3), {}, {"n_gpu_layers": 0, "n_ctx": 4096, "type_v": "f16"}),
        # A CPU with little memory.
        (machine(5.5), {}, {"n_gpu_layers": 0, "n_ctx": 4096}),
        (machine(5.1), {}, {"n_gpu_layers": 0, "n_ctx": 2048}),
        # What the user set comes down as well.
        (machine(64, 5.5), {"n_ctx": 20000}, {"n_ctx": 9984}),
        (machine(64, 4.82), {"kv_type": "f16"}, {"type_k": "q8_0", "n_ctx": 2048}),
        (machine(64, 2.5), {"n_gpu_layers": 5}, {"n_gpu_layers": 5, "n_ctx": 4096}),
        (machine(64, 2.5), {"n_gpu_layers": 20}, {"n_gpu_layers": 11, "n_ctx": 2048}),
        # Below the floor nothing is halved.
        (machine(64, 24), {"n_ctx": 512}, {"n_ctx": 512}),
    ],
)
def test_one_machine_after_another(
    memory: Memory, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The first step is what was asked for as far as the memory goes."""
    found = first(memory, **options)
    assert {name: getattr(found, name) for name in expected} == expected


def test_the_context_stays_within_the_training() -> None:
    """A model trained for little gets no more by itself; who sets more gets it."""
    small = shape(n_ctx_train=4096)
    assert first(machine(64, 24), small).n_ctx == 4096
    assert first(machine(64), small).n_ctx == 4096
    assert first(machine(64), small, n_ctx=6000).n_ctx == 6000


@pytest.mark.parametrize(
    ("memory", "options", "expected"),
    [
        # All on the one with most free memory, if it fits there.
        (machine(64, 8, 24), {}, ("none", 1, ())),
        (machine(64, 24, 24, 40), {}, ("none", 2, ())),
        (machine(64, 8, 24), {"main_gpu": 0, "n_ctx": 4096}, ("none", 0, ())),
        (machine(64, 8, 24), {"split_mode": "none"}, ("none", 1, ())),
        (
            machine(64, 24, 24),
            {"split_mode": "row", "tensor_split": (3.0, 1.0)},
            ("row", 0, (3, 1)),
        ),
        (machine(64, 24, 24), {"tensor_split": (1.0,)}, ("layer", 0, (1, 0))),
        (machine(64, 24), {"split_mode": "layer"}, ("none", 0, ())),
    ],
)
def test_several_gpus(
    memory: Memory, options: dict[str, Any], expected: tuple[str, int, tuple[float, ...]]
) -> None:
    """Split mode, main GPU and shares are the user's, or follow from the free memory."""
    found = first(memory, **options)
    assert (found.split_mode, found.main_gpu, found.tensor_split) == expected
    assert found.n_gpu_layers == ALL


def test_what_is_too_large_for_one_gpu_is_split_by_free_memory() -> None:
    """Two unequal GPUs share the layers in proportion, and each has room for its part."""
    memory = machine(64, 3.5, 6)
    step = planned(memory).steps[0]
    assert (step.placement.split_mode, step.placement.n_gpu_layers) == ("layer", ALL)
    small, large = step.placement.tensor_split
    assert 1.7 < large / small < 2.2
    assert all(
        0 < need < gpu.free_bytes
        for need, gpu in zip(step.need.gpu_bytes, memory.gpus, strict=True)
    )


def test_gpus_that_are_too_small_together_leave_layers_to_the_cpu() -> None:
    """When not even all GPUs hold the model, both are used for a part of it."""
    step = planned(machine(64, 2, 2)).steps[0]
    assert step.placement.split_mode == "layer"
    assert 10 < step.placement.n_gpu_layers < ALL
    assert all(step.need.gpu_bytes)


def test_memory_that_gpu_and_cpu_share_counts_once() -> None:
    """On Apple Silicon the GPU's part is taken from the machine's memory."""
    apart = machine(2, 8)
    together = machine(8, 8, shares_host=True)
    assert first(apart, n_ctx=8192).n_gpu_layers == ALL
    found = planned(together, n_ctx=8192).steps[0]
    assert found.need.total_bytes < together.host_free_bytes
    assert not fits(found.need, machine(3, 8, shares_host=True))


def test_every_step_needs_less_than_what_was_asked_for() -> None:
    """No step raises a value, and the steps end on the CPU."""
    found = planned(machine(64, 6.5))
    asked = found.asked.placement
    assert asked.n_ctx == 32768
    for step in found.steps:
        assert step.placement.n_ctx <= asked.n_ctx
        assert step.placement.n_gpu_layers <= asked.n_gpu_layers
        assert fits(step.need, found.memory)
    assert [step.placement.n_gpu_layers for step in found.steps] == sorted(
        (step.placement.n_gpu_layers for step in found.steps), reverse=True
    )
    assert found.steps[-1].placement.n_gpu_layers == 0


def test_the_order_of_coming_down() -> None:
    """First the context down to its floor, then the KV type, then layers, at last none."""
    seen = [
        (s.placement.n_ctx, s.placement.type_k, s.placement.n_gpu_layers)
        for s in planned(machine(64, 24)).steps
    ]
    assert seen[:6] == [
        (32768, "f16", ALL),
        (16384, "f16", ALL),
        (8192, "f16", ALL),
        (4096, "f16", ALL),
        (2048, "f16", ALL),
        (2048, "q8_0", ALL),
    ]
    fewer = [layers for _, _, layers in seen[6:10]]
    assert fewer == [27, 20, 13, 6]
    assert seen[10:] == [
        (4096, "f16", 0),
        (2048, "f16", 0),
        (2048, "q8_0", 0),
    ]


def test_quantized_values_need_flash_attention() -> None:
    """Without it only the keys become smaller, and who asked for more is told."""
    found = planned(machine(64), flash_attention="off", kv_type="q8_0")
    assert (found.asked.placement.type_k, found.asked.placement.type_v) == ("q8_0", "f16")
    assert "flash attention" in found.notes[0]


def test_heads_that_do_not_fit_the_blocks_keep_f16() -> None:
    """A head of 80 numbers cannot be cut into blocks of 32."""
    found = planned(machine(64), shape(k_head=80, v_head=80), kv_type="q8_0")
    assert found.asked.placement.type_k == "f16"
    assert "f16 is used" in found.notes[0]
    assert all(step.placement.type_v == "f16" for step in found.steps)


@pytest.mark.parametrize(
    ("memory", "options", "words"),
    [
        (machine(64), {"n_gpu_layers": 20}, "n_gpu_layers is 20"),
        (machine(64, 24), {"main_gpu": 3}, "main_gpu is 3"),
        (machine(64, 24), {"tensor_split": (1.0, 2.0)}, "2 shares for 1 GPUs"),
        (machine(64, 24), {"tensor_split": (0.0,)}, "no share above 0"),
    ],
)
def test_what_this_machine_cannot_do_is_said(
    memory: Memory, options: dict[str, Any], words: str
) -> None:
    """A setting that makes no sense here is passed over with a note, and the model loads."""
    found = planned(memory, **options)
    assert len(found.notes) == 1
    assert words in found.notes[0]
    assert words in describe(found, found.steps[0], n_layers=28)


def test_nothing_fits() -> None:
    """The error says what is needed, what is free, and which model to take."""
    with pytest.raises(EngineError) as caught:
        planned(machine(3, 1))
    assert caught.value.code == "out_of_memory"
    assert "3.0 GiB are free" in caught.value.message
    assert "needs at least 4." in caught.value.message
    assert "midfill model fetch 1.5b-" in caught.value.hint
    with pytest.raises(EngineError) as caught:
        planned(machine(0.2))
    assert "no model of the catalog" in caught.value.hint


def test_what_should_stay_free_is_given_up_last() -> None:
    """A model that fits only without the reserve is loaded as small as can be."""
    least = planned(machine(64)).steps[-1].need.host_bytes
    found = planned(machine(least / GIB + 0.01))
    assert [step.placement.type_k for step in found.steps] == ["q8_0"]
    assert found.steps[0].placement.n_ctx == 2048


def test_one_message_says_what_came_of_it() -> None:
    """Asked, become and why, with the figures; nothing when all went as asked."""
    found = planned(machine(64, 6.5))
    text = describe(found, found.steps[0], n_layers=28)
    assert text.startswith("The context was lowered from 32,768 to 16,384 tokens: 6.5 GiB of GPU")
    assert text.endswith("GiB needed.")
    roomy = planned(machine(64, 24))
    assert describe(roomy, roomy.steps[0], n_layers=28) == ""
    cpu = describe(roomy, roomy.steps[-1], n_layers=28, refusal="cudaMalloc failed")
    assert cpu == (
        "The model runs on the CPU, the context was lowered from 32,768 to 2,048 tokens and the "
        "KV cache is kept as q8_0 instead of f16: llama.cpp refused more: cudaMalloc failed."
    )
    partial = planned(machine(64, 2.5))
    assert "11 of the model's 29 layers are on the GPU" in describe(
        partial, partial.steps[0], n_layers=28
    )


def test_estimate_of_a_known_model() -> None:
    """Weights, KV cache and compute buffer add up to what the header says."""
    all_on_gpu = Placement(n_ctx=8192, n_gpu_layers=ALL, n_ubatch=512)
    need = estimate(SEVEN_B, all_on_gpu, 1)
    weights = sum(SEVEN_B.layer_bytes) + SEVEN_B.output_bytes
    kv = 8192 * 28 * (512 + 512) * 2
    buffers = 512 * 4 * (152_064 + 3584 + 8192)
    assert need.gpu_bytes == (weights + kv + int(1.1 * buffers),)
    assert need.host_weight_bytes == SEVEN_B.input_bytes
    on_cpu = estimate(SEVEN_B, Placement(n_ctx=8192), 1)
    assert on_cpu.gpu_bytes == (0,)
    assert on_cpu.host_weight_bytes == weights + SEVEN_B.input_bytes


def test_tied_embeddings_lie_on_the_host_once() -> None:
    """A model without an output table uses the embeddings; on a GPU it needs a copy of them."""
    tied = shape(ties_output=True, output_bytes=292 << 20)
    on_cpu = estimate(tied, Placement(n_ctx=2048), 0)
    on_gpu = estimate(tied, Placement(n_ctx=2048, n_gpu_layers=ALL), 1)
    assert on_cpu.host_weight_bytes == sum(tied.layer_bytes) + tied.input_bytes
    assert on_gpu.gpu_bytes[0] > sum(tied.layer_bytes) + tied.output_bytes
