"""Why there was no suggestion: each reason code in a sentence, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """What a reason code means.

    Args:
        text: one sentence.
        hint: what to do about it; "" where nothing is to be done.
    """

    text: str
    hint: str = ""


# A newer request took the place of these: they say nothing about suggestions.
OVERTAKEN = frozenset({"superseded", "cancelled"})

_DOCTOR = "Run: midfill doctor"
_REASONS: dict[str, Reason] = {
    "superseded": Reason("More was typed before it was ready, and a newer request was made."),
    "cancelled": Reason("The editor took its request back, as it does when more is typed."),
    "disabled": Reason("Completion is switched off.", "Set completion.enabled to true."),
    "paused": Reason("Completion is paused.", "Run: midfill engine resume"),
    "language_disabled": Reason(
        "Completion is switched off for this language.",
        "Take it out of completion.disabled_languages.",
    ),
    "document_too_large": Reason(
        "The document is larger than suggestions are made for.",
        "Raise completion.max_document_bytes.",
    ),
    "inside_comment": Reason("The cursor is inside a comment, with text behind it."),
    "model_stopped": Reason(
        "The model has nothing to add there: it takes the code to be complete.",
        "A larger model has more to say: midfill model list",
    ),
    "filtered_next_line": Reason("What the model wrote stands in the line below already."),
    "filtered_line_above": Reason("The model wrote the lines above again."),
    "filtered_line_after": Reason("What the model wrote stands right of the cursor already."),
    "filtered_suffix": Reason("What the model wrote stands right of the cursor already."),
    "filtered_closing_line": Reason("The model closed a block that the line below closes."),
    "filtered_line_end": Reason("The model began a new line where only this one is filled."),
    "filtered_block_end": Reason(
        "What the model wrote belongs outside of the block at the cursor."
    ),
    "filtered_keyword": Reason("The model went on to something new at the top level."),
    "filtered_brackets": Reason(
        "What the model wrote closes brackets that are not its own, or leaves some open."
    ),
    "filtered_repeats": Reason("The model went round in circles."),
    "filtered_parse": Reason("With what the model wrote the code would not parse."),
    "filtered_trivial": Reason("A bracket or two are as quick to type as to accept."),
    "filtered_chat": Reason(
        "The model talked about the code instead of writing it.",
        "A base model does not: midfill model list",
    ),
    "filtered_marker": Reason("The model wrote a marker of its own format in place of text."),
    "filtered_unsafe_characters": Reason(
        "What the model wrote has hidden or misleading characters."
    ),
    "filtered_blank": Reason("What the model wrote is blank."),
    "rejected": Reason(
        "The same suggestion was turned down there a moment ago.",
        "Ask for it explicitly to have it after all.",
    ),
    "low_score": Reason(
        "It was less likely to be taken than you want what is shown to be.",
        "Lower completion.target_acceptance (0 shows all), or ask for it explicitly.",
    ),
    "answer_ms": Reason(
        "No line was ready in time.", "Raise completion.answer_ms, or take a smaller model."
    ),
    "model_not_fetched": Reason("No model is fetched.", "Run: midfill model fetch"),
    "prompt_too_long": Reason(
        "The prompt does not fit the engine's context.",
        "Raise engine.n_ctx, or lower completion.n_prefix_tokens and context.n_tokens.",
    ),
    "prompt_quarantined": Reason(
        "This very prompt ended the engine twice, and is not sent again.",
        "Type on; another place in the text is another prompt.",
    ),
    "internal_error": Reason("The server made a mistake.", _DOCTOR),
}


def is_listed(code: str) -> bool:
    """Whether a sentence is made for this very code."""
    return code in _REASONS


def explain(code: str) -> Reason:
    """What a reason code means.

    Args:
        code: as it stands in the acceptance log.
    """
    known = _REASONS.get(code)
    if known is not None:
        return known
    if code.startswith("filtered_"):
        return Reason(f"A filter took all of it away ({code.removeprefix('filtered_')}).")
    if code.startswith("model_"):
        return Reason(f"The model cannot be used ({code}).", "Run: midfill model verify")
    return Reason(f"The engine could not answer ({code}).", _DOCTOR)
