"""Suggestions as LSP items, and how a request was answered as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from lsprotocol import types as lsp

from lsp_server.completion.draft import Account
from lsp_server.positions import PositionEncoding, units_of
from lsp_server.types import Completion, Skip, Snapshot

ACCEPTED_COMMAND = "midfill.accepted"
_MAX_LABEL_CHARS = 60


def inline_item(
    completion: Completion, snapshot: Snapshot, encoding: PositionEncoding
) -> lsp.InlineCompletionItem:
    """A suggestion as ghost text.

    Args:
        completion: the suggestion.
        snapshot: the text it is for.
        encoding: unit of the columns.
    """
    return lsp.InlineCompletionItem(
        insert_text=completion.text,
        range=_range(completion, snapshot, encoding),
        command=_accept(completion),
    )


def menu_item(
    completion: Completion, snapshot: Snapshot, encoding: PositionEncoding
) -> lsp.CompletionItem:
    """A suggestion as an item of a menu, for clients without ghost text.

    Args:
        completion: the suggestion.
        snapshot: the text it is for.
        encoding: unit of the columns.
    """
    before = snapshot.lines[completion.line][: completion.column]
    word = _word_at_end(before)
    text_lines = completion.text.strip().splitlines() or [""]
    more = " …" if len(text_lines) > 1 else ""
    shown = (word + completion.text).strip()
    return lsp.CompletionItem(
        label=text_lines[0][:_MAX_LABEL_CHARS] + more,
        kind=lsp.CompletionItemKind.Text,
        detail="midfill",
        documentation=lsp.MarkupContent(
            kind=lsp.MarkupKind.Markdown,
            value=f"{_fence(shown)}{snapshot.language}\n{shown}\n{_fence(shown)}",
        ),
        # Clients filter by the word left of the cursor, which the text goes on from.
        filter_text=word + text_lines[0],
        insert_text_format=lsp.InsertTextFormat.PlainText,
        insert_text_mode=lsp.InsertTextMode.AsIs,
        text_edit=lsp.TextEdit(
            range=_range(completion, snapshot, encoding), new_text=completion.text
        ),
        command=_accept(completion),
    )


def explained(account: Account, *, evidence: bool = False) -> dict[str, Any]:
    """How a request was answered, and from what, as ``midfill/explain`` tells it.

    Args:
        account: of the request.
        evidence: whether all that the score is made of is told.
    """
    answer, explanation = account.answer, account.explanation
    fields: dict[str, Any] = {"id": account.request_id}
    if isinstance(answer, Skip):
        fields |= {"reason": answer.reason, "message": answer.message, "text": ""}
    else:
        fields |= {
            "reason": None,
            "message": "",
            "text": answer.text,
            "model": answer.model,
            "score": answer.score,
            "p": answer.p,
        }
    if explanation is not None:
        fields |= {
            "timings": _camel(msgspec.to_builtins(explanation.timings)),
            "origin": explanation.origin,
            "raw": explanation.raw,
            "stop": explanation.stop,
            "logprobs": explanation.logprobs,
            "supports": explanation.supports,
            "p": explanation.p,
            "leastP": explanation.least_p,
            "segmentTokens": explanation.segment_tokens,
            "snippets": [
                _camel(msgspec.to_builtins(snippet))
                for snippet in (
                    *explanation.related.snippets,
                    *explanation.context.prefix,
                    *explanation.context.suffix,
                )
            ],
            "dropped": [
                {"reason": each.reason, **_camel(msgspec.to_builtins(each.snippet))}
                for each in explanation.related.dropped
            ],
        }
        if evidence and explanation.evidence is not None:
            fields["evidence"] = msgspec.to_builtins(explanation.evidence)
    return fields


def _accept(completion: Completion) -> lsp.Command:
    return lsp.Command(
        title="Accept the suggestion", command=ACCEPTED_COMMAND, arguments=[completion.id]
    )


def _range(completion: Completion, snapshot: Snapshot, encoding: PositionEncoding) -> lsp.Range:
    line = snapshot.lines[completion.line]
    end = completion.column + completion.replace_after
    start_units = units_of(line, completion.column, encoding)
    return lsp.Range(
        start=lsp.Position(line=completion.line, character=start_units),
        end=lsp.Position(line=completion.line, character=units_of(line, end, encoding)),
    )


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    """Field names as LSP writes them: ``ttft_ms`` is ``ttftMs``."""
    return {
        head + "".join(word.capitalize() for word in rest): value
        for (head, *rest), value in ((name.split("_"), value) for name, value in fields.items())
    }


def _word_at_end(text: str) -> str:
    start = len(text)
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    return text[start:]


def _fence(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return fence
