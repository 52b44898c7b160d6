"""A process that measures one model and leaves: ``python -P -m lsp_server.engine.llama.measure``.

Its one argument is an EngineOptions as JSON. It prints a Report as JSON on each line, the last one
with the figures or the error, and keeps the figures itself. It ends early when the process that
started it is gone.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from lsp_server.engine import speeds
from lsp_server.engine.measuring import Report
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.speeds import Speed
from lsp_server.errors import EngineUnavailableError, MidfillError
from lsp_server.models.gate import ensure_trusted

# What the measurement needs; the size of the KV cache changes no figure.
_N_CTX = 2048
# Loading comes first, and takes about this share of the time.
_LOADING = 0.2


def measure(options: EngineOptions, report: Callable[[Report], None]) -> Speed:
    """Load a model, measure it, and keep the figures.

    Args:
        options: what its engine would be started with.
        report: called with the progress.

    Raises:
        MidfillError: it cannot be loaded, or was interrupted.
    """
    parent = os.getppid()
    model = ensure_trusted(Path(options.model_path))
    from lsp_server.engine.llama.gauge import gauge
    from lsp_server.engine.llama.model import LlamaModel

    def loading(progress: float) -> bool:
        report(Report(progress=_LOADING * progress))
        return os.getppid() == parent

    llama = LlamaModel(msgspec.structs.replace(options, n_ctx=_N_CTX, n_slots=1), loading)
    try:
        speed = gauge(
            llama,
            0,
            model_id=options.model_id,
            go_on=lambda: os.getppid() == parent,
            on_progress=lambda share: report(Report(progress=_LOADING + (1 - _LOADING) * share)),
        )
    finally:
        llama.close()
    if speed is None:
        raise EngineUnavailableError(
            f"{options.model_id} could not be measured to the end.", code="measure_interrupted"
        )
    return speeds.save(model.sha256, options, speed)


def _print(report: Report) -> None:
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the process."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = msgspec.json.decode(arguments[0], type=EngineOptions)
    except (IndexError, msgspec.MsgspecError) as error:
        print(f"midfill measure: options expected as JSON: {error}", file=sys.stderr)
        return 2
    try:
        _print(Report(progress=1.0, speed=measure(options, _print)))
    except MidfillError as error:
        _print(Report(code=error.code, message=error.message, hint=error.hint))
        return 1
    except (ImportError, OSError, RuntimeError) as error:
        hint = "Install the local engine: pip install 'midfill[local]'"
        message = f"llama-cpp-python cannot be used ({error})."
        _print(Report(code="llama_missing", message=message, hint=hint))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
