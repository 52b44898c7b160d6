"""What the user's own decisions change in P(accept), kept in ``score.json`` of the state folder.

With a few hundred decisions the shipped model's log-odds are scaled and shifted. With more every
weight moves as far as the decisions carry it away from the shipped one. Both are one fit, in
which the shipped model is what is thought beforehand.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from lsp_server import paths
from lsp_server.score.features import VERSION
from lsp_server.score.fit import Prior, logistic
from lsp_server.score.model import ScoreModel, encode, sigmoid

FILE = "score.json"
N_LEAST, N_WHOLE, N_NEW, N_MOST = 300, 1000, 50, 3000
_FORMAT = 1
_MAX_FILE_BYTES = 1 << 20
# How far it is thought to lie from the shipped model: standard deviations.
_SLOPE_SD, _SHIFT_SD, _WEIGHT_SD = 0.5, 1.0, 0.15

log = logging.getLogger("midfill.score")


class Decision(NamedTuple):
    """A suggestion that was shown, and what became of it.

    Args:
        features: of it, shape (n_features,).
        accepted: whether it was taken.
    """

    features: tuple[float, ...]
    accepted: bool


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """The change.

    Args:
        format: of the file.
        features: version of the features.
        base: fingerprint of the shipped model that it changes.
        n: decisions it was fitted to.
        n_decisions: decisions in the log at that time; those beyond ``n`` were too old.
        ts: when, in seconds since 1970.
        slope: of the shipped model's log-odds.
        shift: added to them.
        weights: added for features as the shipped model standardises them; empty for none.
    """

    format: int = _FORMAT
    features: int = VERSION
    base: str
    n: int
    n_decisions: int = 0
    ts: float
    slope: float
    shift: float
    weights: tuple[float, ...] = ()

    def probability(self, model: ScoreModel, values: Sequence[float]) -> float:
        """P(accept) of a suggestion.

        Args:
            model: the shipped one.
            values: features, shape (n_features,).
        """
        logit = self.slope * model.logit(values) + self.shift
        if self.weights:
            pairs = zip(self.weights, model.standard(values), strict=True)
            logit += sum(weight * value for weight, value in pairs)
        return sigmoid(logit)

    @property
    def is_sound(self) -> bool:
        """Whether it can be used."""
        numbers = (self.slope, self.shift, *self.weights)
        return all(map(math.isfinite, numbers)) and self.slope > 0


def fit(model: ScoreModel, decisions: Sequence[Decision], *, n_decisions: int = 0) -> Own | None:
    """Learn from the user's decisions.

    Args:
        model: the shipped one.
        decisions: the newest last; more than ``N_MOST`` are too old.
        n_decisions: how many there were in all.

    Returns:
        None where they are too few, or all alike.
    """
    recent = list(decisions)[-N_MOST:]
    outcomes = [decision.accepted for decision in recent]
    if len(recent) < N_LEAST or all(outcomes) or not any(outcomes):
        return None
    columns: list[Sequence[float]] = [
        [model.logit(decision.features) for decision in recent],
        [1.0] * len(recent),
    ]
    priors = [Prior(1.0, _SLOPE_SD**-2), Prior(0.0, _SHIFT_SD**-2)]
    if len(recent) >= N_WHOLE:
        rows = [model.standard(decision.features) for decision in recent]
        columns += list(zip(*rows, strict=True))
        priors += [Prior(0.0, _WEIGHT_SD**-2)] * len(model.names)
    slope, shift, *weights = logistic(columns, outcomes, priors)
    own = Own(
        base=fingerprint(model),
        n=len(recent),
        n_decisions=n_decisions or len(decisions),
        ts=time.time(),
        slope=slope,
        shift=shift,
        weights=tuple(weights),
    )
    return own if own.is_sound else None


def fingerprint(model: ScoreModel) -> str:
    """Names a shipped model: what was learned for one says nothing of another."""
    return hashlib.sha256(encode(model)).hexdigest()[:16]


def load(model: ScoreModel, folder: Path | None = None) -> Own | None:
    """What was learned, or None. A damaged file is set aside; one of another version is left.

    Args:
        model: the shipped one.
        folder: where the file lies; by default the state folder.
    """
    path = _path(folder)
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ValueError("it is too large")
        own = msgspec.json.decode(path.read_bytes(), type=Own)
        if not own.is_sound:
            raise ValueError("it holds numbers that make no sense")
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error.strerror)
        return None
    except ValueError as error:  # of msgspec's errors, too
        log.warning("%s is damaged and set aside: %s", path, error)
        with contextlib.suppress(OSError):
            os.replace(path, path.with_name(f"{FILE}.damaged"))
        return None
    known = own.format == _FORMAT and own.features == VERSION
    fits = known and own.base == fingerprint(model)
    return own if fits and len(own.weights) in (0, len(model.names)) else None


def save(own: Own, folder: Path | None = None) -> None:
    """Write what was learned; a process that dies meanwhile leaves the old file.

    Raises:
        OSError: it cannot be written.
    """
    path = _path(folder)
    paths.private_dir(path.parent)
    handle, draft = tempfile.mkstemp(prefix=f".{FILE}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(own))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def reset(folder: Path | None = None) -> bool:
    """Forget what was learned; whether there was something.

    Raises:
        OSError: it cannot be deleted.
    """
    path = _path(folder)
    path.with_name(f"{FILE}.damaged").unlink(missing_ok=True)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _path(folder: Path | None) -> Path:
    return (folder or paths.state_dir()).absolute() / FILE
