"""The real language server as a suggester, with a scripted engine instead of a model."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.replay.server import LspServer
from benchmarks.replay.types import Project, Target
from benchmarks.replay.walk import WalkOptions, walk
from lsp_server import paths
from lsp_server.errors import EngineError, MidfillError
from tests.processes import still_running
from tests.scripted_engine import write_script

LINE = "amount = price * count"
MakeServer = Callable[..., LspServer]


@pytest.fixture
async def make_server(tmp_path: Path) -> AsyncIterator[MakeServer]:
    """Makes servers whose engine plays a script; they are closed at the end."""
    made: list[LspServer] = []

    def make(
        *replies: dict[str, Any],
        default: str = "",
        **sections: dict[str, Any],
    ) -> LspServer:
        script = write_script(tmp_path / "script.json", *replies, default=default)
        settings = {"model": {"id": f"scripted:{script}"}, **sections}
        made.append(LspServer(settings))
        return made[-1]

    yield make
    for server in made:
        await server.aclose()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of one file."""
    folder = tmp_path / "till"
    folder.mkdir()
    (folder / "a.py").write_text(f"price = 2\n{LINE}\n")
    target = Target(path="a.py", first_line=1, last_line=2, lines=(1,))
    return Project(name="till", root=folder, targets=(target,))


async def opened(server: LspServer, project: Project, text: str) -> LspServer:
    """The server, started, with a document."""
    await server.start(project)
    await server.open("a.py", text)
    return server


async def test_suggestion_comes_with_its_account(make_server: MakeServer, project: Project) -> None:
    """A suggestion has its text, what the model wrote, log-probabilities, times and counts."""
    reply = {"after": "amount = ", "text": "price * 2\nmore()", "logprob": -0.5}
    server = await opened(make_server(reply), project, "amount = \nend = 1\n")
    found = await server.suggest(0, 9)
    assert found.text == "price * 2"
    assert found.reason == ""
    assert found.raw.startswith("price * 2")
    assert set(found.logprobs) == {-0.5}
    assert found.ttft_ms > 0
    assert 0 < found.display_ms <= found.total_ms
    assert found.n_prompt > 0
    assert found.id


async def test_reason_is_told_where_nothing_is_suggested(
    make_server: MakeServer, project: Project
) -> None:
    """Without a suggestion there is the reason for it."""
    server = await opened(make_server(), project, "x = ")
    found = await server.suggest(0, 4)
    assert found.text == ""
    assert found.reason == "model_stopped"
    assert found.display_ms == 0


async def test_edits_reach_the_server_in_its_units(
    make_server: MakeServer, project: Project
) -> None:
    """Columns in code points become UTF-16, so that edits behind an emoji land where they must."""
    reply = {"after": "é = '🙂🙂' + nam", "text": "e.title()"}
    server = await opened(make_server(reply), project, "é = '🙂🙂'\nold = 1\n")
    await server.replace(0, 8, 0, 8, " + n")
    await server.replace(0, 12, 0, 12, "am")
    assert (await server.suggest(0, 14)).text == "e.title()"


async def test_outcomes_reach_a_log_of_the_servers_own(
    make_server: MakeServer, project: Project
) -> None:
    """Accepts, partial accepts and dismissals are logged, and not where the user's are."""
    replies = (
        {"after": "amount", "text": " = 1"},
        {"after": "pr", "text": "ice * count"},
    )
    server = make_server(*replies)
    await server.start(project)
    options = WalkOptions(identifier_step=2, min_chars=1)
    result = await walk(project, project.targets[0], server, "full", options)
    assert [o.accepted for o in result.opportunities].count(True) == 1
    await server.open("a.py", "pr")
    await server.accept(await server.suggest(0, 2), 3)
    await server.dismiss(await server.suggest(0, 2))
    # What was turned down is not suggested again at its place.
    await server.open("b.py", "pr")
    # Answered when everything before it is stored.
    await server.accept(await server.suggest(0, 2), 99)
    with sqlite3.connect(server.state_dir / "events.sqlite") as log:
        kinds = [kind for (kind,) in log.execute("SELECT kind FROM events")]
    assert kinds.count("accepted") == 2
    assert kinds.count("partially_accepted") == 1
    assert kinds.count("dismissed") >= 1
    assert not paths.state_dir().exists()


