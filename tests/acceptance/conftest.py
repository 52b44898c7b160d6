"""What the tests of the acceptance log share."""

from __future__ import annotations

import pytest

from tests.acceptance.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """A fresh tracker."""
    return Bench()
