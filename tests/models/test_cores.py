"""Cores that a process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from lsp_server.models import cores

# Control groups of version 2, and of version 1 with a folder for the CPU's controllers.
TWO, ONE = "0::/a/b\n", "4:memory:/a\n3:cpu,cpuacct:/a\n0::/\n"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of control groups; none but those a test makes."""
    monkeypatch.setattr(cores, "_OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(cores, "_GROUPS", tmp_path / "groups")
    return tmp_path / "groups"


def limit(groups: Path, own: str, **files: str) -> None:
    """Put the process into a group, with files of it; ``__`` in a name is ``/``."""
    (groups.parent / "own").write_text(own)
    for name, text in files.items():
        file = groups / name.replace("__", "/").replace("cpu_", "cpu.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        (TWO, {"a__b__cpu_max": "250000 100000\n"}, 2.5),
        (TWO, {"a__b__cpu_max": "max 100000\n"}, math.inf),
        (TWO, {"a__b__cpu_max": "400000 100000\n", "a__cpu_max": "150000 100000\n"}, 1.5),
        (TWO, {"a__b__cpu_max": "what"}, math.inf),
        (TWO, {"a__b__cpu_max": "100 0"}, math.inf),
        (TWO, {}, math.inf),
        ("", {}, math.inf),
        ("nonsense", {}, math.inf),
    ],
)
def test_the_least_quota_on_the_way_up_holds(
    groups: Path, own: str, files: dict[str, str], quota: float
) -> None:
    """Where one is set; what cannot be read sets none."""
    limit(groups, own, **files)
    assert cores.quota() == quota


def test_the_older_control_groups_are_read(groups: Path) -> None:
    """A quota of −1 is none."""
    own = groups / "cpu,cpuacct" / "a"
    own.mkdir(parents=True)
    (groups.parent / "own").write_text(ONE)
    (own / "cpu.cfs_period_us").write_text("100000\n")
    for text, quota in (("-1\n", math.inf), ("50000\n", 0.5)):
        (own / "cpu.cfs_quota_us").write_text(text)
        assert cores.quota() == quota


def test_without_control_groups_there_is_no_quota(groups: Path) -> None:
    """As on other systems than Linux."""
    assert not (groups.parent / "own").exists()
    assert cores.quota() == math.inf


def test_cores_are_bounded_by_quota_and_affinity(groups: Path) -> None:
    """A part of a core is one; there is always one."""
    limit(groups, "0::/\n", cpu_max="30000 100000")
    assert cores.allowed_cores() == cores.physical_cores() == 1
    limit(groups, "0::/\n", cpu_max="99900000 100000")
    assert 1 <= cores.physical_cores() <= cores.allowed_cores() <= (os.cpu_count() or 1)
