"""Keys and passwords that stand in source code, taken out before a text goes into a prompt."""

from __future__ import annotations

import functools
import re

MARK = "REDACTED"

# Shapes that providers give their keys, and private keys as a block.
_KEYS = re.compile(
    r"""
      -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | \b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}\b
    | \bgh[pousr]_[0-9A-Za-z]{30,255}\b
    | \bgithub_pat_[0-9A-Za-z_]{22,255}\b
    | \bglpat-[0-9A-Za-z_-]{20,64}
    | \bxox[abeoprs]-[0-9A-Za-z-]{10,255}
    | \bAIza[0-9A-Za-z_-]{35}
    | \bya29\.[0-9A-Za-z_-]{20,255}
    | \bsk-(?:ant-|proj-|svcacct-)?[0-9A-Za-z_-]{20,255}
    | \b[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}
    | \bSG\.[0-9A-Za-z_-]{16,32}\.[0-9A-Za-z_-]{16,64}
    | \bhf_[0-9A-Za-z]{30,64}\b
    | \bnpm_[0-9A-Za-z]{36}\b
    | \bpypi-[0-9A-Za-z_-]{50,255}
    | \bdop_v1_[0-9a-f]{64}\b
    | \bSK[0-9a-f]{32}\b
    | \beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}
    """,
    re.VERBOSE,
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
    text = _KEYS.sub(MARK, text)
    text = _IN_URL.sub(lambda found: found["scheme"] + MARK, text)
    return _NAMED.sub(_without_value, text)


def _without_value(found: re.Match[str]) -> str:
    if _HARMLESS.fullmatch(found["value"]):
        return found.group()
    return f"{found['name']}{found['quote']}{MARK}{found['quote']}"
