"""What an infilling run found."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from benchmarks import figures
from benchmarks.figures import Figure
from benchmarks.infilling import crosscode
from benchmarks.infilling.problems import SETS
from benchmarks.infilling.sandbox import Reason
from benchmarks.infilling.types import Form, Record, Variant
from benchmarks.summary import Cell, Column, RunInfo, Summary, Table, Verdict, show

_FORMS: dict[Form, str] = {
    "raw": "raw",
    "line": "raw, first line",
    "post": "after post-processing",
}
# Published figures of the base models in full precision (arXiv 2409.12186v3, tables 7 and 8):
# first-line exact match, CrossCodeEval-Python EM and ES.
_ANCHORS = {
    "0.5b": (0.703, 0.227, 0.662),
    "1.5b": (0.770, 0.355, 0.743),
    "7b": (0.797, 0.424, 0.786),
}
_MELLUM = {"Mellum-4B base": 0.662, "Mellum-4B sft": 0.805}

# Below this the intervals are no ground for a verdict.
_MIN_N = 30
_TOO_FEW = "That is too few to tell."

_PUBLIC = (
    "Both sets have been public for years and may be in any model's training data: these are "
    "regression checks and no headline."
)
_FORM_NOTE = (
    "One greedy generation a problem. raw: all that the model writes to its own end or to the "
    "set's limit. First line: the usual truncation. After post-processing: the same generation "
    "through the language server's filters with its default settings (96 tokens, single line or "
    "block as it decides), except for its time limit; on the sets of whole lines it is shaped for "
    "a cursor on a blank line, as an editor has it."
)


@contextlib.contextmanager
def progress(n: int) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error; gives what moves it on by one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("problems", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("problems", total=n)
        yield lambda: bar.advance(task)


# -- with a model ------------------------------------------------------------------------


def summary(info: RunInfo, records: Sequence[Record], *, network_cut: bool) -> Summary:
    """Tables, verdicts and notes of a run.

    Args:
        info: what it was made with.
        records: all of it.
        network_cut: whether tests ran in a network namespace of their own.
    """
    infilled = [record for record in records if record.set != crosscode.SET]
    crossed = [record for record in records if record.set == crosscode.SET]
    tables: list[Table] = []
    notes = [_PUBLIC]
    if infilled:
        tables += [_pass_table(infilled), _reason_table(infilled)]
        notes += [_FORM_NOTE, _sandbox_note(network_cut=network_cut)]
    if crossed:
        tables.append(_cross_table(crossed))
        notes.append(_cross_note(str(info.options.get("crossfile_form", ""))))
    return Summary(
        title="Infilling",
        headline=_headline(infilled, crossed),
        run=info,
        n=len(records),
        tables=tuple(tables),
        verdicts=tuple(_verdicts(info.model, infilled, crossed)),
        notes=tuple(notes),
    )


def _of_set(records: Sequence[Record], name: str) -> list[Record]:
    return [record for record in records if record.set == name]


def _names(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record.set for record in records))


def pass_at_1(records: Sequence[Record], form: Form) -> Figure | None:
    """Share of problems whose tests pass, with its Wilson interval; None if not judged so."""
    judged = [record.outcomes[form] for record in records if form in record.outcomes]
    if not judged:
        return None
    return figures.wilson(sum(outcome.reason == "passed" for outcome in judged), len(judged))


def _line_match(records: Sequence[Record]) -> Figure:
    return figures.wilson(sum(record.line_match for record in records), len(records))


def _pass_table(records: Sequence[Record]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name in _names(records):
        of_set = _of_set(records, name)
        rates = [pass_at_1(of_set, form) for form in _FORMS]
        rows.append((name, len(of_set), *rates, _line_match(of_set)))
    return Table(
        title="HumanEval-Infilling, pass@1",
        columns=(
            Column("set"),
            Column("N", "count"),
            *(Column(title, "percent") for title in _FORMS.values()),
            Column("first-line exact match", "percent"),
        ),
        rows=tuple(rows),
        note="Wilson intervals (95 %).",
    )


def _reason_table(records: Sequence[Record]) -> Table:
    reasons: tuple[Reason, ...] = get_args(Reason)
    rows: list[tuple[Cell, ...]] = []
    for name in _names(records):
        of_set = _of_set(records, name)
        for form, title in _FORMS.items():
            counts = Counter(r.outcomes[form].reason for r in of_set if form in r.outcomes)
            if counts:
                rows.append((name, title, *(counts[reason] for reason in reasons)))
    return Table(
        title="HumanEval-Infilling, how the tests went",
        columns=(
            Column("set"),
            Column("completion"),
            *(Column(reason.replace("_", " "), "count") for reason in reasons),
        ),
        rows=tuple(rows),
    )


# -- CrossCodeEval -----------------------------------------------------------------------


def exact_match(records: Sequence[Record], form: Form) -> Figure:
    """EM with its Wilson interval."""
    return figures.wilson(sum(r.scores[form].exact for r in records), len(records))


def similarity(records: Sequence[Record], form: Form, seed: int = 0) -> Figure:
    """Mean ES with its bootstrap interval."""
    values = [record.scores[form].similarity for record in records]
    return figures.bootstrap(values, lambda v: sum(v) / len(v), seed)


def _cross_table(records: Sequence[Record]) -> Table:
    titles: dict[Variant, str] = {"without": "without", "with": "with (BM25)"}
    rows: list[tuple[Cell, ...]] = []
    for variant, title in titles.items():
        of_variant = [record for record in records if record.variant == variant]
        cells = [
            figure(of_variant, form)
            for form in _CROSS_FORMS
            for figure in (exact_match, similarity)
        ]
        rows.append((title, len(of_variant), *cells))
    return Table(
        title="CrossCodeEval-Python, without and with cross-file context",
        columns=(
            Column("cross-file context"),
            Column("N", "count"),
            Column("EM raw", "percent"),
            Column("ES raw", "percent"),
            Column("EM after post-processing", "percent"),
            Column("ES after post-processing", "percent"),
        ),
        rows=tuple(rows),
        note="EM with Wilson, ES with bootstrap intervals (95 %).",
    )


_CROSS_FORMS: tuple[Form, ...] = ("raw", "post")
_CROSS_PLACES = {
    "suffix": "as comments after the text right of the cursor, which is the form of the scripts "
    "that the published anchors come from",
    "prefix": "as comments before the text left of the cursor",
    "repo": "in the model's repo-level form, one file_sep part each",
}


def _cross_note(form: str) -> str:
    return (
        f"CrossCodeEval: the sample's own BM25 snippets stand {_CROSS_PLACES.get(form, 'there')}. "
        "Predictions are cut to as many non-blank lines as the ground truth has; EM compares "
        "words and signs, ES is the normalised insert/delete similarity. The anchors' published "
        "run script takes all tasks and snippets that were retrieved with the reference's help, "
        "8,192 tokens and full-precision base models; here it is the given sample."
    )


# -- verdicts ----------------------------------------------------------------------------


def _verdicts(
    model: str, infilled: Sequence[Record], crossed: Sequence[Record]
) -> Iterator[Verdict]:
    size = next((size for size in _ANCHORS if model.startswith(size)), "")
    single = _of_set(infilled, "single-line")
    if single:
        if size:
            anchor = f"the {size.upper()} base model's published"
            match = _line_match(single)
            yield beside("Single-line first-line exact match", match, _ANCHORS[size][0], anchor)
        if rate := pass_at_1(single, "post"):
            for name, level in _MELLUM.items():
                what = "Single-line pass@1 after post-processing"
                yield beside(what, rate, level, f"{name}'s published")
    for name in _names(infilled):
        yield _gain(name, _of_set(infilled, name))
    with_others = [record for record in crossed if record.variant == "with"]
    if with_others:
        yield _cross_gain(crossed)
        if size:
            anchor = f"the {size.upper()} base model's published"
            _, exact, close = _ANCHORS[size]
            what = "CrossCodeEval-Python {} with cross-file context"
            yield beside(what.format("EM"), exact_match(with_others, "raw"), exact, anchor)
            yield beside(what.format("ES"), similarity(with_others, "raw"), close, anchor)


def beside(what: str, figure: Figure, level: float, whose: str) -> Verdict:
    """How a figure stands beside a published one; level where its interval holds that.

    Args:
        what: the figure's name.
        figure: ours.
        level: the published one.
        whose: whose that is.
    """
    text = f"{what}: {show(figure, 'percent')}, beside {whose} {show(level, 'percent')}."
    if figure.n < _MIN_N:
        return Verdict(text=f"{text} {_TOO_FEW}", outcome="level")
    if figure.low > level:
        return Verdict(text=text, outcome="ahead")
    return Verdict(text=text, outcome="behind" if figure.high < level else "level")


def _gain(name: str, records: Sequence[Record]) -> Verdict:
    def passed(record: Record, form: Form) -> int:
        return record.outcomes[form].reason == "passed"

    gain = _mean([passed(record, "post") - passed(record, "raw") for record in records])
    raw, post = (pass_at_1(records, form) for form in _CROSS_FORMS)
    return gain_verdict(
        f"Post-processing moves {name} pass@1 from {show(raw, 'percent')} to "
        f"{show(post, 'percent')}",
        gain,
    )


def _cross_gain(records: Sequence[Record]) -> Verdict:
    pairs: dict[str, dict[Variant, bool]] = {}
    for record in records:
        pairs.setdefault(record.task_id, {})[record.variant] = record.scores["raw"].exact
    gain = _mean([pair["with"] - pair["without"] for pair in pairs.values()])
    return gain_verdict("Cross-file context moves CrossCodeEval-Python EM", gain)


def _mean(differences: Sequence[int]) -> Figure:
    return figures.bootstrap(differences, lambda values: sum(values) / len(values))


def gain_verdict(text: str, gain: Figure) -> Verdict:
    """Whether something helps; level where the gain's interval holds zero."""
    points = " to ".join(f"{100 * end:+.1f}" for end in (gain.low, gain.high))
    text = f"{text}: {100 * gain.value:+.1f} points ({points})."
    if gain.n < _MIN_N:
        return Verdict(text=f"{text} {_TOO_FEW}", outcome="level")
    if gain.low > 0:
        return Verdict(text=text, outcome="ahead")
    return Verdict(text=text, outcome="behind" if gain.high < 0 else "level")


