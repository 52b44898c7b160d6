"""Says where an unexpected error came from without saying anything about the user's code."""

from __future__ import annotations

import traceback

_MAX_FRAMES = 4


def describe(error: BaseException) -> str:
    """The error's type and the innermost places in the program, for the log.

    The message is left out: of an error that nobody expected it may hold a piece of a
    document, and editors keep what a server writes to stderr.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {places or 'an unknown place'}"
