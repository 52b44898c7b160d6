"""The ``score`` subcommand."""

from __future__ import annotations

import argparse
import json

import pytest

from lsp_server.acceptance.events import to_row
from lsp_server.acceptance.store import EventStore
from lsp_server.commands import score
from lsp_server.score import own as learned
from lsp_server.score.model import shipped
from tests.acceptance.test_learning import log


def run(*arguments: str) -> int:
    """Run ``midfill score`` with arguments."""
    parser = argparse.ArgumentParser()
    score.add_parser(parser.add_subparsers())
    args = parser.parse_args(["score", *arguments])
    code = args.func(args)
    assert isinstance(code, int)
    return code


def fill(n: int) -> None:
    """Log decisions."""
    store = EventStore()
    store.write([("w", number, *to_row(event)) for number, event in enumerate(log(n))])
    store.close()


def test_it_says_where_the_score_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    """The corpus, its size, and how many decisions learning needs."""
    assert run() == 0
    printed = capsys.readouterr().out
    assert shipped().provenance.corpus in printed
    assert "300" in printed
    assert "nothing yet" in printed


def test_learning_at_once_and_forgetting(capsys: pytest.CaptureFixture[str]) -> None:
    """What was learned is shown, and gone after a reset."""
    fill(400)
    assert run("learn", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["own"]["n"] == figures["decisions"] == 400
    assert run("show") == 0
    assert "from 400 decisions" in capsys.readouterr().out
    assert run("reset") == 0
    assert learned.load(shipped()) is None
    assert run("reset", "--json") == 0
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1]) == {"reset": False}
