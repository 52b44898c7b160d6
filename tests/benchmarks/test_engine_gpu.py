"""Models of a given shape, the first token by length, and the command for a GPU."""

from __future__ import annotations

import argparse
import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks import options
from benchmarks.engine import command, gpu, lengths, shapes
from benchmarks.engine.lengths import FirstToken
from benchmarks.engine.shapes import SHAPES, Shape
from benchmarks.engine.words import Words
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import UsageError
from lsp_server.models import gguf, store
from tests.benchmarks import fake_engine
from tests.engine.llama.fake_llama import FakeTokenizer
from tests.models.gguf_files import QWEN_TOKENS
from tests.models.gguf_files import gguf as gguf_bytes

SMALL = Shape(name="small", n_layers=8, n_embd=256, n_ff=512, n_head=4, n_head_kv=2)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A small model whose vocabulary is taken."""
    path = tmp_path / "base.gguf"
    more = {
        "qwen2.block_count": 24,
        "qwen2.rope.freq_base": 1e6,
        "qwen2.rope.dimension_count": 64,
        "quantize.imatrix.file": "x",
    }
    path.write_bytes(gguf_bytes(metadata=more))
    return path


def test_a_shaped_model_is_a_whole_gguf_with_the_bases_vocabulary(
    tmp_path: Path, base: Path
) -> None:
    """The strict reader takes it; it has as many weights as its shape says."""
    path = tmp_path / "shaped.gguf"
    shapes.write(base, path, SMALL)
    info = gguf.read(path)
    gguf.require_fim(info, path)
    n_vocab = len(QWEN_TOKENS)
    wide, ff, kv = 256, 512, 128
    layer = 2 * wide * wide + 2 * wide * kv + 3 * wide * ff + 2 * wide + wide + 2 * kv
    assert info.n_params == 2 * wide * n_vocab + wide + 8 * layer
    assert (info.architecture, info.n_vocab, info.file_type) == ("qwen2", n_vocab, 15)
    assert info.n_tensors == 12 * 8 + 3
    metadata, _ = shapes.read_metadata(path)
    assert metadata["qwen2.block_count"] == struct.pack("<II", 4, 8)
    assert metadata["qwen2.attention.head_count_kv"] == struct.pack("<II", 4, 2)
    assert metadata["qwen2.rope.freq_base"] == struct.pack("<If", 6, 1e6)
    assert not {"qwen2.rope.dimension_count", "quantize.imatrix.file"} & metadata.keys()
    assert not list(tmp_path.glob("*.part"))


def test_the_mix_of_types_is_that_of_q4_k_m() -> None:
    """Values and down projections of some layers have six bits, and so has the output."""
    found = {tensor.name: tensor.type for tensor in shapes.tensors(SHAPES["7b"], 151_936)}
    better = [n for n in range(28) if found[f"blk.{n}.ffn_down.weight"] == 14]
    assert better == [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]
    assert better == [n for n in range(28) if found[f"blk.{n}.attn_v.weight"] == 14]
    assert found["output.weight"] == 14
    assert found["token_embd.weight"] == found["blk.0.attn_q.weight"] == 12


def test_the_7b_shape_has_the_size_of_the_real_file() -> None:
    """4.68 GB, give or take its vocabulary."""
    n_bytes = sum(tensor.n_bytes for tensor in shapes.tensors(SHAPES["7b"], 151_936))
    assert n_bytes == pytest.approx(4.68e9, rel=0.01)


def test_scales_of_random_blocks_are_small_and_finite(tmp_path: Path, base: Path) -> None:
    """So that no activation overflows, which some machines compute more slowly."""
    path = tmp_path / "shaped.gguf"
    shapes.write(base, path, SMALL)
    data = path.read_bytes()
    first = shapes.tensors(SMALL, len(QWEN_TOKENS))[0]
    n_data = sum(-(-t.n_bytes // 32) * 32 for t in shapes.tensors(SMALL, len(QWEN_TOKENS)))
    start = len(data) - n_data
    blocks = np.frombuffer(data[start : start + first.n_bytes], np.uint8).reshape(-1, 144)
    scales = blocks[:, :4].copy().view("<f2")
    assert np.allclose(scales, [1.3e-4, 9.8e-4], rtol=1e-2)


def test_another_family_gives_no_vocabulary(tmp_path: Path) -> None:
    """Nor does a file that is no GGUF; nothing is left behind."""
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf_bytes(metadata={"general.architecture": "llama"}))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(gguf_bytes()[:70])
    for path in (other, broken, tmp_path / "nowhere.gguf"):
        with pytest.raises(UsageError) as refused:
            shapes.write(path, tmp_path / "out" / "shaped.gguf", SMALL)
        assert refused.value.code == "base_unusable"
    assert not (tmp_path / "out").exists()


# -- the command -------------------------------------------------------------------------


def parsed(*arguments: str) -> argparse.Namespace:
    """The arguments of this command."""
    parser = argparse.ArgumentParser()
    gpu.add_parser(parser.add_subparsers())
    return parser.parse_args(["gpu", *arguments])


def engine_arguments(*arguments: str) -> argparse.Namespace:
    """What the engine benchmark is given for them."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["engine", *gpu.arguments(parsed(*arguments), "some-model")])


