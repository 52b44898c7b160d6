"""Files that the user wants in every prompt."""

from __future__ import annotations

from collections.abc import Sequence

from context.sources.view import View
from context.types import Snippet
from context.workspace.index import WorkspaceIndex

ORIGIN = "pinned"
_MAX_BYTES = 8192


def find(view: View, index: WorkspaceIndex, pinned: Sequence[str]) -> list[Snippet]:
    """The beginning of each pinned file; what does not fit is packed away later.

    Args:
        view: of the cursor.
        index: of the workspace.
        pinned: paths relative to the root, in the user's order.
    """
    found = []
    for path in pinned:
        data = index.read(path) if path != view.path else None
        if data is None:
            continue
        cut = data if len(data) <= _MAX_BYTES else data[: data.rfind(b"\n", 0, _MAX_BYTES) + 1]
        found.append(
            Snippet(
                path=path,
                start_byte=0,
                end_byte=len(cut),
                text=cut.decode("utf-8", "ignore").strip("\n"),
                origin=ORIGIN,
                score=1.0,
            )
        )
    return found
