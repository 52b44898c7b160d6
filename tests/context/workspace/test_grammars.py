"""Definitions in other languages than Python."""

from __future__ import annotations

import sys

import pytest

from context.types import SourceFile
from context.workspace import grammars
from context.workspace.grammars import definitions_in
from context.workspace.symbols import symbols_of

TEXTS = {
    "typescript": (
        "export class Cart extends Base {\n  total(tax: number): number { return 1 }\n}\n"
        "export const open = (who: string) => {\n  return who\n}\n"
        "interface Line { price: number }\ntype Id = string\n",
        ["Cart", "total", "open", "Line", "Id"],
    ),
    "javascript": ("class A { foo() {} }\nfunction bar(a) {}\n", ["A", "foo", "bar"]),
    "go": (
        "package shop\n\ntype Cart struct { n int }\n\nfunc (c *Cart) Total(tax int) int {\n"
        "\treturn 1\n}\n\nfunc Open() {}\n",
        ["Cart", "Total", "Open"],
    ),
    "rust": (
        "pub struct Cart<T> { n: T }\nimpl<T> Cart<T> {\n    pub fn total(&self) -> i32 { 1 }\n}\n"
        "trait Shop { fn open(&self); }\nconst N: i32 = 3;\n",
        ["Cart", "Cart", "total", "Shop", "open", "N"],
    ),
    "java": ("class A {\n  int foo(int a) { return 1; }\n}\n", ["A", "foo"]),
    "c": ("struct S { int x; };\nint *f(int a) {\n  return 0;\n}\n", ["S", "f"]),
    "cpp": (
        "namespace n {\nclass A { void g() {} };\n}\nvoid A::h(int b) {\n}\n",
        ["A", "g", "h"],
    ),
    "csharp": ("namespace N { class A { int Foo(int a) { return 1; } } }\n", ["A", "Foo"]),
    "kotlin": ("class A {\n  fun foo(a: Int): Int { return 1 }\n}\n", ["A", "foo"]),
    "ruby": ("class A < B\n  def foo(a)\n    1\n  end\nend\n", ["A", "foo"]),
    "php": ("<?php\nclass A { function foo($a) { return 1; } }\n", ["A", "foo"]),
    "lua": ("local function g(a)\n  return 1\nend\n", ["g"]),
    "swift": ("class A {\n  func foo(a: Int) -> Int { return 1 }\n}\n", ["A", "foo"]),
    "scala": ("class A {\n  def foo(a: Int): Int = 1\n}\n", ["A", "foo"]),
    "shellscript": ("build() {\n  echo 1\n}\n", ["build"]),
}


def source(language: str) -> SourceFile:
    """A text in a language."""
    return SourceFile(path="a", language=language, data=TEXTS[language][0].encode())


@pytest.mark.parametrize("language", TEXTS)
def test_definitions_are_found(language: str) -> None:
    """With members behind their class; headers end before the body."""
    symbols = symbols_of(source(language)).symbols
    assert [symbol.name for symbol in symbols] == TEXTS[language][1]
    for symbol in symbols:
        assert "return" not in symbol.signature
        assert symbol.name in symbol.signature


def test_members_know_what_they_belong_to() -> None:
    """And keep their header as it is written."""
    cart, total, *_ = symbols_of(source("typescript")).symbols
    assert (cart.kind, cart.signature) == ("class", "export class Cart extends Base")
    assert (total.container, total.signature) == ("Cart", "  total(tax: number): number")


def test_without_grammars_other_languages_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails; words are kept."""
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    grammars.parser_of.cache_clear()
    try:
        assert definitions_in(source("go")) == ()
        assert "Total" in symbols_of(source("go")).words
    finally:
        grammars.parser_of.cache_clear()


@pytest.mark.parametrize("text", ["class {{{ (", "func " * 500, "{" * 3000, "\x00\xff", ""])
@pytest.mark.parametrize("language", ["typescript", "go", "cpp"])
def test_broken_text_is_no_trouble(language: str, text: str) -> None:
    """Whatever is found in it."""
    data = text.encode("utf-8", "surrogateescape")
    symbols_of(SourceFile(path="a", language=language, data=data))
