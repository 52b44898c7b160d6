"""Characters that make code look like something else than it is (CVE-2021-42574)."""

from __future__ import annotations

import re

# C0 other than tab and newline, ESC, DEL and C1; zero-width and bidi controls; tag characters.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


def introduces_unsafe(text: str, document: str) -> bool:
    """Whether the text holds such a character that the document does not hold yet.

    Args:
        text: the completion so far.
        document: the text around the cursor.
    """
    return any(found not in document for found in _UNSAFE.findall(text))
