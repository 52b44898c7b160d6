"""Which kind of file a document is, by its path: a test, source code, or something else."""

from __future__ import annotations

import posixpath
import re
from typing import Literal
from urllib.parse import unquote, urlsplit

FileKind = Literal["test", "source", "other"]

_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "testing", "testdata"})
# test_x.py, x_test.go, x.test.ts, x.spec.ts, x-test.js, XTest.java, XTests.cs, conftest.py
_TEST_NAME = re.compile(
    r"(?:test[_-].*|tests?|.*[._-](?:test|tests|spec)|.*[a-z0-9](?:Tests?|Spec)|conftest)"
)
# Prose, data and configuration.
_PROSE = {".md", ".markdown", ".rst", ".txt", ".adoc", ".tex", ".log", ".diff", ".patch"}
_DATA = {".json", ".jsonc", ".jsonl", ".yaml", ".yml", ".xml", ".csv", ".tsv", ".svg", ".ipynb"}
_CONFIGURATION = {".toml", ".ini", ".cfg", ".conf", ".env", ".properties", ".lock"}
_OTHER = _PROSE | _DATA | _CONFIGURATION
# Code whose file has no suffix.
_SOURCE_NAMES = frozenset({"makefile", "dockerfile", "jenkinsfile", "rakefile", "justfile"})


def file_kind(uri: str) -> FileKind:
    """The kind of a document.

    Args:
        uri: of the document; only its path counts.
    """
    path = unquote(urlsplit(uri).path)
    *folders, name = path.split("/")
    stem, suffix = posixpath.splitext(name)
    if suffix.lower() in _OTHER or (not suffix and not _is_source_name(uri, name)):
        return "other"
    if _TEST_NAME.fullmatch(stem) or any(each.lower() in _TEST_FOLDERS for each in folders):
        return "test"
    return "source"


def _is_source_name(uri: str, name: str) -> bool:
    # A text that was never saved has no name yet; whoever writes into it writes code.
    return name.lower() in _SOURCE_NAMES or urlsplit(uri).scheme not in ("file", "")
