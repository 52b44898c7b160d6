"""A suggestion as numbers: the same function for the server, the fit and the user's own log.

All of it is about the first line that is shown. So the score is known once that line is, and does
not change while more lines arrive.
"""

from __future__ import annotations

import keyword
import math
import re
from typing import NamedTuple

from context.source import line_comment
from lsp_server.score.evidence import Evidence, Past, Token

# A change of the meaning or the order of features asks for another version: models and logs of
# other versions are not used.
VERSION = 3

_LEAST_LOGPROB, _MOST_MARGIN = -12.0, 12.0
_LEAST_SUM = -40.0
_DOUBT_MARGIN = 1.0
_NAME = re.compile(r"[^\W\d]\w*")
_STRING = re.compile(r"\"[^\"\n]*\"?|'[^'\n]*'?")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_CALLED = re.compile(r"([^\W\d]\w*)\(")
_IMPORT = re.compile(r"(?:import|from|use|using|package|#include|require)\b")
# Where lines are deeper than the one above only behind a bracket or, in Python, a colon.
_BRACKETED = frozenset(
    {
        *("python", "javascript", "javascriptreact", "typescript", "typescriptreact", "java", "c"),
        *("cpp", "csharp", "go", "rust", "kotlin", "swift", "scala", "php", "zig", "css", "json"),
    }
)
# So a line begins that goes on with the one above; the words do so within brackets only.
_GOES_ON = re.compile(r"[.+\-*/%|&^=<>?:,]")
_GOES_ON_WITHIN = re.compile(r"(?:and|or|if|else|for|in|is|not|async)\b|[\"']")
_N_ABOVE, _N_BELOW = 6, 4
# What earlier suggestions say fades: by half in so many suggestions, and by e in so many seconds.
_HALF_LIFE, _FADE_S = 4.0, 600.0
# Acceptance before anything is known, and for how many suggestions that counts.
_PRIOR, _N_PRIOR = 0.35, 2.0
_COPY_CHARS = 12
# Longer prompts are those of faster machines, and say nothing of the file.
_MOST_AROUND = 1000
# Lines up to this length are the same by chance.
_SHORT_CHARS = 3
_SOFT = frozenset({"self", "cls", "True", "False", "None", "int", "str", "len", "bool", "print"})
_TEXT_KINDS = frozenset({"string", "docstring", "comment"})


class Line(NamedTuple):
    """The first line of a suggestion.

    Args:
        text: of it, what the user has typed of the line left out.
        tokens: that it was written with.
        end_logprob: how sure it is that the line ends there; None where that is not known.
    """

    text: str
    tokens: tuple[Token, ...]
    end_logprob: float | None


def first_line(evidence: Evidence) -> Line:
    """The first line that is not blank, with its tokens."""
    text, raw = evidence.text, evidence.raw
    blank = len(text) - len(text.lstrip())
    stop = text.find("\n", blank)
    line = (text if stop < 0 else text[:stop]).lstrip("\n")
    end = _end_in(raw, line)
    starts = (0, *(token.end for token in evidence.tokens))
    inside = tuple(
        token for start, token in zip(starts, evidence.tokens, strict=False) if start < end
    )
    return Line(line, inside, _end_logprob(evidence, inside, end))


def _end_in(raw: str, line: str) -> int:
    """Where a shown line ends in what the model wrote, which may have been changed to be shown."""
    ink = line.strip()
    start = raw.find(ink)
    if start >= 0:
        return start + len(ink)
    blank = len(raw) - len(raw.lstrip())
    stop = raw.find("\n", blank)
    return len(raw) if stop < 0 else stop


def _end_logprob(evidence: Evidence, inside: tuple[Token, ...], end: int) -> float | None:
    """How sure it is that the line ends there; None where a filter cut it."""
    behind = evidence.raw[end:]
    if behind.strip(" \t\r") and behind.lstrip(" \t")[:1] not in ("\r", "\n"):
        return None
    if inside and "\n" in evidence.raw[end : inside[-1].end]:
        # The line's last token ends the line as well.
        return 0.0
    if len(inside) < len(evidence.tokens):
        return evidence.tokens[len(inside)].logprob
    return evidence.end_logprob