async def test_nothing_is_left_behind(make_server: MakeServer, project: Project) -> None:
    """Once closed, the server, its engine and its folders are gone."""
    server = await opened(make_server(default="x"), project, "y = ")
    await server.suggest(0, 4)
    home = server.state_dir.parent
    ours = [process for process in _processes() if _belongs(process, home)]
    assert len(ours) == 2
    await server.aclose()
    assert not home.exists()
    assert still_running(ours, 10) == []


async def test_each_document_finds_the_same_cache(
    make_server: MakeServer, project: Project
) -> None:
    """How much of a first prompt is found in the cache does not depend on earlier documents."""
    server = make_server(default="1 + 1")
    text = "import shop\nfrom till import amount\nx = "
    await opened(server, project, text)
    first = await server.suggest(2, 4)
    second = await server.suggest(2, 4)
    await server.close()
    await server.open("a.py", text)
    again = await server.suggest(2, 4)
    assert second.n_reused > first.n_reused == again.n_reused


async def test_projects_have_servers_of_their_own(
    make_server: MakeServer, project: Project, tmp_path: Path
) -> None:
    """A new project gets a new server in its folder; the same project keeps its server."""
    server = await opened(make_server(default="1"), project, "x = ")
    await server.close()
    first = server._server.client
    await server.start(project)
    assert server._server.client is first
    (tmp_path / "other").mkdir()
    await server.start(Project(name="other", root=tmp_path / "other", targets=()))
    assert server._server.client is not first
    await server.open("b.py", "y = ")
    assert (await server.suggest(0, 4)).text == "1"


async def test_missing_model_ends_the_run(project: Project) -> None:
    """Without a model the first question says which command fetches one."""
    server = LspServer()
    try:
        await server.start(project)
        with pytest.raises(MidfillError, match="midfill model fetch") as caught:
            await server.open("a.py", "x = ")
        assert caught.value.code == "model_not_fetched"
    finally:
        await server.aclose()


async def test_engine_that_crashes_ends_the_run(make_server: MakeServer, project: Project) -> None:
    """An answer that is empty since the engine died is an error, not an empty answer."""
    server = make_server({"after": "x = ", "text": "1", "abort": True})
    await opened(server, project, "x = ")
    with pytest.raises(EngineError, match=r"\S") as caught:
        await server.suggest(0, 4)
    assert caught.value.code == "engine_died"


async def test_request_that_hangs_is_given_up(make_server: MakeServer, project: Project) -> None:
    """A suggestion that does not come within the limit is an error that says so."""
    server = make_server({"after": "x = ", "text": "1", "hang": True})
    await opened(server, project, "x = ")
    server._server.client._timeout_s = 0.2
    with pytest.raises(EngineError, match="has not answered") as caught:
        await server.suggest(0, 4)
    assert caught.value.code == "server_silent"


async def test_server_that_dies_ends_the_run(make_server: MakeServer, project: Project) -> None:
    """When the server process is killed, the question under way says so."""
    server = make_server({"after": "x = ", "text": "1", "hang": True})
    await opened(server, project, "x = ")
    home = server.state_dir.parent
    (process,) = [
        process
        for process in _processes()
        if _belongs(process, home) and "lsp_server.cli" in process.cmdline()
    ]
    question = asyncio.ensure_future(server.suggest(0, 4))
    await asyncio.sleep(0)
    process.kill()
    with pytest.raises(EngineError, match="ended") as caught:
        await question
    assert caught.value.code == "server_gone"


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"completion": {"enabled": False}}, "disabled"),
        ({"completion": {"disabled_languages": ["python"]}}, "language_disabled"),
    ],
)
async def test_switched_off_completion_is_an_error(
    make_server: MakeServer, project: Project, sections: dict[str, Any], reason: str
) -> None:
    """Settings under which nothing is ever suggested end the run."""
    server = make_server(default="1", **sections)
    await server.start(project)
    with pytest.raises(EngineError) as caught:
        await server.open("a.py", "x = ")
    assert caught.value.code == reason


def _processes() -> list[psutil.Process]:
    return list(psutil.process_iter())


def _belongs(process: psutil.Process, home: Path) -> bool:
    """Whether a process was started with a runtime folder in ``home``."""
    with contextlib.suppress(psutil.Error):
        return str(process.environ().get("MIDFILL_RUNTIME_DIR")).startswith(str(home))
    return False
