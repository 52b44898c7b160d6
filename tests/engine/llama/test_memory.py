"""What memory is free: the machine's, a container's, and the devices of llama.cpp."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import psutil
import pytest

from lsp_server.engine.llama import devices, memory
from lsp_server.engine.llama.devices import _usable
from lsp_server.engine.llama.memory import Gpu, _cgroup_memory, allow_locking, in_gib, measure

GIB = 1 << 30


def write(folder: Path, **files: str) -> None:
    """Files of a control group; a double underscore stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_a_container_the_machine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What psutil calls available is free."""
    monkeypatch.setattr(memory, "_own_cgroup", lambda: "")
    found = measure(())
    assert found.host_total_bytes == psutil.virtual_memory().total
    assert 0 < found.host_free_bytes <= found.host_total_bytes


def test_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a control group leaves less than the machine has, that is what is free."""
    write(tmp_path, memory__max=f"{100 << 20}", memory__current=f"{60 << 20}", memory__stat="")
    monkeypatch.setattr(memory, "_own_cgroup", lambda: "0::/\n")
    monkeypatch.setattr(memory, "_CGROUP_ROOT", tmp_path)
    found = measure(())
    assert (found.host_free_bytes, found.host_total_bytes) == (40 << 20, 100 << 20)


def test_cgroup_v2_takes_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    """Limits of groups further out hold as well; cached files count as free."""
    write(tmp_path / "user", memory__max=f"{8 * GIB}", memory__current=f"{7 * GIB}")
    stat = f"anon 5\ninactive_file {GIB}\nactive_file {GIB}\nhierarchy deep down\n"
    write(
        tmp_path / "user" / "session",
        memory__max=f"{6 * GIB}",
        memory__current=f"{4 * GIB}",
        memory__stat=stat,
    )
    assert _cgroup_memory("0::/user/session\n", tmp_path) == (GIB, 8 * GIB)
    write(tmp_path / "user", memory__max="max")
    assert _cgroup_memory("0::/user/session\n", tmp_path) == (4 * GIB, 6 * GIB)


def test_cgroup_v1(tmp_path: Path) -> None:
    """The older files are read; their huge number means that there is no limit."""
    membership = "5:cpuset:/\n4:cpu,memory:/docker/abc\n0::/\n"
    group = tmp_path / "memory" / "docker" / "abc"
    write(
        group,
        memory__limit_in_bytes=f"{2 * GIB}",
        memory__usage_in_bytes=f"{GIB}",
        memory__stat=f"total_inactive_file {GIB // 2}\ntotal_active_file 0\n",
    )
    write(
        tmp_path / "memory",
        memory__limit_in_bytes="9223372036854771712",
        memory__usage_in_bytes="5",
    )
    assert _cgroup_memory(membership, tmp_path) == (3 * GIB // 2, 2 * GIB)


@pytest.mark.parametrize("membership", ["", "0::/../../x\n", "nonsense\n", "4:memory:/gone\n"])
def test_no_group_no_limit(tmp_path: Path, membership: str) -> None:
    """What cannot be read limits nothing."""
    assert _cgroup_memory(membership, tmp_path) is None


def test_a_group_above_its_limit_leaves_nothing(tmp_path: Path) -> None:
    """Free memory is never below 0."""
    write(tmp_path, memory__max="100", memory__current="200")
    assert _cgroup_memory("0::/\n", tmp_path) == (0, 100)


# -- locking -----------------------------------------------------------------------------


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """Soft and hard limit of locked memory, for a user who is not root."""
    state = {"memlock": (8 << 20, 8 << 20)}
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(resource, "getrlimit", lambda _: state["memlock"])
    monkeypatch.setattr(
        resource, "setrlimit", lambda _, wanted: state.__setitem__("memlock", wanted)
    )
    return state


def test_too_low_a_limit_is_explained(limits: dict[str, tuple[int, int]]) -> None:
    """The reason names both figures and what to do."""
    reason = allow_locking(GIB)
    assert "1.0 GiB cannot be locked" in reason
    assert "8 MiB are allowed" in reason
    assert "ulimit -l" in reason
    assert allow_locking(4 << 20) == ""
    assert limits["memlock"] == (8 << 20, 8 << 20)


def test_the_soft_limit_is_raised(limits: dict[str, tuple[int, int]]) -> None:
    """Where the hard limit allows it, nobody is bothered."""
    limits["memlock"] = (8 << 20, 2 * GIB)
    assert allow_locking(GIB) == ""
    assert limits["memlock"] == (2 * GIB, 2 * GIB)


def test_sizes_for_the_user() -> None:
    """Small sizes in MiB, large ones in GiB with a digit."""
    assert [in_gib(n) for n in (300 << 20, 5 * GIB + GIB // 10)] == ["300 MiB", "5.1 GiB"]


# -- devices -----------------------------------------------------------------------------


def card(name: str) -> Gpu:
    """A GPU of that name."""
    return Gpu(name=name, free_bytes=1, total_bytes=2)


def test_a_card_of_two_back_ends_counts_once() -> None:
    """Devices with one id are one; CPUs, accelerators and other machines are none."""
    found = [
        (0, "", card("CPU")),
        (1, "0000:01:00.0", card("CUDA0")),
        (1, "0000:02:00.0", card("CUDA1")),
        (1, "0000:01:00.0", card("Vulkan0")),
        (1, "", card("RPC0")),
        (2, "", card("Vulkan1")),
        (3, "", card("BLAS")),
    ]
    assert [gpu.name for gpu in _usable(found)] == ["CUDA0", "CUDA1"]


def test_an_integrated_gpu_counts_where_there_is_no_other() -> None:
    """It is better than none; two without an id are two."""
    assert [g.name for g in _usable([(0, "", card("CPU")), (2, "", card("V0"))])] == ["V0"]
    two = [(1, "", card("A")), (1, "", card("B"))]
    assert [gpu.name for gpu in _usable(two)] == ["A", "B"]


def test_ggml_lists_this_machine() -> None:
    """The installed library tells name, kind and memory of the CPU it runs on."""
    found = [devices._describe(device) for device in devices._devices()]
    processors = [gpu for kind, _, gpu in found if kind == 0]
    assert len(processors) == 1
    assert processors[0].total_bytes > 1 << 28
    assert 0 < processors[0].free_bytes <= processors[0].total_bytes
    assert processors[0].address
    for kind, _, gpu in found:
        assert kind in range(5)
        assert gpu.name
