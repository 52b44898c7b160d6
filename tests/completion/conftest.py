"""What the tests of completions share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lsp_server.completion.generations import Generations


@pytest.fixture
async def kept() -> AsyncIterator[Generations]:
    """Streams of all documents; stopped at the end."""
    found = Generations()
    yield found
    await found.aclose()