def features(evidence: Evidence) -> tuple[float, ...]:
    """The numbers of a suggestion, in the order of ``NAMES``; NaN where one is not known."""
    line = first_line(evidence)
    return (
        *_of_tokens(line),
        *_of_text(line.text, evidence),
        *_of_place(evidence),
        *_of_names(line.text, evidence),
        *_of_neighbours(line.text, evidence),
        *_of_history(evidence.history),
    )


def _of_tokens(line: Line) -> tuple[float, ...]:
    tokens = line.tokens
    logprobs = [max(token.logprob, _LEAST_LOGPROB) for token in tokens] or [_LEAST_LOGPROB]
    total = max(sum(logprobs), _LEAST_SUM)
    margins = [_clipped(t.margin) for t in tokens if t.margin is not None]
    entropies = [t.entropy for t in tokens if t.entropy is not None]
    supports = [t.support for t in tokens if t.support is not None]
    dissents = [t.dissent for t in tokens if t.dissent is not None]
    end = math.nan if line.end_logprob is None else max(line.end_logprob, _LEAST_LOGPROB)
    return (
        total,
        math.exp(total),
        total / len(logprobs),
        min(logprobs),
        logprobs[0],
        logprobs[-1],
        _second_least(logprobs),
        end,
        math.exp(end) if end == end else math.nan,
        float(line.end_logprob is not None),
        min(margins, default=math.nan),
        sum(margins) / len(margins) if margins else math.nan,
        margins[0] if margins else math.nan,
        sum(margin < _DOUBT_MARGIN for margin in margins) if margins else math.nan,
        max(entropies, default=math.nan),
        sum(entropies) if entropies else math.nan,
        math.log1p(len(tokens)),
        supports[0] if supports else math.nan,
        sum(supports) / len(supports) if supports else math.nan,
        min(supports, default=math.nan),
        max(dissents, default=math.nan),
        sum(dissents) / len(dissents) if dissents else math.nan,
    )


def _of_text(text: str, evidence: Evidence) -> tuple[float, ...]:
    ink = text.strip()
    whole = evidence.line_before + text
    quoted = sum(len(found.group()) for found in _STRING.finditer(ink))
    return (
        math.log1p(len(ink)),
        quoted / len(ink) if ink else 0.0,
        float(_is_text(evidence) or ink.startswith(("#", "//", "--"))),
        float(ink.endswith(":")),
        float(ink.endswith((")", "]", "}"))),
        float(ink.endswith(("(", "[", "{", ","))),
        float(_n_unclosed(whole + evidence.line_after) == 0),
        float(ink[:1].isalnum() or ink[:1] == "_"),
        float(any(character.isdigit() for character in ink)),
        math.log1p(ink.count(".")),
        math.log1p(ink.count(",")),
        math.log1p(ink.count("(")),
        math.log1p(len(whole)),
        float(_IMPORT.match(whole.lstrip()) is not None),
    )


def _of_place(evidence: Evidence) -> tuple[float, ...]:
    before = evidence.line_before
    last = before[-1:]
    return (
        float(not before.strip()),
        float(last.isalnum() or last == "_"),
        float(last == "."),
        float(last in ("(", "[", "{", ",")),
        math.log1p(len(before.strip())),
        math.log1p(len(before) - len(before.lstrip())),
        float(bool(evidence.line_after.strip())),
        float(evidence.place == "arguments"),
        float(evidence.place == "parameters"),
        float(evidence.place == "empty_body"),
        float(evidence.multi_line),
        float(bool(evidence.enclosing)),
        math.log1p(min(len(evidence.before), _MOST_AROUND)),
        math.log1p(min(len(evidence.after), _MOST_AROUND)),
        math.log1p(evidence.n_typed_chars),
        float(bool(evidence.elsewhere)),
        math.log1p(max(0.0, evidence.latency_ms)),
    )


