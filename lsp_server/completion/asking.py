"""What is asked of the engine, by the settings and by where it runs."""

from __future__ import annotations

from context.rank import Allowance
from context.types import Budget, FileContext, Prompt
from lsp_server.engine.protocol import StateChange
from lsp_server.postprocess.shape import Shaper
from lsp_server.settings import CompletionSettings, Settings
from lsp_server.types import SamplingParams

# Prompt budgets and longest suggestion where the settings leave them open: a CPU evaluates some
# 200 prompt tokens a second, a GPU several thousand. What is chosen of other files changes from
# line to line, and all behind it is evaluated again: on a CPU that is left to the user.
CPU_BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192, n_context_tokens=0)
GPU_BUDGET = Budget(n_prefix_tokens=3072, n_suffix_tokens=1024, n_context_tokens=4096)
CPU_MAX_TOKENS, GPU_MAX_TOKENS = 96, 192
# So long a suggestion may wait for what is new of other files, and so long a piece of work in a
# pause may take: what is typed meanwhile waits for its end at worst.
_NEWS_S, _PIECE_S = 0.1, 0.4
# Until the speed is known.
_CPU_TOKENS_PER_S, _GPU_TOKENS_PER_S = 100.0, 2000.0
# Budgets are counted in estimated tokens: so much of a small context is filled.
_ROOM_SHARE = 0.75


def budget(settings: Settings, state: StateChange | None) -> Budget:
    """Tokens for the prompt.

    Args:
        settings: 0 leaves a part open.
        state: the engine's; it may have come down to a small context for want of memory.
    """
    completion, context = settings.completion, settings.context
    chosen = GPU_BUDGET if _on_gpu(state) else CPU_BUDGET
    n_prefix = completion.n_prefix_tokens or chosen.n_prefix_tokens
    n_suffix = completion.n_suffix_tokens or chosen.n_suffix_tokens
    n_context = (context.n_tokens or chosen.n_context_tokens) if context.enabled else 0
    n_ctx = state.n_ctx if state else 0
    n_room = max(n_ctx - sampling(completion, state).max_tokens, 0) * _ROOM_SHARE
    share = min(1.0, n_room / max(n_prefix + n_suffix, 1)) if n_ctx else 1.0
    n_prefix, n_suffix = int(n_prefix * share), int(n_suffix * share)
    # Other files get what the open one leaves.
    n_left = max(0, int(n_room) - n_prefix - n_suffix) if n_ctx else n_context
    return Budget(
        n_prefix_tokens=n_prefix,
        n_suffix_tokens=n_suffix,
        n_context_tokens=min(n_context, n_left),
    )


def allowance(
    settings: Settings, state: StateChange | None, tokens_per_s: float, *, resting: bool
) -> Allowance:
    """How much of other files may come new into a prompt.

    Args:
        settings: 0 leaves it to the speed of the machine.
        state: the engine's.
        tokens_per_s: at which prompts are evaluated; 0 while it is not known.
        resting: whether it is evaluated in a pause of the user's: then one snippet may come in any
            case.
    """
    speed = tokens_per_s or (_GPU_TOKENS_PER_S if _on_gpu(state) else _CPU_TOKENS_PER_S)
    n_tokens = settings.context.n_new_tokens or int(_NEWS_S * speed)
    if resting:
        return Allowance(n_tokens=max(n_tokens, int(_PIECE_S * speed)), n_least=1)
    return Allowance(n_tokens=n_tokens)


def sampling(settings: CompletionSettings, state: StateChange | None) -> SamplingParams:
    """How tokens are picked, and how many at most.

    Args:
        settings: 0 leaves their number open.
        state: the engine's.
    """
    return SamplingParams(
        max_tokens=settings.max_tokens or (GPU_MAX_TOKENS if _on_gpu(state) else CPU_MAX_TOKENS),
        temperature=settings.temperature,
        temperature_floor=settings.temperature_floor,
        temperature_decay=settings.temperature_decay,
        top_p=settings.top_p,
        repeat_penalty=settings.repeat_penalty,
        seed=settings.seed,
    )


def heal_bytes(settings: CompletionSettings, prompt: Prompt) -> int:
    """Size of what is generated anew of the text at the cursor; 0 for none."""
    return prompt.heal_bytes if settings.healing else 0


def prefetches(settings: CompletionSettings, state: StateChange | None) -> bool:
    """Whether the suggestion behind the one that is shown is written ahead."""
    return settings.prefetch == "on" or (settings.prefetch == "auto" and _on_gpu(state))


def shaper(settings: CompletionSettings, context: FileContext) -> Shaper:
    """What decides how much of the model's text is shown at a place."""
    return Shaper(
        context.scope,
        prefix=context.prefix_text,
        suffix=context.suffix_text,
        max_lines=settings.max_lines,
        multi_line=settings.multi_line,
    )


def _on_gpu(state: StateChange | None) -> bool:
    return bool(state and state.on_gpu)
