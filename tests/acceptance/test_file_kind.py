"""Tests, source code, and everything else."""

from __future__ import annotations

import pytest

from lsp_server.acceptance.file_kind import file_kind


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("file:///a/shop.py", "source"),
        ("file:///a/contest.py", "source"),
        ("file:///a/latest.py", "source"),
        ("file:///a/tests/shop.py", "test"),
        ("file:///a/Tests/Shop.cs", "test"),
        ("file:///a/test_shop.py", "test"),
        ("file:///a/conftest.py", "test"),
        ("file:///a/shop_test.go", "test"),
        ("file:///a/shop.test.ts", "test"),
        ("file:///a/shop.spec.tsx", "test"),
        ("file:///a/ShopTest.java", "test"),
        ("file:///a/tests/data.json", "other"),
        ("file:///a/README.md", "other"),
        ("file:///a/LICENSE", "other"),
        ("file:///a/Makefile", "source"),
        ("file:///a%20b/test%5Fx.py", "test"),
        ("untitled:Untitled-1", "source"),
        ("", "other"),
    ],
)
def test_kinds(uri: str, kind: str) -> None:
    """The path decides: names first, then folders."""
    assert file_kind(uri) == kind
