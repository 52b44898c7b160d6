"""Places, and what was typed since."""

from __future__ import annotations

import pytest

from tests.completion.streams import place


@pytest.mark.parametrize(
    ("before", "after", "typed"),
    [
        ("a = ‸\nb", "a = ‸\nb", b""),
        ("a = ‸\nb", "a = fo‸\nb", b"fo"),
        ("a = ‸\nb", "a = f(\n  1‸\nb", b"f(\n  1"),
        ("a = ‸\nb", "a = f(‸)\nb", b"f("),
        ("a = ‸\nb", "a = f('‸')\nb", b"f('"),
        ("a = ‸\nb", "a = ‸)\nb", None),
        ("a = ‸\nb", "a = f‸ x\nb", None),
        ("a = f‸\nb", "a = ‸\nb", None),
        ("a = ‸\nb", "c = f‸\nb", None),
        ("a = ‸\nb", "a = f‸\nc", None),
        ("é = ‸\nb", "é = ü‸\nb", "ü".encode()),
    ],
)
def test_what_was_typed_since(before: str, after: str, typed: bytes | None) -> None:
    """Only typing at the place itself counts; brackets that an editor closes may stand behind."""
    assert place(after).typed_since(place(before)) == typed
