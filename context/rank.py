"""Snippets of several sources in one order: fused, without doubles, packed to a budget.

Source of the fusion: Cormack et al., "Reciprocal Rank Fusion", 2009, with a weight for each source
and each snippet's own score.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import msgspec

from context.budget import estimate_tokens
from context.types import Snippet

_K = 10.0
# What is in the prompt already stays unless something clearly better comes: the engine keeps the
# KV cache of what does not change. What no source names any more stays while there is room.
_STAYING = 1.3
_FADING = 0.5
# A snippet most of whose lines are in the prompt anyway tells nothing new.
_KNOWN_SHARE = 0.7
_MIN_LINE_CHARS = 4
# The marker, the path and the line end before each file.
_FILE_TOKENS = 12
# A text that is shorter than its place by more than this is an outline of it.
_VERBATIM_SHARE = 0.8
# One long snippet does not take the place of all others.
_MAX_SHARE = 0.6


class Dropped(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A snippet that is not in the prompt.

    Args:
        snippet: which.
        reason: ``already_shown``, ``overlaps``, ``too_long``, ``no_room``, or ``not_yet`` where
            its turn comes in a pause.
    """

    snippet: Snippet
    reason: str


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the prompt of other files, and what does not.

    Args:
        snippets: in prompt order, with the fused score.
        dropped: the others, best first.
        n_tokens: estimated, of the chosen ones.
        n_new_tokens: of those that were not chosen before.
    """

    snippets: tuple[Snippet, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    n_tokens: int = 0
    n_new_tokens: int = 0

    @property
    def settled(self) -> bool:
        """Whether nothing waits for its turn."""
        return all(each.reason != "not_yet" for each in self.dropped)


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """How much may come new into the prompt at once.

    Args:
        n_tokens: estimated.
        n_least: so many snippets may come in any case.
    """

    n_tokens: int
    n_least: int = 0


def fuse(by_source: Mapping[str, Sequence[Snippet]], weights: Mapping[str, float]) -> list[Snippet]:
    """All snippets, best first; what several sources found counts more.

    Args:
        by_source: each source's snippets, best first.
        weights: of the sources; 1.0 where none is given, 0 leaves a source out.
    """
    scores: dict[tuple[str, int, str], float] = {}
    snippets: dict[tuple[str, int, str], Snippet] = {}
    for source, found in by_source.items():
        weight = weights.get(source, 1.0)
        if weight <= 0:
            continue
        for rank, snippet in enumerate(found):
            key = snippet.path, snippet.start_byte, snippet.text
            gain = weight * (0.25 + snippet.score) * _K / (_K + rank)
            scores[key] = scores.get(key, 0.0) + gain
            snippets.setdefault(key, snippet)
    ordered = sorted(scores, key=lambda key: (-scores[key], key))
    return [msgspec.structs.replace(snippets[key], score=scores[key]) for key in ordered]


def choose(
    ranked: Sequence[Snippet],
    n_tokens: int,
    *,
    shown: str,
    before: Sequence[Snippet] = (),
    allowance: Allowance | None = None,
) -> Chosen:
    """Those that fit, in an order that changes as little as can be.

    Args:
        ranked: best first.
        n_tokens: budget, in estimated tokens.
        shown: text of the open file that is in the prompt.
        before: what was chosen at the last request, in its order.
        allowance: how much may be new; None for as much as there is.
    """
    stayed = {_key(snippet): number for number, snippet in enumerate(before)}
    known = {*_lines(shown)}
    chosen: dict[str, list[Snippet]] = {}
    dropped: list[Dropped] = []
    n_left = n_tokens
    new: dict[tuple[str, str], int] = {}
    for snippet in _candidates(ranked, before):
        lines = _snippet_lines(snippet.text)
        beside = chosen.get(snippet.path, [])
        covered = [other for other in beside if _says_all(snippet, other)]
        kept = [other for other in beside if other not in covered]
        cost = _cost([snippet], kept)
        n_room = n_left + _cost(covered, kept)
        is_new = _key(snippet) not in stayed
        if len(lines & known) > _KNOWN_SHARE * len(lines):
            reason = "already_shown"
        elif is_new and any(_says_all(other, snippet) for other in before):
            reason = "already_shown"  # by one that stays
        elif any(_overlap(snippet, other) for other in kept):
            reason = "overlaps"
        elif cost > _MAX_SHARE * n_tokens and snippet.origin != "pinned":
            reason = "too_long"
        elif cost > n_room:
            reason = "no_room"
        elif (
            is_new
            and allowance is not None
            and len(new) >= allowance.n_least
            and sum(new.values()) + cost > allowance.n_tokens
        ):
            reason = "not_yet"
        else:
            n_left = n_room - cost
            if is_new:
                new[_key(snippet)] = cost
            for other in covered:
                new.pop(_key(other), None)
                dropped.append(Dropped(snippet=other, reason="already_shown"))
            chosen[snippet.path] = [*kept, snippet]
            known |= lines
            continue
        dropped.append(Dropped(snippet=snippet, reason=reason))
    return Chosen(
        snippets=tuple(_in_order(chosen, stayed)),
        dropped=tuple(dropped),
        n_tokens=n_tokens - n_left,
        n_new_tokens=sum(new.values()),
    )


def _candidates(ranked: Sequence[Snippet], before: Sequence[Snippet]) -> list[Snippet]:
    """What may be chosen, best first: what is found now, and what was chosen before."""
    stayed = {_key(snippet) for snippet in before}
    found = {_key(snippet) for snippet in ranked}
    worth = [(s.score * (_STAYING if _key(s) in stayed else 1.0), s) for s in ranked]
    worth += [(s.score * _FADING, s) for s in before if _key(s) not in found]
    return [snippet for _, snippet in sorted(worth, key=lambda pair: -pair[0])]


def _in_order(
    files: Mapping[str, Sequence[Snippet]], stayed: Mapping[tuple[str, str], int]
) -> list[Snippet]:
    """File by file; files that were there stay where they were, the best of the new ones last."""

    def place(path: str) -> tuple[int, float]:
        known = [stayed[_key(s)] for s in files[path] if _key(s) in stayed]
        return (min(known), 0.0) if known else (len(stayed), max(s.score for s in files[path]))

    return [
        snippet
        for path in sorted(files, key=place)
        for snippet in sorted(files[path], key=lambda s: s.start_byte)
    ]


def _key(snippet: Snippet) -> tuple[str, str]:
    # Not by its place: typing above it moves that, and the prompt stays as it is.
    return snippet.path, snippet.text


def _cost(snippets: Sequence[Snippet], beside: Sequence[Snippet]) -> int:
    """Estimated tokens of some snippets of a file, and of its name where nothing else is of it."""
    name = _FILE_TOKENS if snippets and not beside else 0
    return name + sum(estimate_tokens(snippet.text) for snippet in snippets)


def _says_all(snippet: Snippet, other: Snippet) -> bool:
    """Whether a snippet shows all lines that another one of its file does.

    So does the text of a place to which an outline of it was chosen before.
    """
    if snippet.path != other.path:
        return False
    theirs = _snippet_lines(other.text)
    return bool(theirs) and theirs <= _snippet_lines(snippet.text)


def _overlap(a: Snippet, b: Snippet) -> bool:
    """Whether two snippets show the same place. An outline shows next to nothing of its place."""
    if a.path != b.path or a.start_byte >= b.end_byte or b.start_byte >= a.end_byte:
        return False
    return is_verbatim(a) == is_verbatim(b)


def is_verbatim(snippet: Snippet) -> bool:
    """Whether it is the text of its place, and not an outline of it."""
    return len(snippet.text) >= _VERBATIM_SHARE * (snippet.end_byte - snippet.start_byte)


def _lines(text: str) -> frozenset[str]:
    return frozenset(
        line for line in map(str.strip, text.split("\n")) if len(line) >= _MIN_LINE_CHARS
    )


# Most snippets are the same at the next keystroke.
_snippet_lines = functools.lru_cache(maxsize=1024)(_lines)
