"""The error tree. Every error carries a stable code and says what to do about it.

MidfillError
├── UsageError                 what the user asked for cannot be done as written
├── ModelError                 a model file or its source
│   ├── ModelNotFoundError     nothing fetched under that id or path
│   ├── ModelInvalidError      not GGUF, truncated, wrong hash, no FIM tokens
│   └── FetchError             a source could not deliver
├── EngineError                the engine process
│   ├── EngineUnavailableError cannot be started or reached
│   ├── EngineRefusedError     the engine answered with a reason code
│   └── ProtocolError          a frame that is too large or cannot be read
├── DocumentError              a position or an edit that does not fit the text
└── StoreError                 the acceptance log or a cache folder

An expected non-answer is no error: it is a ``Skip`` value (see types.py).
"""

from __future__ import annotations


class MidfillError(Exception):
    """Base of all errors midfill raises on purpose.

    Args:
        message: one sentence for the user, without a traceback or source text.
        code: stable reason code in ``snake_case``, used in logs and JSON output.
        hint: what to do about it, usually a command to run.
    """

    exit_code = 1

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(MidfillError):
    """What the user asked for cannot be done as written."""

    exit_code = 2


class ModelError(MidfillError):
    """A model file, or the source it should come from."""


class ModelNotFoundError(ModelError):
    """Nothing is fetched under that id or path."""


class ModelInvalidError(ModelError):
    """The file is no GGUF, is cut off, has another hash, or lacks FIM tokens."""


class FetchError(ModelError):
    """A source could not deliver the model."""


class EngineError(MidfillError):
    """The engine process."""


class EngineUnavailableError(EngineError):
    """The engine cannot be started or reached."""


class EngineRefusedError(EngineError):
    """The engine answered a request with a reason code instead of text."""


class ProtocolError(EngineError):
    """A frame that is too large or cannot be decoded."""


class DocumentError(MidfillError):
    """A position or an edit that does not fit the text."""


class StoreError(MidfillError):
    """The acceptance log or a cache folder cannot be used."""
