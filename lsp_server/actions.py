"""``workspace/executeCommand``: what the user does with suggestions, files and the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from pygls.exceptions import JsonRpcInvalidParams

from lsp_server.answers import ACCEPTED_COMMAND
from lsp_server.lifecycle import messages as wire
from lsp_server.session import Session
from lsp_server.types import FileMark

_FILE_COMMANDS: dict[str, FileMark] = {
    "midfill.pin": "pin",
    "midfill.unpin": "unpin",
    "midfill.ban": "ban",
    "midfill.unban": "unban",
}
_PAUSE_COMMANDS = {"midfill.pause": True, "midfill.resume": False}
COMMANDS = (ACCEPTED_COMMAND, *_FILE_COMMANDS, *_PAUSE_COMMANDS)


def execute_command(session: Session, params: wire.ExecuteCommandParams) -> Awaitable[None] | None:
    """``midfill.accepted [id]``, what is done to a file [uri], ``midfill.pause``, ``resume``.

    A command that was begun is carried out even if its request is cancelled.
    """
    command, arguments = params.command, params.arguments or []
    if command not in COMMANDS:
        raise JsonRpcInvalidParams(f"The commands are {', '.join(COMMANDS)}.")
    if command in _PAUSE_COMMANDS:
        if arguments:
            raise JsonRpcInvalidParams(f"{command} takes no arguments.")
        work = session.service.pause(_PAUSE_COMMANDS[command])
        return asyncio.shield(session.spawn(work))
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        wanted = "the completion's id" if command == ACCEPTED_COMMAND else "a file's URI"
        raise JsonRpcInvalidParams(f"{command} takes one argument, {wanted}.")
    if command == ACCEPTED_COMMAND:
        # Answered when it is stored.
        return asyncio.shield(session.spawn(session.service.accepted(arguments[0])))
    if not session.service.mark_file(arguments[0], _FILE_COMMANDS[command]):
        raise JsonRpcInvalidParams("The file is in none of the workspace's folders.")
    return None
