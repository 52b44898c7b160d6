"""Which token comes next: llama.cpp's own sampler chain."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import llama_cpp
import numpy as np

from lsp_server.engine.llama.healing import NO_IDS, Ids
from lsp_server.types import SamplingParams

# The likeliest so many are looked at: sorting the whole vocabulary for top-p costs a millisecond.
_TOP_K = 40
_N_PENALIZED = 64
# Tokens so far below the likeliest one never come into the choice (e⁻¹⁶ is 10⁻⁷ of its probability,
# at a temperature of 1; a penalty may take the likeliest ones down to them). Left out before the
# chain, they cost nothing there: a list of the whole vocabulary takes it half a millisecond.
_REACH = 16.0

Logits = np.ndarray[tuple[int], np.dtype[np.float32]]
# Tokens that are expected for another reason than the model's, each with its share.
Expected = Mapping[int, float]
NOTHING: Expected = {}
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Picked(NamedTuple):
    """A token that was picked.

    Args:
        token: its id.
        logprob: natural log of its probability before any sampler. Tokens far below the likeliest
            one are left out of the sum, which changes it by less than 0.02, mostly by far less.
        margin: its logit less that of the likeliest other token; below 0 where it is not the
            likeliest itself.
        entropy: of the distribution it was picked from, in nats.
    """

    token: int
    logprob: float
    margin: float = 0.0
    entropy: float = 0.0


def picked(token: int, logit: float, near: Logits) -> Picked:
    """A token and how sure it was.

    Args:
        token: its id.
        logit: of it.
        near: logits of the likeliest tokens, it among them, shape (n,); n is at least 1.
    """
    top = float(near.max())
    below = near - top
    weights = np.exp(below)
    total = float(weights.sum())
    log_total = math.log(total)
    # The likeliest other one: the best, or the second where the token itself is the best.
    best = np.partition(near, -2)[-2:] if len(near) > 1 else (near[0] - _REACH, near[0])
    other = float(best[0]) if logit >= top else top
    entropy = log_total - float(weights @ below) / total
    return Picked(token, logit - top - log_total, logit - other, entropy)


def mixed(logits: Logits, expected: Expected) -> Logits:
    """Logits of a mixture of the model and something else that expects certain tokens.

    Args:
        logits: the model's, shape (n,); not changed.
        expected: by place in ``logits``, the token's share in the mixture; together less than 1.
            What they leave is the model's.

    Returns:
        Shape (n,); with the same sum of exponentials, nearly.
    """
    if not expected:
        return logits
    top = float(logits.max())
    log_total = top + math.log(float(np.exp(logits[logits > top - _REACH] - top).sum()))
    left = 1.0 - sum(expected.values())
    ids = np.fromiter(expected, dtype=np.int64, count=len(expected))
    shares = np.fromiter(expected.values(), dtype=np.float64, count=len(expected))
    found = logits + np.float32(math.log(left))
    found[ids] = np.log(left * np.exp(logits[ids] - log_total) + shares) + log_total
    return found


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
        vocab: of the model; without one the infill rule is left out.
        params: how tokens are picked.
    """

    def __init__(self, vocab: Any, params: SamplingParams) -> None:
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

    def pick(self, logits: Logits, banned: Ids = NO_IDS) -> Picked:
        """The next token, of which the chain takes note.

        Args:
            logits: of the vocabulary, shape (n_vocab,).
            banned: ids that are not to be picked, shape (n,). How sure the picked one is is told
                beside them all the same.
        """
        self._cool_down()
        self._n_picked += 1
        ids = self._near(logits)
        near = logits[ids]
        if len(banned):
            logits = logits.copy()
            logits[banned] = -np.inf
            ids = self._near(logits)
        token = self._apply(ids, logits[ids])
        llama_cpp.llama_sampler_accept(self._chain, token)
        return picked(token, float(logits[token]), near)

    def _near(self, logits: Logits) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Ids of the tokens that may be chosen."""
        reach = _REACH * max(1.0, self._temperature) * self._params.repeat_penalty
        return np.flatnonzero(logits > float(logits.max()) - reach)

    def _apply(self, ids: np.ndarray[Any, np.dtype[np.int64]], logits: Logits) -> int:
        """What the chain chooses among some tokens."""
        candidates = np.zeros(len(ids), dtype=_CANDIDATE)
        candidates["id"] = ids
        candidates["logit"] = logits
        data = candidates.ctypes.data_as(llama_cpp.llama_token_data_p)
        chosen = llama_cpp.llama_token_data_array(data, len(ids), -1, False)
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(chosen))
        return int(chosen.data[chosen.selected].id)

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
