"""Where the model lies, and what was not done as asked, reaches those who look at the engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from lsp_server.commands import engine as engine_command
from lsp_server.doctor import _flash_check, _placement_check
from lsp_server.engine import spawn
from lsp_server.engine.account import describe_estimate, describe_place
from lsp_server.engine.backend import BackendInfo
from lsp_server.engine.client import EngineClient
from lsp_server.engine.host import Host
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import EngineStatus, PlacementStatus, StateChange
from lsp_server.engine.scripted import ScriptedBackend
from lsp_server.settings import load
from tests.scripted_engine import MakeOptions

NOTICE = "The context was lowered from 32,768 to 8,192 tokens: 5.1 GiB of GPU memory were free."
PARTLY = PlacementStatus(
    devices=("CUDA0 Card",),
    n_layers=29,
    n_gpu_layers=12,
    split_mode="none",
    kv_type="q8_0",
    host_bytes=2 << 30,
    gpu_bytes=(3 << 30,),
)


class Placed(ScriptedBackend):
    """A scripted back end that claims to lie on a GPU."""

    placement = PARTLY

    def info(self) -> BackendInfo:
        """See Backend."""
        return msgspec.structs.replace(
            super().info(),
            placement=self.placement,
            n_gpu_layers=self.placement.n_gpu_layers,
            notice=NOTICE,
            adapters=("/style.gguf",),
            flash_attention=True,
        )


@contextlib.asynccontextmanager
async def running(options: EngineOptions) -> AsyncIterator[list[StateChange]]:
    """An engine in this process; gives the states that a client is told."""
    host = asyncio.create_task(Host(options, lambda given, _: Placed(given)).run())
    states: asyncio.Queue[StateChange] = asyncio.Queue()
    seen: list[StateChange] = []
    client = EngineClient(options, name="test", on_state=states.put_nowait)
    try:
        async with asyncio.timeout(30):
            await client.connect()
            while not seen or seen[-1].state != "ready":
                seen.append(await states.get())
        yield seen
    finally:
        await client.aclose()
        await spawn.stop(options.socket_path)
        await host


async def status_of(options: EngineOptions) -> EngineStatus:
    """What the engine says of itself."""
    status = await spawn.query(options.socket_path)
    assert status is not None
    return status


async def test_the_ready_message_and_the_status_carry_it(scripted: MakeOptions) -> None:
    """A model that is only partly on a GPU counts as one on the CPU for what is asked of it."""
    options = scripted(default="x")
    async with running(options) as states:
        assert states[-1].message == NOTICE
        assert not states[-1].on_gpu
        status = await status_of(options)
    assert status.placement == PARTLY
    assert status.message == NOTICE
    assert status.adapters == ("/style.gguf",)


async def test_all_layers_on_gpus_count_as_a_gpu(
    scripted: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then prompts may be long."""
    monkeypatch.setattr(Placed, "placement", msgspec.structs.replace(PARTLY, n_gpu_layers=29))
    async with running(scripted(default="x")) as states:
        assert states[-1].on_gpu


async def test_tables_show_it(scripted: MakeOptions, capsys: pytest.CaptureFixture[str]) -> None:
    """Status and doctor name devices, layers, KV type, the estimate and the message."""
    options = scripted(default="x")
    async with running(options):
        status = await status_of(options)
    engine_command._print_status(status)
    lines = capsys.readouterr().out.splitlines()
    table = {name.strip(): value.strip() for name, value in (x.split("  ", 1) for x in lines)}
    assert table["state"] == "ready"
    assert table["runs on"].startswith("CUDA0 Card (12 of 29 layers, the rest on the CPU), ")
    assert table["KV cache"] == "8,192 tokens, q8_0"
    assert table["estimate"] == "2,048 MiB of memory, 3,072 MiB of CUDA0"
    assert table["adapters"] == "/style.gguf"
    assert table["notice"] == NOTICE
    check = _placement_check(status, PARTLY, load())
    assert check.outcome == "warning"
    assert NOTICE in check.detail
    assert "q8_0" in check.detail
    assert "Close other programs" in check.hint
    quiet = _placement_check(msgspec.structs.replace(status, message=""), PARTLY, load())
    assert (quiet.outcome, quiet.hint) == ("ok", "")


def test_layers_that_were_asked_for_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets layers on a build without GPU support is told how to get one."""
    on_cpu = msgspec.structs.replace(PARTLY, devices=(), n_gpu_layers=0, gpu_bytes=())
    status = EngineStatus(
        pid=1, version="", state="ready", model="", model_path="", backend="", n_gpu_layers=0,
        flash_attention=False, n_ctx=1, n_threads=1, slots=(), n_clients=0, n_waiting=0,
        n_served=0, rss_bytes=0, uptime_s=0, idle_exit_s=0, message="no GPU",
        placement=on_cpu,
    )  # fmt: skip
    check = _placement_check(status, on_cpu, load(command_line={"engine": {"n_gpu_layers": 20}}))
    assert "Reinstall llama-cpp-python" in check.hint


@pytest.mark.parametrize(
    ("n_gpu_layers", "wanted", "outcome", "detail"),
    [
        (0, "auto", "ok", "off: on a CPU it is slower"),
        (0, "off", "ok", "off, as set"),
        (0, "on", "warning", "off: this build or model lacks it"),
        (9, "auto", "warning", "off: this build or model lacks it"),
    ],
)
def test_flash_attention_that_is_off(
    n_gpu_layers: int, wanted: str, outcome: str, detail: str
) -> None:
    """It is a warning only where it was asked for, or would help."""
    status = EngineStatus(
        pid=1, version="", state="ready", model="", model_path="", backend="",
        n_gpu_layers=n_gpu_layers, flash_attention=False, n_ctx=1, n_threads=1, slots=(),
        n_clients=0, n_waiting=0, n_served=0, rss_bytes=0, uptime_s=0, idle_exit_s=0,
    )  # fmt: skip
    check = _flash_check(status, wanted=wanted)
    assert (check.outcome, check.detail) == (outcome, detail)


def test_places_in_words() -> None:
    """All layers, several devices, none."""
    both = msgspec.structs.replace(
        PARTLY,
        devices=("CUDA0 A", "CUDA1 B"),
        n_gpu_layers=29,
        split_mode="layer",
        gpu_bytes=(1 << 30, 2 << 30),
    )
    assert describe_place(both) == "CUDA0 A + CUDA1 B (all 29 layers, split by layer)"
    assert describe_estimate(both) == (
        "2,048 MiB of memory, 1,024 MiB of CUDA0, 2,048 MiB of CUDA1"
    )
    assert describe_place(None) == "CPU"