def test_a_gpu_run_measures_long_prompts_and_many_clients() -> None:
    """Whatever else was given is passed on."""
    args = engine_arguments("--seed", "7", "--save", "gpu", "--repetitions", "4", "--markdown")
    assert args.lengths == (1024, 4096, 16384)
    assert args.clients == (1, 2, 4, 8, 16, 32)
    assert (args.model, args.seed, args.save, args.repetitions) == ("some-model", 7, "gpu", 4)
    assert args.markdown
    assert "keystrokes" in args.sections


def test_a_dry_run_is_short() -> None:
    """One repetition of short prompts; sections can be chosen all the same."""
    args = engine_arguments("--dry-run")
    assert (args.lengths, args.clients, args.repetitions) == ((64, 128), (1, 2), 1)
    assert engine_arguments("--dry-run", "--sections", "cancel").sections == "cancel"


def test_a_shaped_model_is_known_only_while_it_is_measured(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No editor may come to use it; the file is kept for the next run."""
    monkeypatch.setattr(gpu, "engine_options", lambda _: EngineOptions(model_path=str(base)))
    monkeypatch.setitem(shapes.SHAPES, "tiny", SMALL)
    with gpu._shaped("any", "tiny") as name:
        assert store.resolve(name).path.exists()
        path = store.resolve(name).path
    assert store.installed() == ()
    assert path.parent == options.cache_folder("shapes").resolve()
    written = path.stat().st_mtime_ns
    with gpu._shaped("any", "tiny") as name:
        assert store.resolve(name).path.stat().st_mtime_ns == written


# -- the first token ---------------------------------------------------------------------


def test_a_typed_key_changes_the_prompt_at_the_cursor_alone() -> None:
    """The prompt has its length, a quarter of it right of the cursor."""
    words = Words(FakeTokenizer(), seed=1)
    first, *typed = lengths.prompts(words, 400, 0)
    assert len(first.tokens) == 400
    assert {one.after for one in typed} == {first.after}
    assert 90 <= len(first.after) <= 100
    assert [one.before for one in typed] == [first.before + n * " so" for n in (1, 2, 3)]


def test_lengths_are_measured_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cold and warm, without a server where there is none; a run goes on where it ended."""
    models = fake_engine.install(monkeypatch)
    lengths.measure(fake_engine.bench(tmp_path, repetitions=1))
    assert fake_engine.lines(tmp_path) == 2
    bench = fake_engine.bench(tmp_path, repetitions=2)
    lengths.measure(bench)
    found = bench.of(FirstToken)
    assert [(r.n_prompt, r.repetition) for r in found] == [(64, 0), (128, 0), (64, 1), (128, 1)]
    assert all(r.cold_ms > 0 and len(r.warm_ms) == 3 for r in found)
    lengths.measure(fake_engine.bench(tmp_path, repetitions=2))
    assert len(models) == 2
    assert lengths.report(bench).verdicts == ()


def test_first_tokens_are_compared_length_by_length(tmp_path: Path) -> None:
    """Cold and warm apart; less than llama-server's is ahead."""
    bench = fake_engine.bench(tmp_path)
    for number in range(5):
        for side, cold_ms, warm_ms in (("midfill", 100.0, 10.0), ("llama-server", 90.0, 40.0)):
            bench.keep(
                FirstToken(
                    side=side,  # type: ignore[arg-type]
                    n_prompt=1024,
                    repetition=number,
                    cold_ms=cold_ms,
                    warm_ms=(warm_ms, warm_ms, 9999.0),
                )
            )
    part = lengths.report(bench)
    assert [verdict.outcome for verdict in part.verdicts] == ["behind", "ahead"]
    assert [row[1] for row in part.tables[0].rows] == ["cold", "warm"]
    assert part.tables[0].rows[1][4].value == pytest.approx(0.25)  # type: ignore[union-attr]
