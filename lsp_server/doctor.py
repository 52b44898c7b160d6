"""Checks of an installation, each with what it found and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from context.types import Segment
from lsp_server import __version__, paths, settings
from lsp_server.completion.service import CompletionService, new_request_id
from lsp_server.documents import TextDocument
from lsp_server.engine import pause, spawn
from lsp_server.engine.account import describe_estimate, describe_place
from lsp_server.engine.client import EngineClient
from lsp_server.engine.launch import (
    adapters,
    choose_model,
    engine_options,
    model_of,
    verdict_of,
    worth_fetching,
)
from lsp_server.engine.protocol import EngineStatus, PlacementStatus
from lsp_server.errors import MidfillError
from lsp_server.models import adapter, gguf, machine, verify
from lsp_server.models.shape import shape_of
from lsp_server.models.store import InstalledModel
from lsp_server.settings import Resolved
from lsp_server.types import CompletionRequest, SamplingParams, Skip, Timings

Outcome = Literal["ok", "warning", "failed"]

_PACKAGES = (
    "pygls",
    "lsprotocol",
    "msgspec",
    "tree-sitter",
    "tree-sitter-python",
    "platformdirs",
    "psutil",
    "rich",
)
_PROBE = (
    "import json, llama_cpp; print(json.dumps([llama_cpp.__version__, "
    "bool(llama_cpp.llama_supports_gpu_offload())]))"
)
# A hole whose filling leaves no room for taste, and what must be in it.
_HOLE_BEFORE = '''def first_word(text: str) -> str:
    """The first word of a text."""
    return text.split()[0]


def last_word(text: str) -> str:
    """The last word of a text."""
    return '''
_HOLE_AFTER = '\n\n\nprint(last_word("one two three"))\n'
_HOLE_EXPECTED = "text.split()[-1]"
# A beginning that no model takes for finished: what is measured must not end after a token.
_ENDLESS = "NUMBERS = [\n" + "".join(f"    {number},\n" for number in range(40))


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check.

    Args:
        name: what was looked at.
        outcome: ``ok``, ``warning`` (works, but not at its best) or ``failed``.
        detail: what was found.
        hint: what to do about it.
        data: figures for machines.
    """

    name: str
    outcome: Outcome
    detail: str
    hint: str = ""
    data: dict[str, Any] = {}


async def examine(resolved: Resolved) -> AsyncIterator[Check]:
    """All checks, from the ground up; those that need a failed one are left out.

    Args:
        resolved: the settings in force.
    """
    yield _python()
    yield _packages()
    yield _settings(resolved)
    for check in _folders():
        yield check
    llama = await asyncio.to_thread(_llama)
    yield llama
    try:
        options = engine_options(resolved.settings)
    except MidfillError as error:
        yield Check(name="model", outcome="failed", detail=error.message, hint=error.hint)
        return
    if options.backend == "llama":
        # Not by the id: of several copies of a model the one that is meant must be looked at.
        installed = model_of(resolved.settings)
        model = await asyncio.to_thread(lambda: list(_model(installed)))
        for check in model:
            yield check
        yield _choice(resolved)
        if any(check.outcome == "failed" for check in (llama, *model)):
            return
        for check in _adapters(resolved, installed):
            yield check
    if pause.is_paused():
        yield Check(name="engine", outcome="warning", detail=pause.MESSAGE, hint=pause.HINT)
        return
    async for check in _engine(resolved):
        yield check


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check(
        name="midfill",
        outcome="ok" if ok else "failed",
        detail=f"midfill {__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}",
        hint="" if ok else "Install Python 3.11 or newer.",
    )


def _packages() -> Check:
    versions: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return Check(
                name="packages",
                outcome="failed",
                detail=f"{name} is not installed.",
                hint="Install midfill again: pip install --force-reinstall midfill",
            )
    detail = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check(name="packages", outcome="ok", detail=detail, data=versions)


def _settings(resolved: Resolved) -> Check:
    changed = {name: origin for name, origin in resolved.origins.items() if origin != "default"}
    if resolved.problems:
        return Check(
            name="settings",
            outcome="warning",
            detail=" ".join(resolved.problems),
            hint=f"Edit {settings.user_file()}; see: midfill config",
        )
    detail = ", ".join(f"{name} ({origin})" for name, origin in changed.items())
    return Check(name="settings", outcome="ok", detail=detail or "all at their defaults")


def _folders() -> Iterator[Check]:
    for name, folder in (
        ("cache folder", paths.cache_dir()),
        ("state folder", paths.state_dir()),
        ("runtime folder", paths.runtime_dir()),
    ):
        try:
            paths.private_dir(folder)
            probe = folder / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except MidfillError as error:
            yield Check(name=name, outcome="failed", detail=error.message, hint=error.hint)
        except OSError as error:
            yield Check(
                name=name,
                outcome="failed",
                detail=f"{folder} cannot be written: {error.strerror}.",
                hint="Check its permissions and the free space.",
            )
        else:
            free = shutil.disk_usage(folder).free
            yield Check(name=name, outcome="ok", detail=f"{folder} ({free / 2**30:.1f} GiB free)")


