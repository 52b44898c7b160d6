"""Other files in the prompt, with a scripted engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from context.types import Prompt
from lsp_server.completion import asking
from lsp_server.completion.draft import Explanation
from lsp_server.completion.service import CompletionService
from lsp_server.completion.warmup import Spot
from tests.completion.serving import Serve, request, watch_evaluation

CART = 'def empty_cart(owner: str) -> "Cart":\n    """A cart with nothing in it."""\n'
TILL = "from cart import empty_cart\n\nmine = empty_cart(‸)\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file that another one needs."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "shop"
    root.mkdir()
    (root / "cart.py").write_text(CART)
    return root


async def explained(service: CompletionService, root: Path, marked: str) -> Explanation:
    """What went into the prompt at a mark of ``till.py``."""
    uri = (root / "till.py").as_uri()
    found = request(marked, uri=uri)
    service.document_opened(found.snapshot)
    await service.complete(found)
    account = service.account(uri)
    assert account is not None
    assert account.explanation is not None
    return account.explanation


async def test_other_files_reach_the_prompt(serve: Serve, project: Path) -> None:
    """Before the open file, in the form that the model knows; and the explanation says so."""
    service = serve(default="'me')", n_tokens=400, n_new_tokens=400)
    service.open_folders([project])
    await service.indexed()
    explanation = await explained(service, project, TILL)
    segments = explanation.prompt.segments
    assert [s.role for s in segments if s.role != "text"] == [
        *("repo_name", "file_sep", "file_sep", "fim_prefix", "fim_suffix", "fim_middle"),
    ]
    assert "".join(s.text for s in segments[:4]).startswith("shop\ncart.py\ndef empty_cart(")
    assert [s.origin for s in explanation.related.snippets] == ["definition"]


async def test_what_is_new_of_other_files_comes_in_a_pause(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suggestion does not wait for it; once the user pauses it is evaluated, and stays."""
    service = serve(default="'me')", n_tokens=400, n_new_tokens=1)
    service.open_folders([project])
    await service.indexed()
    evaluated = watch_evaluation(service, monkeypatch)
    uri = (project / "till.py").as_uri()
    asked = request(TILL, uri=uri)
    await service.complete(asked)
    first = service.account(uri)
    assert first is not None
    assert first.explanation is not None
    assert first.explanation.related.snippets == ()
    assert [d.reason for d in first.explanation.related.dropped] == ["not_yet"]
    await asyncio.wait_for(evaluated.wait(), 10)
    await service.complete(asked)
    second = service.account(uri)
    assert second is not None
    assert second.explanation is not None
    assert [s.path for s in second.explanation.related.snippets] == ["cart.py"]


async def test_a_pause_brings_all_of_it_piece_by_piece(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece is evaluated before the next one comes."""
    (project / "shelf.py").write_text("def shelf_of(owner: str, width: int) -> list[str]: ...\n")
    service = serve(default="x", n_tokens=400, n_new_tokens=1)
    service.open_folders([project])
    await service.indexed()
    monkeypatch.setattr(asking, "_PIECE_S", 0.0)
    evaluated: list[int] = []

    async def prefill(prompt: Prompt) -> None:
        evaluated.append([s.role for s in prompt.segments].count("file_sep"))

    monkeypatch.setattr(service._engine, "prefill", prefill)
    marked = "from cart import empty_cart\nfrom shelf import shelf_of\n" + TILL.partition("\n")[2]
    asked = request(marked + "shelf_of", uri=(project / "till.py").as_uri())
    spot = Spot(snapshot=asked.snapshot, line=asked.line, column=asked.column)
    await service._ahead.evaluate(spot, resting=True)
    # The open file has a marker too.
    assert evaluated == [2, 3]


async def test_where_nobody_types_all_of_it_comes_at_once(serve: Serve, project: Path) -> None:
    """Also what a server would find for its next request only."""
    (project / "old.py").write_text(TILL.replace("‸", "'them'"))
    service = serve(default="'me')", n_tokens=400, n_new_tokens=1, one_shot=True)
    service.open_folders([project])
    await service.indexed()
    explanation = await explained(service, project, TILL)
    assert "similar" in {s.origin for s in explanation.related.snippets}
    assert explanation.related.settled


async def test_on_a_cpu_other_files_are_asked_for_by_the_user(serve: Serve, project: Path) -> None:
    """By default nothing is indexed there, and the prompt is that of the open file."""
    service = serve(default="'me')")
    service.open_folders([project])
    explanation = await explained(service, project, TILL)
    assert explanation.prompt.segments[0].role == "fim_prefix"
    assert not service._workspaces._workspaces[0].index.files


async def test_a_model_without_such_markers_gets_the_open_file(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of the index for it."""
    service = serve(default="'me')", n_tokens=400, n_new_tokens=400)
    monkeypatch.setattr(type(service._engine), "knows_repositories", False)
    service.open_folders([project])
    await service.indexed()
    explanation = await explained(service, project, TILL)
    assert explanation.prompt.segments[0].role == "fim_prefix"
    assert explanation.related.snippets == ()


async def test_without_an_index_suggestions_go_on(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An indexer that cannot be started costs only what other files would give."""

    async def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError("no such program")

    service = serve(default="'me')", n_tokens=400, n_new_tokens=400)
    service.open_folders([project])
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", fail)
        await service.indexed()
    explanation = await explained(service, project, TILL)
    assert explanation.raw == "'me')"