def _of_names(text: str, evidence: Evidence) -> tuple[float, ...]:
    """Whether what is written was written before."""
    around = "\n".join((*evidence.elsewhere, evidence.before, evidence.after))
    word = _word_at_end(evidence.line_before)
    names = {
        name
        for name in _NAME.findall(_STRING.sub(" ", word + text))
        if not keyword.iskeyword(name) and name not in _SOFT
    }
    known = sum(name in around for name in names)
    line = (evidence.line_before + text).strip()
    ink = text.strip()
    above = _line_above(evidence.before)
    left = evidence.line_before[-_COPY_CHARS:]
    return (
        math.log1p(len(names)),
        known / len(names) if names else 1.0,
        float(len(names) - known),
        float(len(line) >= _COPY_CHARS and line in around),
        float(len(ink) >= _COPY_CHARS and ink in around),
        float(len(left.strip()) > 2 and (left + text[:_COPY_CHARS]) in around),
        _shared(line, above),
        float(bool(evidence.next_line.strip()) and line == evidence.next_line.strip()),
    )


def _of_neighbours(text: str, evidence: Evidence) -> tuple[float, ...]:
    """Whether the line fits the lines above and below."""
    head, whole = evidence.before[: evidence.before.rfind("\n") + 1], evidence.line_before + text
    if _begins_anew(evidence.text):
        head, whole = f"{evidence.before}\n", text
    ink = whole.strip()
    above = head.rsplit("\n", _N_ABOVE + 1)[-_N_ABOVE - 1 :]
    below = evidence.after.split("\n", _N_BELOW + 1)[1 : _N_BELOW + 1]
    opens, deeper = _step_down(whole, evidence)
    around = "\n".join((*evidence.elsewhere, evidence.before, evidence.after))
    called = set(_CALLED.findall(_STRING.sub(" ", _word_at_end(evidence.line_before) + text)))
    long = len(ink) > _SHORT_CHARS
    return (
        opens,
        deeper,
        float(bool(below) and not below[0].strip()),
        float(long and ink in map(str.strip, above)),
        float(long and ink in map(str.strip, below)),
        float(sum(f"{name}(" not in around for name in called)),
    )


def _begins_anew(text: str) -> bool:
    """Whether a suggestion leaves the cursor's line as it is."""
    return "\n" in text[: len(text) - len(text.lstrip())]


def _step_down(line: str, evidence: Evidence) -> tuple[float, float]:
    """Whether a line opens what the line below is not in, and whether that is in what is not open.

    Args:
        line: the whole line.
        evidence: of the suggestion; what stands below counts.

    Returns:
        Both as numbers; NaN where nothing stands below, or the language says it otherwise.
    """
    below = evidence.next_line
    if not below.strip() or evidence.language not in _BRACKETED:
        return math.nan, math.nan
    code = _code(line, evidence.language)
    opens = _n_left_open(code + evidence.line_after) > 0 or (
        evidence.language == "python" and code.endswith(":")
    )
    is_deeper = _depth(below) > _depth(line)
    start = below.lstrip()
    goes_on = _GOES_ON.match(start) is not None or (
        bool(evidence.open_brackets) and _GOES_ON_WITHIN.match(start) is not None
    )
    return float(opens and not is_deeper), float(is_deeper and not opens and not goes_on)


