"""Small projects for the tests of the peers' prompts, and prompts as text."""

from __future__ import annotations

from benchmarks.peers.library import Library
from benchmarks.peers.session import visits
from benchmarks.peers.strategy import EditorState
from benchmarks.peers.suggester import BUDGET
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Prompt, SourceFile


def state_of(
    files: dict[str, str], path: str, before: str, after: str, *, seed: int = 1
) -> EditorState:
    """What an editor knows with the cursor between two texts of the open file.

    Args:
        files: the project on the disk.
        path: of the open file.
        before: text left of the cursor.
        after: text right of it.
        seed: of the made-up session.
    """
    library = Library(files)
    file = SourceFile(path=path, language="python", data=(before + after).encode())
    context = gather(file, SyntaxTree.parse(file), len(before.encode()), BUDGET)
    return EditorState(
        project="shop",
        path=path,
        text=before + after,
        offset=len(before),
        library=library,
        visits=visits(library, path, before + after, seed=seed),
        context=context,
    )


def shown(prompt: Prompt) -> str:
    """A prompt as text, with its tokens as ``«role»``."""
    return "".join(s.text if s.role == "text" else f"«{s.role}»" for s in prompt.segments)


def long_module(name: str, n_functions: int) -> str:
    """A module of many small functions, no two lines of it alike."""
    functions = [
        f"def {name}_{i}(value_{i}):\n    total_{i} = value_{i} + {i}\n    return total_{i}\n"
        for i in range(n_functions)
    ]
    return "\n\n".join(functions)
