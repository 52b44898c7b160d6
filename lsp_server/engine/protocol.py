"""Frames between the language server and the engine.

A frame is a 4-byte big-endian length followed by that many bytes of msgpack. Each message is
a tagged Struct; unknown fields are ignored, so both ends may be one version apart.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Literal

import msgspec

from context.types import Segment
from lsp_server.errors import ProtocolError
from lsp_server.types import SamplingParams, TokenChunk

PROTOCOL_VERSION = 4
# A prompt is far below this; anything above is a bug or hostile.
MAX_FRAME_BYTES = 8 * 1024 * 1024
_LENGTH = struct.Struct(">I")

EngineState = Literal["loading", "ready", "unloaded", "paused", "failed"]
Lane = Literal["interactive", "prefetch", "warm_up"]
# In the order in which they are served.
LANES: tuple[Lane, ...] = ("interactive", "prefetch", "warm_up")


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """First message of a client."""

    protocol: int
    pid: int
    client: str = ""


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA adapter to put on the model.

    Args:
        path: absolute, of its GGUF file.
        scale: how strongly it takes effect.
    """

    path: str
    scale: float = 1.0


class Detour(msgspec.Struct, frozen=True, kw_only=True):
    """A text that is not to be written.

    Args:
        text: as it would stand behind the cursor.
        at: characters of it after which the text is to be another one. Where that is all of it, the
            text is not to end there.
    """

    text: str
    at: int = 0


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document lives.

    Args:
        corpus: the workspace whose texts lead to what is written, see Text; "" for none.
        path: of the document in there.
    """

    corpus: str = ""
    path: str = ""


NOWHERE = Home()


class Generate(msgspec.Struct, frozen=True, kw_only=True, tag="generate"):
    """Ask for tokens.

    Args:
        request_id: unique within the connection.
        segments: the prompt; roles become the model's own FIM token ids.
        sampling: how tokens are picked and how many at most; ``max_tokens == 0`` only
            evaluates the prompt so that a later request finds it in the KV cache.
        stop: strings that end the generation; the text before them is still sent.
        heal_bytes: size in UTF-8 bytes of the word that ends the prefix; its tokens are generated
            anew under the condition that the word comes out again. 0 heals nothing.
        lane: prefetches give way to interactive requests, warm-ups to both.
        adapters: put on the model for this request.
        detours: texts that are not to be written.
        home: of the document.
        whole_corpus: whether all texts of its corpus that came are read before; else those that
            were read so far count.
    """

    request_id: int
    segments: tuple[Segment, ...]
    sampling: SamplingParams = SamplingParams()
    stop: tuple[str, ...] = ()
    heal_bytes: int = 0
    lane: Lane = "interactive"
    adapters: tuple[Adapter, ...] = ()
    detours: tuple[Detour, ...] = ()
    home: Home = NOWHERE
    whole_corpus: bool = False


class Text(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """A text that tells how things are written in a workspace; there is no answer.

    It stays while there is room, whoever told it.

    Args:
        corpus: names the workspace.
        path: of the file in there; "" forgets the whole corpus.
        text: all of it; "" where it is gone.
    """

    corpus: str
    path: str
    text: str = ""


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Stop a request; it is answered with ``finish_reason == "cancelled"``."""

    request_id: int


class Survey(msgspec.Struct, frozen=True, kw_only=True, tag="survey"):
    """Measure models when there is nothing else to do; there is no answer.

    Args:
        models: for each an EngineOptions as JSON.
    """

    models: tuple[str, ...]


class StatusQuery(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """Ask for an EngineStatus."""


class Wake(msgspec.Struct, frozen=True, kw_only=True, tag="wake"):
    """A request is to be expected: load the model again if it was unloaded."""


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag="pause"):
    """The user pauses completion, or goes on; see pause.py.

    Args:
        paused: True cancels all requests, frees the model and refuses what comes.
    """

    paused: bool


class Shutdown(msgspec.Struct, frozen=True, kw_only=True, tag="shutdown"):
    """Leave now; running requests are cancelled.

    Args:
        keep_prompts: whether prompts may be saved to disk before.
    """

    keep_prompts: bool = True


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """First message of the engine."""

    protocol: int
    version: str
    pid: int


