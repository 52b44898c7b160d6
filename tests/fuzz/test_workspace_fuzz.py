"""Whatever a workspace holds, suggestions go on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import workspace


async def test_a_hostile_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are no text, have no end, lead in circles or are far too large."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    chance = random.Random(1)
    workspace.build(tmp_path / "root", 200, chance)
    report = await workspace.run(tmp_path / "root", 300, chance)
    assert report.n_requests == 300
    # The ordinary ones, and what is text of those that are not.
    assert 200 <= report.n_files <= 210
    assert report.left_out == ""
