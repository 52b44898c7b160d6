"""Which token comes next: llama.cpp's own sampler chain."""

from __future__ import annotations

from typing import Any

import llama_cpp

from lsp_server.types import SamplingParams

# The likeliest so many are looked at: sorting the whole vocabulary for top-p costs a millisecond.
_TOP_K = 40
_N_PENALIZED = 64


def temperature_at(params: SamplingParams, step: int) -> float:
    """The temperature at which a token is picked; 0 takes the likeliest.

    Args:
        params: how tokens are picked.
        step: number of tokens picked before.
    """
    return max(params.temperature_floor, params.temperature - params.temperature_decay * step)


class Sampler:
    """Picks tokens by llama.cpp's own sampler chain; ``close`` frees it.

    The chain: top-k, repetition penalty, top-p, infill rule, and last either temperature and a
    random choice or the likeliest. The penalty is behind top-k because it is slow on a whole
    vocabulary. The infill rule ends the text when the end-of-generation tokens together are
    likelier than the text tokens at hand; small models seldom put one of them on top by themselves.

    Args:
        context: of the model.
        vocab: of the model; without one the infill rule is left out.
        params: how tokens are picked.
    """

    def __init__(self, context: Any, vocab: Any, params: SamplingParams) -> None:
        self._context = context
        self._params = params
        self._n_picked = 0
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        add = llama_cpp.llama_sampler_chain_add
        add(chain, llama_cpp.llama_sampler_init_top_k(_TOP_K))
        if params.repeat_penalty != 1.0:
            n_vocab = llama_cpp.llama_vocab_n_tokens(vocab) if vocab is not None else 0
            penalties = llama_cpp.llama_sampler_init_penalties
            add(chain, penalties(n_vocab, _N_PENALIZED, params.repeat_penalty, 0.0, 0.0))
        add(chain, llama_cpp.llama_sampler_init_top_p(params.top_p, 1))
        if vocab is not None:
            add(chain, llama_cpp.llama_sampler_init_infill(vocab))
        self._chain = chain
        self._temperature = temperature_at(params, 0)
        if self._temperature > 0:
            add(chain, llama_cpp.llama_sampler_init_temp(self._temperature))
            add(chain, llama_cpp.llama_sampler_init_dist(params.seed))
        else:
            add(chain, llama_cpp.llama_sampler_init_greedy())

    def pick(self, index: int) -> int:
        """The token behind the batch's entry ``index``; the chain takes note of it."""
        self._cool_down()
        self._n_picked += 1
        return int(llama_cpp.llama_sampler_sample(self._chain, self._context, index))

    def accept(self, token: int) -> None:
        """Take note of a token that was not picked here, so that it counts for the penalty."""
        llama_cpp.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None

    def _cool_down(self) -> None:
        """Put the temperature of this step into the chain."""
        temperature = temperature_at(self._params, self._n_picked)
        if temperature == self._temperature:
            return
        self._temperature = temperature
        # The random choice is last, the temperature before it. What is removed is ours.
        choice, old = self._remove_last(), self._remove_last()
        llama_cpp.llama_sampler_free(old)
        add = llama_cpp.llama_sampler_chain_add
        if temperature > 0:
            add(self._chain, llama_cpp.llama_sampler_init_temp(temperature))
            add(self._chain, choice)  # the same one, which goes on with its random numbers
        else:
            llama_cpp.llama_sampler_free(choice)
            add(self._chain, llama_cpp.llama_sampler_init_greedy())

    def _remove_last(self) -> Any:
        last = llama_cpp.llama_sampler_chain_n(self._chain) - 1
        return llama_cpp.llama_sampler_chain_remove(self._chain, last)
