"""The events as files for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TextIO, get_args, get_origin

import msgspec

from lsp_server.acceptance.events import COMMON_FIELDS, Event
from lsp_server.errors import UsageError

Form = Literal["csv", "jsonl", "json", "parquet"]

# By the end of a file's name.
FORMS: dict[str, Form] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}


def columns() -> tuple[str, ...]:
    """Fields of all kinds of events, the common ones first."""
    own = (name for kind in get_args(Event) for name in kind.__struct_fields__)
    return tuple(dict.fromkeys((*COMMON_FIELDS, *own)))


def write(events: Iterable[Event], path: Path, form: Form) -> None:
    """Write events to a file.

    Args:
        events: in any order.
        path: of the file.
        form: ``csv`` and ``parquet`` have a column for every field, empty where a kind has none;
            ``json`` is a list of objects with the kind's own fields, ``jsonl`` one a line.

    Raises:
        UsageError: Parquet needs a package that is not installed (``parquet_missing``).
        OSError: the file cannot be written.
    """
    if form == "parquet":
        _write_parquet(events, path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        _write_text(events, file, form)


def _write_text(events: Iterable[Event], file: TextIO, form: Form) -> None:
    rows: Iterable[dict[str, Any]] = map(msgspec.to_builtins, events)
    if form == "json":
        json.dump(list(rows), file, ensure_ascii=False, indent=1)
        file.write("\n")
        return
    if form == "jsonl":
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = csv.DictWriter(file, columns(), restval="")
    table.writeheader()
    table.writerows(rows)


def _write_parquet(events: Iterable[Event], path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            "Parquet files need the package pyarrow, which is not installed.",
            code="parquet_missing",
            hint="Run: pip install 'midfill[parquet]', or name a file that ends in .csv or .jsonl.",
        ) from error
    rows = [msgspec.to_builtins(event) for event in events]
    # Every column is there, and of one type, however few kinds of events there are.
    schema = pyarrow.schema([(name, _arrow_type(name, pyarrow)) for name in columns()])
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    pyarrow.parquet.write_table(table, path)


def _arrow_type(name: str, pyarrow: Any) -> Any:
    """By the field's annotation: numbers may be missing, and come as lists."""
    hints = [hint for kind in get_args(Event) for field, hint in _hints(kind) if field == name]
    hint = hints[0] if hints else str
    parts = {part for part in (get_args(hint) or (hint,)) if part not in (type(None), ...)}
    inner = {each for part in parts for each in (get_args(part) or (part,))} - {type(None)}
    if bool in inner:
        return pyarrow.bool_()
    number = pyarrow.float64() if float in inner else pyarrow.int64() if int in inner else None
    if number is None:
        return pyarrow.string()
    return pyarrow.list_(number) if get_origin(hint) is tuple else number


def _hints(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    return [(field.name, field.type) for field in msgspec.structs.fields(kind)]
