"""Characters that make code look like something else than it is (CVE-2021-42574)."""

from __future__ import annotations

import re

from lsp_server.postprocess.cut import Cut

# C0 other than tab and newline, ESC, DEL and C1; zero-width and bidi controls; letters that have
# no shape; tag characters; halves of surrogate pairs.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def unsafe_cut(text: str, document: str) -> Cut | None:
    """The first such character that the document does not hold; nothing is shown then.

    Args:
        text: the completion so far.
        document: the text around the cursor.
    """
    for found in _UNSAFE.finditer(text):
        if found.group() not in document:
            return Cut(found.end(), 0, "unsafe_characters")
    return None
