"""Definitions in other languages than Python, by what their grammars have in common.

The grammars come with tree-sitter-language-pack (the extra ``languages``); without it other
languages are text. A definition is a node of a known type with a name, its header what stands
before its body.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import tree_sitter

from context.outline import Definition, line_end, line_start
from context.types import SourceFile

_PACK = "tree-sitter-language-pack"
# LSP language id → name in the pack.
_NAMES = {
    "c": "c", "cpp": "cpp", "csharp": "csharp", "go": "go", "java": "java",
    "javascript": "javascript", "javascriptreact": "javascript", "kotlin": "kotlin", "lua": "lua",
    "php": "php", "ruby": "ruby", "rust": "rust", "scala": "scala", "shellscript": "bash",
    "swift": "swift", "typescript": "typescript", "typescriptreact": "tsx", "zig": "zig",
}  # fmt: skip
_CLASSES = frozenset({
    "abstract_class_declaration", "class", "class_declaration", "class_definition",
    "class_specifier", "enum_declaration", "enum_item", "enum_specifier", "impl_item",
    "interface_declaration", "module", "object_declaration", "object_definition",
    "protocol_declaration", "record_declaration", "struct_declaration", "struct_item",
    "struct_specifier", "trait_declaration", "trait_definition", "trait_item", "type_spec",
    "union_item", "union_specifier",
})  # fmt: skip
_FUNCTIONS = frozenset({
    "constructor_declaration", "function_declaration", "function_definition", "function_item",
    "function_signature", "function_signature_item", "macro_definition", "method",
    "method_declaration", "method_definition", "method_elem", "method_signature", "method_spec",
    "protocol_function_declaration", "singleton_method",
})  # fmt: skip
_CONSTANTS = frozenset({
    "abstract_method_signature", "const_item", "const_spec", "static_item",
    "type_alias_declaration", "type_definition", "type_item",
})  # fmt: skip
# ``const f = (x) => …`` defines a function.
_VARIABLE = "variable_declarator"
_LAMBDAS = frozenset({"arrow_function", "function_expression", "generator_function"})
_BODIES = ("body", "block", "statement_block", "class_body", "function_body", "enum_class_body")
_NAME_TYPES = frozenset({
    "constant", "field_identifier", "identifier", "property_identifier", "simple_identifier",
    "type_identifier",
})  # fmt: skip
_MAX_DEPTH = 12
_MAX_HEADER_BYTES = 600


def pack_version() -> str:
    """Version of the grammars; "" where there are none."""
    try:
        return version(_PACK)
    except PackageNotFoundError:
        return ""


def definitions_in(file: SourceFile) -> tuple[Definition, ...]:
    """Definitions of a file in order; none without a grammar for its language.

    Args:
        file: the text.
    """
    parser = parser_of(file.language)
    if parser is None:
        return ()
    return tuple(_in(parser.parse(file.data).root_node, file.data, 0))


@functools.cache
def parser_of(language: str) -> tree_sitter.Parser | None:
    """The parser of a language; None without its grammar.

    Args:
        language: LSP language id.
    """
    name = _NAMES.get(language)
    if name is None:
        return None
    try:
        import tree_sitter_language_pack as pack
    except ImportError:
        return None
    try:
        return pack.get_parser(cast("Any", name))
    except LookupError:
        return None


def _in(node: tree_sitter.Node, data: bytes, depth: int) -> Iterator[Definition]:
    if depth > _MAX_DEPTH:
        return
    for child in node.named_children:
        kind = _kind(child)
        name = _name_of(child, data) if kind else ""
        if not name:
            yield from _in(child, data, depth + 1)
            continue
        body = _body_of(child)
        start = line_start(data, child.start_byte)
        end = line_end(data, child.end_byte)
        header_end = min(body.start_byte if body else child.end_byte, start + _MAX_HEADER_BYTES)
        members = tuple(_in(body, data, depth + 1)) if body and kind == "class" else ()
        yield Definition(
            kind=kind,
            name=name,
            start_byte=start,
            end_byte=end,
            header_end=header_end,
            indent=data[start : child.start_byte].decode("utf-8", "replace"),
            docstring="",
            members=members,
        )


def _kind(node: tree_sitter.Node) -> str:
    if node.type in _CLASSES:
        return "class"
    if node.type in _FUNCTIONS:
        return "function"
    if node.type in _CONSTANTS:
        return "constant"
    value = node.child_by_field_name("value") if node.type == _VARIABLE else None
    return "function" if value is not None and value.type in _LAMBDAS else ""


def _name_of(node: tree_sitter.Node, data: bytes) -> str:
    """Its name; of an implementation the type's; "" where it has none."""
    if node.type == "impl_item":
        named = node.child_by_field_name("type")
    else:
        named = node.child_by_field_name("name")
        declarator = node.child_by_field_name("declarator")
        # int *f(int a): the name is in the innermost declarator.
        while named is None and declarator is not None:
            inner = declarator.child_by_field_name("declarator")
            named, declarator = (declarator, None) if inner is None else (None, inner)
    if named is None:
        named = next((c for c in node.named_children if c.type in _NAME_TYPES), None)
    text = data[named.start_byte : named.end_byte].decode("utf-8", "replace") if named else ""
    # Of ``List<T>`` and of ``Shop::open`` the name counts.
    text = text.partition("<")[0].rpartition("::")[2].strip()
    return text if text.replace("_", "a").replace("$", "a").isalnum() else ""


def _body_of(node: tree_sitter.Node) -> tree_sitter.Node | None:
    if node.type == _VARIABLE:
        value = node.child_by_field_name("value")
        return value.child_by_field_name("body") if value is not None else None
    found = node.child_by_field_name("body")
    if found is None and node.type == "type_spec":
        found = node.child_by_field_name("type")
    return found or next((c for c in node.named_children if c.type in _BODIES), None)
