"""Prompts that differ in what they take from other files."""

from __future__ import annotations

from benchmarks.peers.plain import Midfill, MidfillWorkspace
from benchmarks.peers.run import Maker
from context.related import WEIGHTS, Wanted

FULL = "full"
FILE = "open file only"
NGRAMS = "open file and n-grams"
WITHOUT = "without n-grams"
LATE = "a line late"
# What a CPU can carry.
DEFAULT_TOKENS = 256
_BUDGETS = (128, 512, 1024)


def variants(n_tokens: int = DEFAULT_TOKENS) -> dict[str, Maker]:
    """All of them by name, the full context first.

    Args:
        n_tokens: budget for other files.
    """
    found: dict[str, Maker] = {FULL: _maker(FULL, Wanted(n_tokens=n_tokens))}
    found[FILE] = lambda _count, _seed: Midfill(FILE, knows_texts=False)
    found[NGRAMS] = lambda _count, _seed: Midfill(NGRAMS)
    found[WITHOUT] = lambda _count, _seed: MidfillWorkspace(
        Wanted(n_tokens=n_tokens), WITHOUT, knows_texts=False
    )
    found[LATE] = lambda _count, _seed: MidfillWorkspace(
        Wanted(n_tokens=n_tokens), LATE, is_late=True
    )
    for source in WEIGHTS:
        if source in ("pinned", "recent"):
            continue  # a replay of one file has neither
        name = f"without {source}"
        found[name] = _maker(name, Wanted(n_tokens=n_tokens, weights={source: 0.0}))
        name = f"only {source}"
        others = dict.fromkeys(WEIGHTS, 0.0) | {source: 1.0}
        found[name] = _maker(name, Wanted(n_tokens=n_tokens, weights=others))
    for budget in _BUDGETS:
        name = f"{budget} tokens"
        found[name] = _maker(name, Wanted(n_tokens=budget))
    return found


def _maker(name: str, wanted: Wanted) -> Maker:
    return lambda _count, _seed: MidfillWorkspace(wanted, name)
