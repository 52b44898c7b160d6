"""What can be measured, section by section."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.engine import (
    cancel,
    clients,
    healing,
    keystrokes,
    lengths,
    loads,
    quality,
    reuse,
    speculation,
    speed,
)
from benchmarks.engine.bench import Bench, Part, has_option
from benchmarks.engine.cancel import Cancelled
from benchmarks.engine.clients import Crowd
from benchmarks.engine.healing import Word
from benchmarks.engine.keystrokes import Keystroke
from benchmarks.engine.lengths import FirstToken
from benchmarks.engine.loads import Load
from benchmarks.engine.quality_report import Moved
from benchmarks.engine.reuse import Key
from benchmarks.engine.speculation import Guessed
from benchmarks.engine.speed import Speed
from lsp_server.errors import UsageError

# A line of the results file.
Measurement = (
    Speed | FirstToken | Crowd | Keystroke | Cancelled | Key | Moved | Word | Load | Guessed
)


class Section(NamedTuple):
    """A part of the benchmark.

    Args:
        about: what it measures, in a few words.
        measure: measures what is not measured yet.
        report: what was found.
    """

    about: str
    measure: Callable[[Bench], None]
    report: Callable[[Bench], Part]


SECTIONS: dict[str, Section] = {
    "speed": Section("prefill and decode beside llama-bench", speed.measure, speed.report),
    "lengths": Section("the first token beside llama-server's", lengths.measure, lengths.report),
    "clients": Section("several clients at once", clients.measure, clients.report),
    "keystrokes": Section("a keystroke beside others", keystrokes.measure, keystrokes.report),
    "cancel": Section("how soon the engine is free again", cancel.measure, cancel.report),
    "reuse": Section("a typing session, with text moved and not", reuse.measure, reuse.report),
    "quality": Section("moved text against a full evaluation", quality.measure, quality.report),
    "healing": Section(
        "tokens typed in part with healing and without", healing.measure, healing.report
    ),
    "attention": Section(
        "flash attention on and off",
        partial(loads.measure, topic="attention"),
        partial(loads.report, topic="attention"),
    ),
    "kv": Section(
        "f16 and q8_0 keys and values",
        partial(loads.measure, topic="kv"),
        partial(loads.report, topic="kv"),
    ),
    "ngrams": Section(
        "an n-gram model of the workspace on and off",
        partial(loads.measure, topic="ngrams"),
        partial(loads.report, topic="ngrams"),
    ),
    "weights": Section(
        "the model and its F16 (--f16)",
        partial(loads.measure, topic="weights"),
        partial(loads.report, topic="weights"),
    ),
    "memory": Section(
        "memory by size of the context",
        partial(loads.measure, topic="memory"),
        partial(loads.report, topic="memory"),
    ),
}
if has_option(speculation.OPTION):
    SECTIONS["speculation"] = Section(
        "guessed tokens on and off", speculation.measure, speculation.report
    )


def chosen(names: str) -> dict[str, Section]:
    """The sections of a list with commas, in their own order; all for ``all``.

    Raises:
        UsageError: there is no such section (``unknown_section``).
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if wanted == ["all"]:
        return SECTIONS
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown or not wanted:
        raise UsageError(
            f"There is no section {', '.join(unknown)}." if unknown else "No section is named.",
            code="unknown_section",
            hint=f"Choose from: {', '.join(SECTIONS)}, or all.",
        )
    return {name: section for name, section in SECTIONS.items() if name in wanted}
