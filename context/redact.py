"""Keys and passwords that stand in source code, taken out before a text goes into a prompt."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

MARK = "REDACTED"

# Shapes that providers give their keys, and private keys as a block; each with what stands in all
# of them. Looking for that first takes far less than the pattern, and is nearly always enough.
_KEYS = tuple(
    (marks, re.compile(pattern))
    for marks, pattern in (
        (
            ("PRIVATE KEY-----",),
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        ),
        (
            ("AKIA", "ASIA", "AGPA", "AIDA", "AROA"),
            r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}\b",
        ),
        (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[0-9A-Za-z]{30,255}\b"),
        (("github_pat_",), r"\bgithub_pat_[0-9A-Za-z_]{22,255}\b"),
        (("glpat-",), r"\bglpat-[0-9A-Za-z_-]{20,64}"),
        (("xox",), r"\bxox[abeoprs]-[0-9A-Za-z-]{10,255}"),
        (("AIza",), r"\bAIza[0-9A-Za-z_-]{35}"),
        (("ya29.",), r"\bya29\.[0-9A-Za-z_-]{20,255}"),
        (("sk-",), r"\bsk-(?:ant-|proj-|svcacct-)?[0-9A-Za-z_-]{20,255}"),
        (("k_live_", "k_test_"), r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}"),
        (("SG.",), r"\bSG\.[0-9A-Za-z_-]{16,32}\.[0-9A-Za-z_-]{16,64}"),
        (("hf_",), r"\bhf_[0-9A-Za-z]{30,64}\b"),
        (("npm_",), r"\bnpm_[0-9A-Za-z]{36}\b"),
        (("pypi-",), r"\bpypi-[0-9A-Za-z_-]{50,255}"),
        (("dop_v1_",), r"\bdop_v1_[0-9a-f]{64}\b"),
        (("SK",), r"\bSK[0-9a-f]{32}\b"),
        (("eyJ",), r"\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"),
    )
)
# ``password = "…"``, ``"api_key": "…"``, ``--token=…``: what stands behind such a name.
_NAMED = re.compile(
    r"""
    (?P<name>(?<![A-Za-z0-9])[\w.-]{0,40}?
      (?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key
        |auth[_-]?key|client[_-]?key|credential)s?
      [\w-]{0,24}["']?\s*(?::\s*[\w.\[\]| ]{1,40}?=|=>|[:=]{1,2})\s*[bruBRU]{0,2})
    (?P<quote>["'`])(?P<value>[^"'`\s]{8,512})(?P=quote)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_IN_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{1,64}:)"
                     r"(?P<value>[^\s@/\"']{3,256})(?=@)", re.IGNORECASE)  # fmt: skip
# Names of settings, places and formats are no secrets, whatever they are assigned to.
_HARMLESS = re.compile(
    r"[A-Za-z]+(?:[ _./:-][A-Za-z]+)*|https?://[^@]*|[<{%$].*|.*\{.*\}.*|x+|\*+|\.+|REDACTED"
)


_MAX_KEPT_CHARS = 8192
_PIECE_CHARS = 8192
_AT_MARGIN = re.compile(r"\n(?=\S)")


def redact(text: str) -> str:
    """A text without what looks like a key or a password.

    Args:
        text: source code or prose.
    """
    return _kept(text) if len(text) <= _MAX_KEPT_CHARS else _redacted(text)


# Most snippets are the same at the next keystroke.
@functools.lru_cache(maxsize=1024)
def _kept(text: str) -> str:
    return _redacted(text)


def _redacted(text: str) -> str:
    for marks, pattern in _KEYS:
        if any(mark in text for mark in marks):
            text = pattern.sub(MARK, text)
    if "://" in text and "@" in text:
        text = _IN_URL.sub(lambda found: found["scheme"] + MARK, text)
    return "".join(_NAMED.sub(_without_value, piece) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces that begin at the margin: a pattern on all of it would hold others up."""
    start = 0
    for found in _AT_MARGIN.finditer(text):
        if found.end() - start >= _PIECE_CHARS:
            yield text[start : found.end()]
            start = found.end()
    yield text[start:]


def _without_value(found: re.Match[str]) -> str:
    if _HARMLESS.fullmatch(found["value"]):
        return found.group()
    return f"{found['name']}{found['quote']}{MARK}{found['quote']}"
