"""The events as files for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import Any, Literal, TextIO, get_args

import msgspec

from lsp_server.acceptance.events import COMMON_FIELDS, Event

Form = Literal["csv", "jsonl"]

# By the end of a file's name.
FORMS: dict[str, Form] = {".csv": "csv", ".jsonl": "jsonl"}


def columns() -> tuple[str, ...]:
    """Fields of all kinds of events, the common ones first."""
    own = (name for kind in get_args(Event) for name in kind.__struct_fields__)
    return tuple(dict.fromkeys((*COMMON_FIELDS, *own)))


def write(events: Iterable[Event], file: TextIO, form: Form) -> None:
    """Write events, one a line.

    Args:
        events: in any order.
        file: open for writing, with ``newline=""`` for CSV.
        form: ``csv`` has a column for every field, empty where a kind has none; ``jsonl`` an
            object with the kind's own fields.
    """
    rows: Iterable[dict[str, Any]] = map(msgspec.to_builtins, events)
    if form == "jsonl":
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = csv.DictWriter(file, columns(), restval="")
    table.writeheader()
    table.writerows(rows)