def _llama() -> Check:
    """llama-cpp-python, asked in a process of its own: a broken build may end its process."""
    result = subprocess.run(
        [sys.executable, "-P", "-c", _PROBE], capture_output=True, text=True, check=False
    )
    if result.returncode == 0:
        version, gpu = json.loads(result.stdout.strip().splitlines()[-1])
        has_gpu = machine.nvidia_memory_bytes() is not None
        outcome: Outcome = "warning" if has_gpu and not gpu else "ok"
        return Check(
            name="llama.cpp",
            outcome=outcome,
            detail=f"llama-cpp-python {version}, {'with' if gpu else 'without'} GPU support",
            hint="This machine has a GPU, but the build cannot use it. Reinstall with: "
            'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-cache-dir '
            "llama-cpp-python"
            if outcome == "warning"
            else "",
            data={"version": version, "gpu": gpu},
        )
    last = (result.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    return Check(
        name="llama.cpp",
        outcome="failed",
        detail=f"llama-cpp-python cannot be imported: {last}",
        hint=_build_hint(),
    )


def _build_hint(which: Callable[[str], str | None] = shutil.which) -> str:
    """How to get llama-cpp-python, given the tools this machine has."""
    compiler = os.environ.get("CXX") or next(
        (name for name in ("c++", "g++", "clang++") if which(name)), None
    )
    if compiler is None:
        tool = (
            "xcode-select --install"
            if sys.platform == "darwin"
            else "sudo apt install build-essential (or your system's C++ compiler)"
        )
        return f"No C++ compiler was found. Run: {tool}, then: pip install 'midfill[local]'"
    return "Run: pip install 'midfill[local]' (it compiles llama.cpp, which takes some minutes)."


def _model(installed: InstalledModel) -> Iterator[Check]:
    path = Path(installed.path)
    try:
        installed = verify.verify(installed)
    except MidfillError as error:
        yield Check(name="model", outcome="failed", detail=error.message, hint=error.hint)
        return
    yield Check(
        name="model",
        outcome="ok",
        detail=f"{installed.id} ({path}), sha256 {installed.sha256[:16]}… as pinned",
        data={"id": installed.id, "path": str(path), "sha256": installed.sha256},
    )
    try:
        info = gguf.read(path)
        gguf.require_fim(info, path)
    except MidfillError as error:
        yield Check(name="FIM tokens", outcome="failed", detail=error.message, hint=error.hint)
        return
    fim = {
        role: token for role, token in msgspec.to_builtins(info.fim).items() if token is not None
    }
    yield Check(
        name="FIM tokens",
        outcome="ok",
        detail=", ".join(f"{role} {token}" for role, token in fim.items()),
        data=fim,
    )


def _choice(resolved: Resolved) -> Check:
    """Which model is used, and how fast each was found to be."""
    settings = resolved.settings
    if settings.model.id == "auto":
        choice = choose_model(settings)
        verdicts, waiting = choice.verdicts, choice.unmeasured
        detail = f"auto takes {choice.model.id}, {choice.reason}"
        others = [f"{v.model.id}: {v}" for v in verdicts if v.model != choice.model]
        if guess := worth_fetching(settings):
            others.append(str(guess))
    else:
        verdicts, waiting, others = (verdict_of(model_of(settings), settings),), (), []
        origin = resolved.origins["model.id"]
        detail = f"{verdicts[0].model.id}, set by model.id ({origin}); {verdicts[0]}"
    return Check(
        name="model choice",
        outcome="warning" if waiting else "ok",
        detail="; ".join((detail, *others)),
        hint="A larger model may be fast enough here. Find out with: midfill model measure"
        if waiting
        else "",
        data={v.model.id: msgspec.to_builtins(v.speed) for v in verdicts},
    )


async def _engine(resolved: Resolved) -> AsyncIterator[Check]:
    service = CompletionService(resolved, client_name="midfill doctor")
    client = EngineClient(engine_options(resolved.settings), name="midfill doctor")
    try:
        speed = await _measure(client)
        status = await spawn.query(client.options.socket_path)
        if status is not None:
            yield _engine_check(status)
            if status.placement is not None:
                yield _placement_check(status, status.placement, resolved)
            yield _flash_check(status, wanted=resolved.settings.engine.flash_attention)
            if status.speculation:
                yield Check(name="speculation", outcome="ok", detail=status.speculation)
        yield speed
        yield await _fill_known_hole(service)
    except MidfillError as error:
        yield Check(name="engine", outcome="failed", detail=error.message, hint=error.hint)
    finally:
        await client.aclose()
        await service.aclose()


def _engine_check(status: EngineStatus) -> Check:
    return Check(
        name="engine",
        outcome="ok",
        detail=f"pid {status.pid}, {describe_place(status.placement)}, {status.n_threads} threads, "
        f"context {status.n_ctx} tokens, {status.rss_bytes / 2**20:,.0f} MiB",
        data=msgspec.to_builtins(status),
    )


def _placement_check(status: EngineStatus, placement: PlacementStatus, resolved: Resolved) -> Check:
    """Where the model lies; a warning where that is less than was asked for."""
    detail = f"KV cache {placement.kv_type}, estimate {describe_estimate(placement)}"
    no_gpu = resolved.settings.engine.n_gpu_layers > 0 and not placement.n_gpu_layers
    lowered = (
        "Reinstall llama-cpp-python for your GPU (README, Models), or leave engine.n_gpu_layers "
        "at -1."
        if no_gpu and not placement.devices
        else "Close other programs, or choose a smaller model or context: midfill model list"
    )
    return Check(
        name="placement",
        outcome="warning" if status.message else "ok",
        detail=f"{status.message} {detail}".strip(),
        hint=lowered if status.message else "",
        data=msgspec.to_builtins(placement),
    )


def _flash_check(status: EngineStatus, *, wanted: str) -> Check:
    on_cpu = wanted == "auto" and not status.n_gpu_layers
    ok = status.flash_attention or wanted == "off" or on_cpu
    off = "off: this build or model lacks it"
    if ok:
        off = "off: on a CPU it is slower" if on_cpu else "off, as set"
    return Check(
        name="flash attention",
        outcome="ok" if ok else "warning",
        detail="on" if status.flash_attention else off,
        hint="" if ok else "Update llama-cpp-python.",
    )


def _adapters(resolved: Resolved, installed: InstalledModel) -> Iterator[Check]:
    """The LoRA adapters, as far as their files tell."""
    wanted = adapters(resolved.settings)
    if not wanted:
        return
    model = gguf.read(installed.path)
    ties_output = shape_of(model).ties_output
    for lora in wanted:
        name = f"adapter {Path(lora.path).name}"
        try:
            adapter.check(Path(lora.path), model.architecture, ties_output=ties_output)
        except MidfillError as error:
            yield Check(name=name, outcome="failed", detail=error.message, hint=error.hint)
        else:
            yield Check(name=name, outcome="ok", detail=f"{lora.path}, scale {lora.scale:g}")


async def _measure(client: EngineClient) -> Check:
    """Prefill and decode speed on a prompt no cache can know."""
    # A number that differs at the front keeps the KV cache from helping.
    text = f"# {time.time_ns()}\n" + _ENDLESS
    prompt = (
        Segment(role="fim_prefix"),
        Segment(role="text", text=text),
        Segment(role="fim_suffix"),
        Segment(role="fim_middle"),
    )
    timings = Timings()
    async for chunk in client.generate(prompt, SamplingParams(max_tokens=32)):
        timings = chunk.timings or timings
    n_new = timings.n_prompt - timings.n_reused
    prefill = 1000 * n_new / timings.prefill_ms if timings.prefill_ms else 0.0
    decode = 1000 * timings.n_generated / timings.decode_ms if timings.decode_ms else 0.0
    slow = 0 < decode < 10
    return Check(
        name="speed",
        outcome="warning" if slow else "ok",
        detail=f"prefill {_per_second(prefill)}, decode {_per_second(decode)}",
        hint="Suggestions will come late. If nothing else keeps this machine busy, choose a "
        "smaller model: midfill model list"
        if slow
        else "",
        data={"prefill_tokens_per_s": prefill, "decode_tokens_per_s": decode},
    )


def _per_second(speed: float) -> str:
    return f"{speed:,.1f} tokens/s" if speed else "not measured"


async def _fill_known_hole(service: CompletionService) -> Check:
    document = TextDocument("file:///doctor.py", "python", 0, _HOLE_BEFORE + _HOLE_AFTER)
    line = _HOLE_BEFORE.count("\n")
    request = CompletionRequest(
        id=new_request_id(),
        snapshot=document.snapshot(),
        line=line,
        column=len(_HOLE_BEFORE.rsplit("\n", 1)[1]),
        trigger="invoked",
        received_s=time.monotonic(),
    )
    result = await service.complete(request)
    if isinstance(result, Skip):
        return Check(
            name="known hole",
            outcome="failed",
            detail=f"no suggestion ({result.reason}): {result.message}",
            hint="Run: midfill complete FILE:LINE:COL --explain",
        )
    right = result.text.strip() == _HOLE_EXPECTED
    return Check(
        name="known hole",
        outcome="ok" if right else "warning",
        detail=f"filled with {result.text!r} in {result.timings.total_ms:,.0f} ms"
        + ("" if right else f"; expected {_HOLE_EXPECTED!r}"),
        hint=""
        if right
        else "Suggestions may be poor: the model may be no code model. See: midfill model list",
        data={"text": result.text, "total_ms": result.timings.total_ms},
    )
