"""What each rule of the post-processing does to the texts of a replay, without a model.

The model's texts are those of a results file. Each is put through none of the rules, through each
rule alone, through all, and through all but one, at the very place it was written for, and judged
against what the developer wrote. The developer's own text goes the same way: what a rule takes of
that is its harm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from benchmarks.replay import metrics
from benchmarks.replay.match import compare, is_trivial
from benchmarks.replay.suffix import Below
from benchmarks.replay.types import Match, Opportunity, Project, Target, Walk
from benchmarks.replay.walk import Script
from benchmarks.replay.workspace import Opener, read_text
from benchmarks.summary import Cell, Column, RunInfo, Summary, Table, value
from context.scope import cursor_scope
from context.syntax import SyntaxTree
from context.types import CursorScope, SourceFile
from lsp_server.postprocess.below import same_line
from lsp_server.postprocess.shape import RULES, Shaper
from lsp_server.postprocess.surroundings import Surroundings, is_closing
from lsp_server.settings import CompletionSettings

# So much of what the developer wrote next is put through as if a model had written it.
_N_OWN_LINES = 6


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A set of rules.

    Args:
        name: of the row.
        rules: their names.
    """

    name: str
    rules: frozenset[str]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An opportunity with the text around it.

    Args:
        scope: where the cursor stood.
        prefix: the text left of the cursor, with ``\\n`` as EOL.
        suffix: the same right of it.
        block_rest: what the developer wrote from the cursor to the end of the run.
        n_missing: characters of it that do not stand below the cursor already.
        offset: of the cursor in the final text.
    """

    scope: CursorScope
    prefix: str
    suffix: str
    block_rest: str
    n_missing: int
    offset: int

    def shown(self, raw: str, rules: frozenset[str]) -> str:
        """What some of the rules show of a text."""
        shaper = Shaper(
            self.scope,
            prefix=self.prefix,
            suffix=self.suffix,
            max_lines=CompletionSettings().max_lines,
            rules=rules,
        )
        return shaper.view(raw, final=True).text

    def repeats_suffix(self, text: str) -> bool:
        """Whether a text says the next line of the document again."""
        below = Surroundings(self.scope, self.prefix, self.suffix).below
        if not below or is_closing(below[0]):
            return False
        lines = (self.scope.line_before + text + self.scope.line_after).split("\n")
        return any(same_line(line, below[0]) for line in lines)


def variants() -> list[Variant]:
    """No rule, each alone, all, and all but one."""
    every = frozenset(RULES)
    return [
        Variant(name="none (raw)", rules=frozenset()),
        *(Variant(name=rule, rules=frozenset((rule,))) for rule in RULES),
        Variant(name="all", rules=every),
        *(Variant(name=f"all but {rule}", rules=every - {rule}) for rule in RULES),
    ]


def places(
    walks: Sequence[Walk], projects: Mapping[str, Project], opener: Opener | None = None
) -> Iterator[tuple[Walk, list[Place]]]:
    """Each walk with the places of its opportunities.

    Args:
        walks: of a results file.
        projects: by name; walks of others are left out.
        opener: makes the files of a project that has none yet.

    Raises:
        StoreError: a file cannot be read, or is another than the one that was typed again.
    """
    for name in dict.fromkeys(walk.project for walk in walks):
        project = projects.get(name)
        if project is None:
            continue
        with opener(project) if opener else contextlib.nullcontext(project) as opened:
            for walk in walks:
                if walk.project == name:
                    yield walk, list(_places_of(walk, read_text(opened.root / walk.path)))


def _places_of(walk: Walk, text: str) -> Iterator[Place]:
    first, _, last = walk.target.rpartition(":")[2].partition("-")
    target = Target(path=walk.path, first_line=int(first) - 1, last_line=int(last), lines=())
    script = Script(text, target)
    below = Below(script.lines, walk.suffix)
    line = target.first_line
    rest = below.first_line(line)
    for each in walk.opportunities:
        while line < each.line:
            line += 1
            if line == rest:
                rest = below.first_line(line)
        at = script.starts[each.line] + each.column
        tail_start = script.content_end(rest - 1)
        tail = script.text[tail_start:]
        prefix, suffix = _unix(script.text[:at]), _unix(tail)
        data = (prefix + suffix).encode("utf-8", "replace")
        file = SourceFile(path=walk.path, language="python", data=data)
        tree = SyntaxTree.parse(file)
        yield Place(
            scope=cursor_scope(file, tree.root if tree else None, len(prefix.encode())),
            prefix=prefix,
            suffix=suffix,
            block_rest=script.text[at : script.end],
            n_missing=max(0, min(tail_start, script.end) - at),
            offset=at,
        )


def shaped(
    walk: Walk, found: Sequence[Place], text_of: Callable[[Opportunity, Place], str]
) -> Walk:
    """A walk with other suggestions, each taken where it is right and not yet typed.

    Args:
        walk: as it was recorded.
        found: its places.
        text_of: the suggestion of an opportunity.
    """
    opportunities = []
    n_accepted = end = 0
    for each, place in zip(walk.opportunities, found, strict=True):
        text = text_of(each, place)
        match = _match(text, each, place)
        is_taken = match is not None and match.line and place.offset >= end
        if match is not None and is_taken:
            # What is right but stands below already would have to be deleted again.
            n_taken = min(match.n_accepted, place.n_missing)
            end = place.offset + n_taken
            taken = place.block_rest[:n_taken]
            n_accepted += len("".join(line.strip() for line in taken.splitlines()))
        suggestion = msgspec.structs.replace(each.suggestion, text=text)
        opportunities.append(
            msgspec.structs.replace(each, suggestion=suggestion, match=match, accepted=is_taken)
        )
    n_typed = max(0, walk.n_characters - n_accepted)
    return msgspec.structs.replace(walk, opportunities=tuple(opportunities), n_typed=n_typed)


def _match(text: str, each: Opportunity, place: Place) -> Match | None:
    if not text:
        return None
    return compare(text, before=each.before, line_rest=each.target, block_rest=place.block_rest)


def findings(
    walks: Sequence[tuple[Walk, list[Place]]],
    info: RunInfo,
    *,
    on_variant: Callable[[str], None] = lambda _: None,
) -> Summary:
    """The table, and what all rules together do.

    Args:
        walks: with their places.
        info: of the results file.
        on_variant: told which rules are being looked at.
    """
    rows = []
    for variant in variants():
        on_variant(variant.name)
        rows.append(_row(variant, walks, info))
    by_name = {str(row[0]): row for row in rows}
    raw, every = by_name["none (raw)"], by_name["all"]
    table = Table(
        title="Rules of the post-processing",
        columns=(
            Column("rules"),
            Column("shown", "count"),
            Column("A-line", "percent"),
            Column("A-line of all", "percent"),
            Column("A-block", "percent"),
            Column("RoCC", "percent"),
            Column("repeat the suffix", "count"),
            Column("own lines lost", "percent"),
        ),
        rows=tuple(rows),
        note="A-line and A-block are of what was shown, A-line of all of all opportunities. Repeat "
        "the suffix: suggestions with a line that is the next line of the document. Own lines "
        "lost: where the developer's own text, taken for a model's, loses its first line. RoCC "
        "takes each suggestion that is right where the text is not there yet. A text that was "
        "recorded ends where the rules of that time ended it.",
    )
    n = sum(len(found) for _, found in walks)
    a_line, rocc = (
        f"{value(raw[at], 'percent')} (raw) to {value(every[at], 'percent')}" for at in (2, 5)
    )
    headline = (
        f"On {n:,} texts A-line of what is shown goes from {a_line} with all rules, RoCC from "
        f"{rocc}; {every[6]} of {value(every[1], 'count')} shown repeat the next line "
        f"({raw[6]} of {value(raw[1], 'count')} raw)."
    )
    return Summary(
        run=info, title="post-processing", headline=headline, n=n, verdicts=(), tables=(table,)
    )


def _row(
    variant: Variant, walks: Sequence[tuple[Walk, list[Place]]], info: RunInfo
) -> tuple[Cell, ...]:
    made = [
        shaped(walk, found, lambda each, place: place.shown(each.suggestion.raw, variant.rules))
        for walk, found in walks
    ]
    data = metrics.sample(made, seed=int(str(info.options.get("seed", 1))))
    n_repeats = sum(
        place.repeats_suffix(each.suggestion.text)
        for walk, (_, found) in zip(made, walks, strict=True)
        for each, place in zip(walk.opportunities, found, strict=True)
        if each.suggestion.text
    )
    return (
        variant.name,
        int(data.shown.sum()),
        metrics.acceptance(data),
        metrics.hit_rate(data),
        metrics.acceptance(data, "A-block"),
        metrics.rocc(data),
        n_repeats,
        _own_lost(variant, walks),
    )


def _own_lost(variant: Variant, walks: Sequence[tuple[Walk, list[Place]]]) -> float:
    """Share of the places where the developer's own text loses its first line."""
    n = n_lost = 0
    for walk, found in walks:
        for each, place in zip(walk.opportunities, found, strict=True):
            if is_trivial(each.target):
                continue
            own = "\n".join(_unix(place.block_rest).split("\n")[:_N_OWN_LINES])
            match = _match(place.shown(own, variant.rules), each, place)
            n += 1
            n_lost += match is None or not match.line
    return n_lost / n if n else 0.0


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