def _of_history(history: tuple[Past, ...]) -> tuple[float, ...]:
    """What became of earlier suggestions, the newest first."""
    weight, taken, total = 1.0, _PRIOR * _N_PRIOR, _N_PRIOR
    n_turned_down = 0
    for past in history:
        counted = weight * math.exp(-past.age_s / _FADE_S)
        taken += counted * past.accepted
        total += counted
        weight *= 0.5 ** (1 / _HALF_LIFE)
        n_turned_down += past.same_line and not past.accepted
    recent = history[:20]
    n_since = next((n for n, past in enumerate(recent) if past.accepted), len(recent))
    n_taken = sum(past.accepted for past in recent)
    return (
        taken / total,
        (n_taken + _PRIOR * 2 * _N_PRIOR) / (len(recent) + 2 * _N_PRIOR),
        math.log1p(n_turned_down),
        float(bool(history) and history[0].same_line and history[0].accepted),
        math.log1p(n_since),
    )


NAMES = (
    "logprob_sum", "p_line", "logprob_mean", "logprob_least", "logprob_first", "logprob_last",
    "logprob_second_least", "logprob_end", "p_end", "end_known", "margin_least",
    "margin_mean", "margin_first", "n_doubts", "entropy_most", "entropy_sum", "log_tokens",
    "support_first", "support_mean", "support_least", "dissent_most", "dissent_mean",
    "log_chars", "quoted_share", "is_text", "ends_colon", "ends_closed", "ends_open", "balanced",
    "begins_word", "has_digit", "log_dots", "log_commas", "log_calls", "log_line_chars",
    "is_import",
    "line_start", "inside_word", "after_dot", "after_opening", "log_typed_of_line", "log_indent",
    "text_after", "in_arguments", "in_parameters", "in_empty_body", "multi_line", "in_definition",
    "log_chars_before", "log_chars_after", "log_typed_of_it", "other_files", "log_latency",
    "log_names", "known_names", "n_new_names", "line_known", "text_known", "goes_on_as_before",
    "like_line_above", "like_next_line",
    "opens_nothing_below", "deeper_below", "blank_below", "same_above", "same_below",
    "n_new_calls",
    "taken_lately", "taken_of_20", "log_turned_down_here", "goes_on_after_accept",
    "log_since_taken",
)  # fmt: skip


def _clipped(margin: float) -> float:
    return max(-_MOST_MARGIN, min(margin, _MOST_MARGIN))


def _second_least(values: list[float]) -> float:
    return sorted(values)[1] if len(values) > 1 else 0.0


def _is_text(evidence: Evidence) -> bool:
    return evidence.kind in _TEXT_KINDS


def _n_unclosed(line: str) -> int:
    """Brackets of a line that are open at its end, or closed without being opened."""
    stack: list[str] = []
    n_wrong = 0
    for character in _STRING.sub("", line):
        if character in "([{":
            stack.append(character)
        elif character in _PAIRS:
            if stack and stack[-1] == _PAIRS[character]:
                stack.pop()
            else:
                n_wrong += 1
    return len(stack) + n_wrong


def _n_left_open(line: str) -> int:
    """How many more brackets a line opens than it closes."""
    bare = _STRING.sub("", line)
    return sum(map(bare.count, "([{")) - sum(map(bare.count, ")]}"))


def _code(line: str, language: str) -> str:
    """A line without strings, its comment and the blanks around it."""
    bare = _STRING.sub("''", line)
    mark = line_comment(language)
    return (bare.partition(mark)[0] if mark else bare).strip()


def _depth(line: str) -> int:
    """Columns of a line's indentation."""
    return len(line[: len(line) - len(line.lstrip())].expandtabs(4))


def _word_at_end(text: str) -> str:
    start = len(text)
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    return text[start:]


def _line_above(before: str) -> str:
    """The last line that is not blank, above the one that ends the text."""
    head = before[: before.rfind("\n") + 1].rstrip()
    return head[head.rfind("\n") + 1 :].strip()


def _shared(line: str, other: str) -> float:
    """Share of words that two lines have in common (Jaccard)."""
    ours, theirs = set(_NAME.findall(line)), set(_NAME.findall(other))
    return len(ours & theirs) / len(ours | theirs) if ours or theirs else 0.0
