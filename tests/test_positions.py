"""Units of an editor's position to code-point columns and back."""

from __future__ import annotations

import pytest

from lsp_server.positions import (
    PositionEncoding,
    column_of,
    content_length,
    locate,
    negotiate,
    split_lines,
    units_of,
)

# a: 1 byte, 1 unit; é: 2 bytes, 1 unit; 中: 3 bytes, 1 unit; 😀: 4 bytes, 2 units.
MIXED = "aé中😀z\r\n"


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        (None, "utf-16"),
        ([], "utf-16"),
        (["utf-8", "utf-16"], "utf-8"),
        (["utf-32", "utf-8"], "utf-32"),
        (["utf-16", "utf-8"], "utf-16"),
        (["ebcdic", "utf-8"], "utf-8"),
        (["ebcdic"], "utf-16"),
    ],
)
def test_negotiation_takes_the_clients_first_known_encoding(
    offered: list[str] | None, expected: str
) -> None:
    """The client's order decides; without a known offer it is UTF-16."""
    assert negotiate(offered) == expected


@pytest.mark.parametrize(
    ("encoding", "units"),
    [("utf-8", [0, 1, 3, 6, 10, 11]), ("utf-16", [0, 1, 2, 3, 5, 6]), ("utf-32", list(range(6)))],
)
def test_columns_and_units_are_each_others_reverse(
    encoding: PositionEncoding, units: list[int]
) -> None:
    """Every character boundary keeps its place through both conversions."""
    assert [units_of(MIXED, column, encoding) for column in range(6)] == units
    assert [column_of(MIXED, unit, encoding) for unit in units] == list(range(6))


@pytest.mark.parametrize(
    ("encoding", "units", "column"),
    [
        ("utf-16", 4, 3),
        ("utf-8", 2, 1),
        ("utf-8", 4, 2),
        ("utf-8", 5, 2),
        ("utf-8", 7, 3),
        ("utf-8", 9, 3),
    ],
)
def test_a_position_inside_a_character_means_its_start(
    encoding: PositionEncoding, units: int, column: int
) -> None:
    """Half a surrogate pair or half a UTF-8 sequence rounds down."""
    assert column_of(MIXED, units, encoding) == column


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("units", [12, 13, 1_000, 2**31 - 1, 2**40])
@pytest.mark.parametrize("line", [MIXED, MIXED[:-1], MIXED[:-2], "abc\n", "abc"])
def test_past_the_end_of_a_line_is_its_end_before_the_eol(
    encoding: PositionEncoding, units: int, line: str
) -> None:
    """No position of a line lies inside or behind its EOL."""
    assert column_of(line, units, encoding) == content_length(line)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_negative_units_mean_the_start(encoding: PositionEncoding) -> None:
    """A negative column is moved to the start of the line."""
    assert column_of(MIXED, -1, encoding) == 0
    assert units_of(MIXED, -1, encoding) == 0


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ((0, 0), (0, 0)),
        ((0, 99), (0, 2)),
        ((1, 99), (1, 1)),
        ((2, 0), (1, 1)),
        ((99, 5), (1, 1)),
        ((-1, 5), (0, 0)),
    ],
)
def test_positions_outside_the_text_move_to_the_nearest_place(
    position: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Past the last line means the end of the text, not of the line of that column."""
    assert locate(["ab\r\n", "c"], *position, "utf-16") == expected


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a\n", ""]),
        ("a\r\nb\rc\nd", ["a\r\n", "b\r", "c\n", "d"]),
        ("\r\r\n\n", ["\r", "\r\n", "\n", ""]),
        ("a\u2028b\x0bc\x0cd\x85e\n", ["a\u2028b\x0bc\x0cd\x85e\n", ""]),
    ],
)
def test_only_lf_crlf_and_cr_end_a_line(text: str, lines: list[str]) -> None:
    """Lines keep their EOL and the last one has none."""
    assert split_lines(text) == lines
