"""``python -m benchmarks NAME``: one benchmark a module, with ``add_parser(subparsers)``."""

from __future__ import annotations

import argparse
import sys

from benchmarks import acceptance, latency, report
from benchmarks import context as context_benchmark
from benchmarks.calibration import command as calibration
from benchmarks.corpus import command as corpus
from benchmarks.engine import command as engine
from benchmarks.engine import gpu
from benchmarks.flow import command as flow
from benchmarks.infilling import command as infilling
from benchmarks.peers import command as peers
from lsp_server.errors import MidfillError


def main() -> int:
    """Run a benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure midfill, each figure beside a peer or a limit of the same run.",
    )
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    acceptance.add_parser(subparsers)
    calibration.add_parser(subparsers)
    context_benchmark.add_parser(subparsers)
    corpus.add_parser(subparsers)
    engine.add_parser(subparsers)
    flow.add_parser(subparsers)
    gpu.add_parser(subparsers)
    infilling.add_parser(subparsers)
    latency.add_parser(subparsers)
    peers.add_parser(subparsers)
    report.add_parser(subparsers)
    args = parser.parse_args()
    try:
        return int(args.func(args))
    except MidfillError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
