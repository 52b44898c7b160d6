"""All filters together, on the text around a mark."""

from __future__ import annotations

import pytest

from context.scope import cursor_scope
from context.syntax import SyntaxTree
from context.types import SourceFile
from lsp_server.postprocess.shape import Shaper, View


def shaper(marked: str, max_lines: int = 12) -> Shaper:
    """A shaper for the position at the mark."""
    before, after = marked.split("‸")
    data = (before + after).encode()
    file = SourceFile(path="a.py", language="python", data=data)
    tree = SyntaxTree.parse(file)
    assert tree is not None
    scope = cursor_scope(file, tree.root, len(before.encode()))
    return Shaper(
        scope,
        before=before.encode(),
        around=before + after,
        max_lines=max_lines,
        multi_line=scope.multi_line,
    )


CASES = [
    ("x = ‸\n", "1\ny = 2", "1", "line_end"),
    ("print(‸)\n", "a, b)\n", "a, b", "brackets"),
    ("foo(\n    a,\n    ‸\n)\n", "b,\n    c,\n)\n", "b,\n    c,", "brackets"),
    ("foo(\n    a,\n    ‸\n", "b,\n)\n", "b,\n)", "block_end"),
    ("foo(a,\n    ‸\n", "b)\nbar()", "b)", "block_end"),
    ("def f():\n    ‸\n\ndef g():\n", "return 1\n\n\ndef g():", "return 1", "block_end"),
    ("def f():\n    ‸\n    return x\n", "x = 1\n    return x\n", "x = 1", "next_line"),
    ("def f():\n    ‸\n    return x\n", "x = 1\n    retu", "x = 1", ""),
    ("if a:\n    ‸\n", "go()\n    go()\n    go()", "go()", "repeats"),
    ("x = ‸\n", "a\u200bb\n", "", "unsafe_characters"),
    ("x = ‸ + 1\n", "y + 1\n", "y", "line_end"),
    ('"""‸\n', 'Do 1) and 2).\n"""', 'Do 1) and 2).\n"""', ""),
]


@pytest.mark.parametrize(("marked", "raw", "text", "stop"), CASES)
def test_shape(marked: str, raw: str, text: str, stop: str) -> None:
    """The displayable part and the reason to stop are as written."""
    assert shaper(marked).view(raw, final=False) == View(text=text, stop=stop)


@pytest.mark.parametrize(("marked", "raw", "text", "stop"), CASES)
def test_streaming_ends_at_the_same_text(marked: str, raw: str, text: str, stop: str) -> None:
    """Fed one character at a time until it says stop, the text is the same."""
    one = shaper(marked)
    view = View(text="")
    for size in range(len(raw) + 1):
        view = one.view(raw[:size], final=False)
        if view.stop:
            break
    assert view == View(text=text, stop=stop)


def test_lines_are_limited() -> None:
    """No more lines than the setting allows."""
    raw = "".join(f"a{i} = {i}\n    " for i in range(20))
    assert shaper("def f():\n    ‸\n", max_lines=3).view(raw, final=False) == View(
        text="a0 = 0\n    a1 = 1\n    a2 = 2", stop="max_lines"
    )
