"""The texts of the folders that editors work in, as far as the engine was told.

They are kept as they came: a model that is loaded again reads them again, by its own vocabulary.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple


class News(NamedTuple):
    """A text that came, changed or went.

    Args:
        corpus: what it is part of.
        path: its name in there.
        text: "" if it is gone.
    """

    corpus: str
    path: str
    text: str


class Texts:
    """Texts by corpus and path; any thread may use it.

    Args:
        max_chars: characters that are kept at most, all corpora together. The corpus that was
            unused for longest makes room; one that is too large by itself takes no more texts.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._lock = threading.Lock()
        self._corpora: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._n_chars = 0
        self._news: dict[tuple[str, str], None] = {}

    @property
    def n_chars(self) -> int:
        """Characters that are kept."""
        return self._n_chars

    @property
    def n_news(self) -> int:
        """Texts of which nobody has taken the news."""
        return len(self._news)

    def put(self, corpus: str, path: str, text: str) -> bool:
        """Keep a text in place of what had its name; "" forgets it.

        Args:
            corpus: what it is part of.
            path: its name in there; "" forgets the whole corpus.
            text: all of it.

        Returns:
            Whether anything is new.
        """
        with self._lock:
            if not path:
                return self._forget(corpus)
            texts = self._corpora.setdefault(corpus, {})
            self._corpora.move_to_end(corpus)
            before = texts.pop(path, "")
            self._n_chars -= len(before)
            if text and self._make_room(corpus, len(text)):
                texts[path] = text
                self._n_chars += len(text)
            is_new = texts.get(path, "") != before
            if is_new:
                self._news[corpus, path] = None
            return is_new

    def used(self, corpus: str) -> None:
        """Somebody writes with this corpus."""
        with self._lock:
            if corpus in self._corpora:
                self._corpora.move_to_end(corpus)

    def tell_again(self) -> None:
        """Whoever takes news now knows of nothing."""
        with self._lock:
            self._news = {
                (corpus, path): None
                for corpus, texts in reversed(self._corpora.items())
                for path in texts
            }

    def take(self, corpus: str | None = None) -> News | None:
        """The oldest piece of news; None if there is none.

        Args:
            corpus: of this one only; None for any.
        """
        with self._lock:
            for key in self._news:
                if corpus is None or key[0] == corpus:
                    del self._news[key]
                    return News(*key, self._corpora.get(key[0], {}).get(key[1], ""))
            return None

    def _make_room(self, corpus: str, n_chars: int) -> bool:
        while self._n_chars + n_chars > self._max_chars:
            oldest = next(iter(self._corpora))
            if oldest == corpus:
                return False
            self._forget(oldest)
        return True

    def _forget(self, corpus: str) -> bool:
        texts = self._corpora.pop(corpus, {})
        for path, text in texts.items():
            self._n_chars -= len(text)
            self._news[corpus, path] = None
        return bool(texts)
