"""Puts the server together; nothing else."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from pygls.lsp.server import LanguageServer

from lsp_server import __version__
from lsp_server.handlers import HANDLERS
from lsp_server.lifecycle.channel import take_stdio
from lsp_server.lifecycle.loop import MainLoop, exit_hard_after
from lsp_server.lifecycle.protocol import ServerProtocol
from lsp_server.service import MakeService
from lsp_server.session import Session


def build(make_service: MakeService) -> tuple[ServerProtocol, Session]:
    """A protocol with all handlers, and the session they work on.

    Args:
        make_service: called once, after ``initialize``, with the editor's options and name.
    """
    # pygls writes whole messages, and so pieces of documents, to its log.
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)
    server = LanguageServer("midfill", __version__, protocol_cls=ServerProtocol)
    protocol = server.protocol
    assert isinstance(protocol, ServerProtocol)
    session = Session(make_service, protocol.notify, protocol.ask)
    for method, handler in HANDLERS.items():
        server.feature(method)(partial(handler, session))
    return protocol, session


def serve(make_service: MakeService, stdio: tuple[int, int] | None = None) -> int:
    """Serve one client on stdin and stdout until it leaves.

    Args:
        make_service: called once, after ``initialize``, with the editor's options and name.
        stdio: file descriptors to read and write; None takes stdin and stdout.

    Returns:
        the exit code: 0 if the client had asked for shutdown before, else 1.
    """
    read_fd, write_fd = stdio or take_stdio()
    protocol, session = build(make_service)
    loop = MainLoop(protocol, read_fd, write_fd, aclose=session.aclose, on_leaving=exit_hard_after)
    return asyncio.run(loop.run())
