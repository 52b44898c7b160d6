"""Makes the typing session that is shipped: a script typed with gaps that are drawn.

Nobody's keystrokes were recorded. The script (TOML) says what is typed where; the gaps between
keys are drawn from log-normal distributions, the usual model of inter-key intervals: inside words
a median of 130 ms, held within 80 to 300 ms; pauses of thought before a new line, after an
opening bracket, a dot or an ``=``, and before the cursor goes elsewhere.

Run in a checkout: ``python -m benchmarks.latency.drawing SCRIPT FOLDER OUTPUT``.
"""

from __future__ import annotations

import argparse
import math
import random
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from benchmarks.latency.session import Edit, Event, Header, Move, Open, Session, dump, replay


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is done; exactly one field is set.

    Args:
        open: a file gets the focus.
        after: the cursor goes behind the first line that holds this text, or behind the text
            itself where it ends with ``…``.
        type: typed key by key; a line break brings the indent that an editor would give.
        erase: so many characters are deleted with the backspace key.
        delete: the first line that holds this text is deleted.
    """

    open: str | None = None
    after: str | None = None
    type: str | None = None
    erase: int = 0
    delete: str | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is typed.

    Args:
        name: for display.
        seed: of the gaps.
        files: paths, relative to the folder of the sources.
        actions: in order.
    """

    name: str
    seed: int
    files: tuple[str, ...]
    actions: tuple[Action, ...]


_NOTE = (
    "No one's keystrokes: written for this benchmark. Gaps between keys are drawn (seed {seed}): "
    "log-normal, median 130 ms and sigma 0.35 inside words, held within 80 to 300 ms; pauses "
    "log-normal, median 450 ms and sigma 0.4 after . ( [ = and , (3 of 10), median 900 ms and "
    "sigma 0.5 after a line break, median 1,600 ms and sigma 0.5 before another place."
)
_PAUSE_AFTER = ".([=,"


def read_script(path: Path) -> Script:
    """Read a script."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Script)


def draw(script: Script, files: Mapping[str, str]) -> Session:
    """A session from a script and the files' texts.

    Raises:
        ValueError: the script names a text that no line holds.
    """
    typist = _Typist(files, random.Random(script.seed))
    for action in script.actions:
        typist.do(action)
    header = Header(name=script.name, note=_NOTE.format(seed=script.seed), files=dict(files))
    session = Session(header=header, events=tuple(typist.events))
    list(replay(session))  # every event fits
    return session


class _Typist:
    def __init__(self, files: Mapping[str, str], chance: random.Random) -> None:
        self.events: list[Event] = []
        self._chance = chance
        self._lines = {path: text.split("\n") for path, text in files.items()}
        self._path = ""
        self._line = self._column = 0
        self._last = ""

    def do(self, action: Action) -> None:
        if action.open is not None:
            self._path = action.open
            self.events.append(Open(gap_ms=self._pause(1600, 0.5), path=self._path))
        elif action.after is not None:
            self._go(action.after)
        elif action.type is not None:
            for key in self._keys(action.type):
                self._replace(self._column, key, self._gap(key))
        elif action.delete is not None:
            self._delete(action.delete)
        for _ in range(action.erase):
            self._replace(self._column - 1, "", self._key_ms())

    def _go(self, text: str) -> None:
        behind_text = text.endswith("…")
        text = text.removesuffix("…")
        self._line = self._find(text)
        line = self._lines[self._path][self._line]
        self._column = line.index(text) + len(text) if behind_text else len(line)
        self.events.append(
            Move(gap_ms=self._pause(1600, 0.5), line=self._line, column=self._column)
        )
        self._last = ""

    def _delete(self, text: str) -> None:
        line = self._find(text)
        self.events.append(
            Edit(
                gap_ms=self._pause(1600, 0.5),
                line=line,
                column=0,
                end_line=line + 1,
                end_column=0,
                text="",
            )
        )
        del self._lines[self._path][line]
        self._line, self._column, self._last = line, 0, ""

    def _find(self, text: str) -> int:
        for number, line in enumerate(self._lines[self._path]):
            if text in line:
                return number
        raise ValueError(f"no line of {self._path} holds {text!r}")

    def _keys(self, text: str) -> Iterator[str]:
        for key in text:
            if key != "\n":
                yield key
                continue
            line = self._lines[self._path][self._line][: self._column]
            indent = line[: len(line) - len(line.lstrip())]
            yield "\n" + indent + ("    " if line.rstrip().endswith((":", "(", "[")) else "")

    def _replace(self, start: int, text: str, gap_ms: float) -> None:
        self.events.append(
            Edit(
                gap_ms=gap_ms,
                line=self._line,
                column=start,
                end_line=self._line,
                end_column=self._column,
                text=text,
            )
        )
        lines = self._lines[self._path]
        whole = lines[self._line]
        new = (whole[:start] + text + whole[self._column :]).split("\n")
        lines[self._line : self._line + 1] = new
        if len(new) > 1:
            self._line += len(new) - 1
            self._column = len(text.rsplit("\n", 1)[1])
        else:
            self._column = start + len(text)
        self._last = text

    def _gap(self, key: str) -> float:
        if self._last.startswith("\n") or not self._last:
            return self._pause(900, 0.5)
        if self._last in _PAUSE_AFTER and self._chance.random() < 0.3:
            return self._pause(450, 0.4)
        return self._key_ms()

    def _key_ms(self) -> float:
        return min(300.0, max(80.0, self._pause(130, 0.35)))

    def _pause(self, median_ms: float, sigma: float) -> float:
        return round(self._chance.lognormvariate(math.log(median_ms), sigma), 1)


def main() -> None:
    """Draw a session and write it."""
    parser = argparse.ArgumentParser(description="Draw a typing session from a script.")
    parser.add_argument("script", type=Path, metavar="SCRIPT", help="TOML file: what is typed")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the files are looked for here")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="session file to write")
    args = parser.parse_args()
    script = read_script(args.script)
    files = {path: (args.folder / path).read_text("utf-8") for path in script.files}
    args.output.write_bytes(dump(draw(script, files)))


if __name__ == "__main__":
    main()