class StateChange(msgspec.Struct, frozen=True, kw_only=True, tag="state"):
    """The engine's state: sent after Welcome and on each change.

    Args:
        state: ``loading``, ``ready``, ``unloaded`` (the model is loaded again when somebody
            asks), ``paused`` (by the user; requests are refused) or ``failed``.
        code: reason code when failed or paused.
        message: for the user; when ready, what was not done as the settings say.
        progress: 0 to 1 while loading.
        model: id of the model.
        on_gpu: whether all of the model's layers are on GPUs, or were when it was loaded last.
        n_ctx: cells of the KV cache.
        repo_level: whether the model has markers for prompts of several files.
    """

    state: EngineState
    code: str = ""
    message: str = ""
    hint: str = ""
    progress: float = 0.0
    model: str = ""
    on_gpu: bool = False
    n_ctx: int = 0
    repo_level: bool = False


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """A request that cannot be served, with a reason code."""

    request_id: int
    code: str
    message: str
    hint: str = ""


class SlotStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A KV-cache slot: its sequence id and how many tokens it holds."""

    seq_id: int
    n_tokens: int


class PlacementStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model lies.

    Args:
        devices: the GPUs in use.
        n_layers: of the model; the output counts as one.
        n_gpu_layers: those on GPUs.
        split_mode: over the GPUs.
        kv_type: of the numbers in the KV cache.
        host_bytes: estimate of what the machine's memory holds.
        gpu_bytes: the same for each of ``devices``.
    """

    devices: tuple[str, ...]
    n_layers: int
    n_gpu_layers: int
    split_mode: str
    kv_type: str
    host_bytes: int
    gpu_bytes: tuple[int, ...]


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True, tag="engine_status"):
    """Everything ``midfill engine status`` shows.

    ``speculation`` says whether tokens are guessed ahead, and why ("" if the back end cannot);
    ``n_guessed`` were, and ``n_guessed_right`` of them were taken. ``corpus_chars`` are kept
    of workspaces' texts; ``n_unread_texts`` of them do not count yet.
    """

    pid: int
    version: str
    state: EngineState
    model: str
    model_path: str
    backend: str
    flash_attention: bool
    n_gpu_layers: int
    n_ctx: int
    n_threads: int
    slots: tuple[SlotStatus, ...]
    n_clients: int
    n_waiting: int
    n_served: int
    rss_bytes: int
    uptime_s: float
    idle_exit_s: float
    unload_idle_s: float = 0.0
    message: str = ""
    speculation: str = ""
    n_guessed: int = 0
    n_guessed_right: int = 0
    placement: PlacementStatus | None = None
    adapters: tuple[str, ...] = ()
    n_stored_prompts: int = 0
    stored_bytes: int = 0
    corpus_chars: int = 0
    n_unread_texts: int = 0


ClientMessage = Hello | Generate | Text | Cancel | Survey | StatusQuery | Wake | Pause | Shutdown
EngineMessage = Welcome | StateChange | TokenChunk | Refused | EngineStatus

_encoder = msgspec.msgpack.Encoder()
_client_decoder: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_engine_decoder: msgspec.msgpack.Decoder[EngineMessage] = msgspec.msgpack.Decoder(EngineMessage)


def encode(message: ClientMessage | EngineMessage) -> bytes:
    """One frame, length included.

    Raises:
        ProtocolError: the message is larger than MAX_FRAME_BYTES.
    """
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ProtocolError(
            f"A message of {len(body)} bytes is too large (at most {MAX_FRAME_BYTES}).",
            code="frame_too_large",
        )
    return _LENGTH.pack(len(body)) + body


def decode_client(body: bytes) -> ClientMessage:
    """A message that a client sent."""
    try:
        return _client_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"Unreadable message: {error}", code="frame_unreadable") from error


def decode_engine(body: bytes) -> EngineMessage:
    """A message that an engine sent."""
    try:
        return _engine_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"Unreadable message: {error}", code="frame_unreadable") from error


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's body, or None at the end of the stream.

    Raises:
        ProtocolError: the announced length is above MAX_FRAME_BYTES, or the stream ends
            inside a frame.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise ProtocolError(
                f"A frame of {length} bytes was announced (at most {MAX_FRAME_BYTES}).",
                code="frame_too_large",
            )
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise ProtocolError("The stream ended inside a frame.", code="frame_cut") from error
    except ConnectionError:
        return None
