"""Which token comes next: llama.cpp's own sampler chain."""

from __future__ import annotations

from typing import Any

import llama_cpp

from lsp_server.types import SamplingParams


class Sampler:
    """Picks tokens by llama.cpp's own sampler chain; ``close`` frees it.

    The infill rule ends the text when the end-of-generation tokens together are likelier than
    the text tokens at hand; small models seldom put one of them on top by themselves.

    Args:
        context: of the model.
        vocab: of the model.
        params: how tokens are picked.
    """

    def __init__(self, context: Any, vocab: Any, params: SamplingParams) -> None:
        self._context = context
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        add = llama_cpp.llama_sampler_chain_add
        if params.repeat_penalty != 1.0:
            add(chain, llama_cpp.llama_sampler_init_penalties(64, params.repeat_penalty, 0.0, 0.0))
        add(chain, llama_cpp.llama_sampler_init_top_k(40))
        add(chain, llama_cpp.llama_sampler_init_top_p(params.top_p, 1))
        add(chain, llama_cpp.llama_sampler_init_infill(vocab))
        if params.temperature > 0:
            add(chain, llama_cpp.llama_sampler_init_temp(params.temperature))
            add(chain, llama_cpp.llama_sampler_init_dist(params.seed))
        else:
            add(chain, llama_cpp.llama_sampler_init_greedy())
        self._chain = chain

    def pick(self, index: int) -> int:
        """The token behind the batch's entry ``index``."""
        return int(llama_cpp.llama_sampler_sample(self._chain, self._context, index))

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None
