"""How fast each model was on this machine: measured once, kept in ``speeds.json``.

A figure belongs to a model's hash, to the machine (processor, cores, GPU, llama.cpp build) and to
the options that matter for speed; under any others it does not count, and is measured again. The
file may be lost or damaged: then everything is measured again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from lsp_server import paths
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import MidfillError
from lsp_server.models import machine
from lsp_server.models.locks import file_errors, locked

_log = logging.getLogger("midfill.speeds")

# Changes when other things are measured, or in another way.
_METHOD = 1
_MAX_RECORDS = 64
_MAX_FILE_BYTES = 1024 * 1024
# One measurement may have come at a bad moment (a busy or hot machine); of so many the best counts.
_N_SESSIONS = 3
# These change no figure. A new option counts until it is known not to matter.
_NOT_SPEED = (
    "model_id",
    "model_path",
    "n_ctx",
    "n_slots",
    "move_kv",
    "idle_exit_s",
    "speculation",
    "mmap",
    "mlock",
)

Positive = Annotated[float, Meta(gt=0)]
PositiveInt = Annotated[int, Meta(ge=1)]


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a model is, behind a prompt of ``n_prompt_tokens``.

    Args:
        model_id: its id when it was measured, for display.
        first_line_ms: the best time from a typed key to a line of ten tokens, with the prompt in
            the KV cache: eight tokens are evaluated, then ten generated one by one.
        first_line_p50_ms: the median of the session with the best one.
        n_runs: lines generated, in all sessions.
        n_sessions: how often the model was measured.
        n_prompt_tokens: tokens in the KV cache before the key.
        prefill_tokens_per_s: speed of evaluating the prompt.
        decode_tokens_per_s: speed of generating the line.
        step_ms: the best time to evaluate so many tokens with the logits of each.
    """

    model_id: str
    first_line_ms: Positive
    first_line_p50_ms: Positive
    n_runs: PositiveInt
    n_sessions: PositiveInt = 1
    n_prompt_tokens: PositiveInt
    prefill_tokens_per_s: Positive
    decode_tokens_per_s: Positive
    step_ms: Annotated[dict[PositiveInt, Positive], Meta(min_length=1)]

    @property
    def settled(self) -> bool:
        """Whether it was measured often enough to believe that it is not faster."""
        return self.n_sessions >= _N_SESSIONS


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    speed: Speed


class _File(msgspec.Struct, kw_only=True):
    version: int = 1
    # What auto took last, so that a change can be told.
    last_choice: str = ""
    # The one saved last comes last.
    speeds: list[_Record] = []


def key_of(sha256: str, options: EngineOptions) -> str:
    """Name of a model's figures on this machine, under these options (32 hex digits).

    Args:
        sha256: of the model's file.
        options: see EngineOptions.
    """
    relevant = msgspec.to_builtins(options)
    for name in _NOT_SPEED:
        relevant.pop(name, None)
    recipe = [_METHOD, sha256, machine.describe(), sorted(relevant.items())]
    return hashlib.sha256(msgspec.json.encode(recipe)).hexdigest()[:32]


def find(sha256: str, options: EngineOptions) -> Speed | None:
    """What was measured for a model under these circumstances; None if nothing was.

    Args:
        sha256: of the model's file; "" is of none.
        options: see EngineOptions.
    """
    records = _read().speeds
    if not sha256 or not records:
        return None
    key = key_of(sha256, options)
    return next((record.speed for record in records if record.key == key), None)


def save(sha256: str, options: EngineOptions, speed: Speed) -> Speed:
    """Keep a measurement, joined with an earlier one; a folder that is read-only keeps none.

    Args:
        sha256: of the model's file; "" keeps nothing.
        options: it was measured with.
        speed: what was measured.

    Returns:
        The figures that count now.
    """
    if not sha256:
        return speed
    key = key_of(sha256, options)
    joined = speed

    def change(file: _File) -> None:
        nonlocal joined
        old = next((record.speed for record in file.speeds if record.key == key), None)
        joined = _joined(old, speed) if old is not None else speed
        kept = [record for record in file.speeds if record.key != key]
        file.speeds = [*kept, _Record(key=key, speed=joined)][-_MAX_RECORDS:]

    _update(change)
    return joined


def note_choice(model_id: str) -> str:
    """Remember what auto takes; gives what it took before ("" if nothing is known)."""
    before = _read().last_choice
    if before != model_id:
        _update(lambda file: setattr(file, "last_choice", model_id))
    return before


def _joined(old: Speed, new: Speed) -> Speed:
    """The best of two measurements: noise only ever makes things slower."""
    best = min(old, new, key=lambda speed: speed.first_line_ms)
    sizes = {*old.step_ms, *new.step_ms}
    infinite = float("inf")
    return msgspec.structs.replace(
        best,
        model_id=new.model_id,
        n_runs=old.n_runs + new.n_runs,
        n_sessions=old.n_sessions + new.n_sessions,
        prefill_tokens_per_s=max(old.prefill_tokens_per_s, new.prefill_tokens_per_s),
        decode_tokens_per_s=max(old.decode_tokens_per_s, new.decode_tokens_per_s),
        step_ms={
            size: min(old.step_ms.get(size, infinite), new.step_ms.get(size, infinite))
            for size in sorted(sizes)
        },
    )


def _path() -> Path:
    return paths.cache_dir() / "speeds.json"


def _read() -> _File:
    path = _path()
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) <= _MAX_FILE_BYTES:
            return msgspec.json.decode(data, type=_File)
        reason = "it is too large"
    except FileNotFoundError:
        return _File()
    except OSError as error:
        reason = error.strerror or str(error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error)
    _log.warning("%s does not count (%s); speeds are measured again", path, reason)
    return _File()


def _update(change: Callable[[_File], None]) -> None:
    try:
        folder = paths.private_dir(paths.cache_dir())
        with file_errors(folder), locked(folder / "speeds.json.lock", wait=True):
            content = _read()
            change(content)
            data = msgspec.json.format(msgspec.json.encode(content), indent=2)
            temporary = _path().with_suffix(".json.new")
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            temporary.replace(_path())
    except MidfillError as error:
        _log.warning("what was measured is not kept: %s", error)