def _headline(infilled: Sequence[Record], crossed: Sequence[Record]) -> str:
    parts = []
    for name in _names(infilled):
        of_set = _of_set(infilled, name)
        raw, post = (show(pass_at_1(of_set, form), "percent") for form in _CROSS_FORMS)
        parts.append(f"{name} pass@1 {post} after post-processing, {raw} raw, N = {len(of_set):,}")
    with_others = [record for record in crossed if record.variant == "with"]
    if with_others:
        match = show(exact_match(with_others, "raw"), "percent")
        parts.append(
            f"CrossCodeEval-Python EM {match} with cross-file context, N = {len(with_others):,}"
        )
    return "; ".join(parts) + "."


def _sandbox_note(*, network_cut: bool) -> str:
    network = (
        "no network interface (a namespace of its own)"
        if network_cut
        else "no network by an audit hook only (no network namespaces on this machine)"
    )
    return (
        "Tests run in a child process with limits on time, memory and files, a temporary folder "
        f"as its only writable place, and {network}. That holds off clumsy programs, not a "
        "program written to break out."
    )


# -- without a model ---------------------------------------------------------------------


def check_summary(info: RunInfo, check: str, records: Sequence[Record]) -> Summary:
    """What a run without a model found.

    Args:
        info: what it was made with.
        check: ``canonical`` or ``empty``.
        records: all of it.
    """
    counts = [
        (name, sum(_passed(record) for record in of_set), len(of_set), SETS[name].n)
        for name in _names(records)
        for of_set in [_of_set(records, name)]
    ]
    headline = "; ".join(f"{name} {passed:,}/{n:,} pass" for name, passed, n, _ in counts)
    wrong = [record for record in records if _passed(record) != (check == "canonical")]
    rows = tuple(
        (r.set, r.task_id, r.outcomes["raw"].reason, r.outcomes["raw"].message) for r in wrong
    )
    listed = Table(
        title="Canonical solutions that do not pass"
        if check == "canonical"
        else "Problems that pass with nothing in the gap",
        columns=(Column("set"), Column("problem"), Column("outcome"), Column("message")),
        rows=rows,
        note=""
        if check == "canonical"
        else "What is masked there is not needed to pass the set's own tests: such a problem "
        "counts for any model that writes something harmless.",
    )
    notes = (
        "Completions: canonical solutions." if check == "canonical" else "Completions: empty.",
        _reasons(records),
    )
    return Summary(
        title=f"Infilling, check with {check} completions",
        headline=f"{headline}.",
        run=info,
        n=len(records),
        tables=(_check_table(counts), *((listed,) if rows else ())),
        verdicts=tuple(_check_verdict(check, *count) for count in counts),
        notes=notes,
    )


def _passed(record: Record) -> bool:
    return record.outcomes["raw"].reason == "passed"


def _check_table(counts: Sequence[tuple[str, int, int, int]]) -> Table:
    return Table(
        title="HumanEval-Infilling, tests",
        columns=(
            Column("set"),
            Column("passed", "count"),
            Column("run", "count"),
            Column("in the set", "count"),
        ),
        rows=tuple(counts),
    )


def _check_verdict(check: str, name: str, passed: int, n: int, _size: int) -> Verdict:
    expected = n if check == "canonical" else 0
    text = f"{name}: {passed:,} of {n:,} pass, expected {expected:,}."
    return Verdict(text=text, outcome="level" if passed == expected else "behind")


def _reasons(records: Sequence[Record]) -> str:
    counts = Counter(record.outcomes["raw"].reason for record in records)
    seconds = sum(record.outcomes["raw"].seconds for record in records)
    named = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in counts.most_common())
    return f"Outcomes: {named}; {seconds:,.0f} s in children."
