"""The texts an engine was told."""

from __future__ import annotations

import threading

from lsp_server.engine.texts import News, Texts


def drained(texts: Texts) -> list[News]:
    """All news."""
    found = []
    while (news := texts.take()) is not None:
        found.append(news)
    return found


def test_news_come_once_in_order() -> None:
    """A text that came, changed and went; what is as it was is no news."""
    texts = Texts(100)
    assert texts.put("w", "a.py", "one")
    assert texts.put("w", "b.py", "two")
    assert drained(texts) == [News("w", "a.py", "one"), News("w", "b.py", "two")]
    assert not texts.put("w", "b.py", "two")
    assert texts.put("w", "a.py", "three")
    assert texts.put("w", "b.py", "")
    assert not texts.put("w", "c.py", "")
    assert drained(texts) == [News("w", "a.py", "three"), News("w", "b.py", "")]
    assert texts.n_chars == 5


def test_of_two_changes_the_last_counts() -> None:
    """Whoever was slow reads a text once."""
    texts = Texts(100)
    texts.put("w", "a.py", "one")
    texts.put("w", "a.py", "two")
    assert drained(texts) == [News("w", "a.py", "two")]


def test_a_corpus_at_a_time() -> None:
    """Somebody who waits for one does not read the others."""
    texts = Texts(100)
    texts.put("v", "a.py", "one")
    texts.put("w", "a.py", "two")
    assert texts.take("w") == News("w", "a.py", "two")
    assert texts.take("w") is None
    assert texts.take() == News("v", "a.py", "one")


def test_the_corpus_unused_for_longest_makes_room() -> None:
    """It goes whole, and that is news; the others stay."""
    texts = Texts(10)
    texts.put("u", "a.py", "1234")
    texts.put("v", "a.py", "5678")
    drained(texts)
    texts.used("u")
    assert texts.put("w", "a.py", "90")
    assert texts.put("w", "b.py", "ab")
    assert drained(texts) == [
        News("w", "a.py", "90"), News("v", "a.py", ""), News("w", "b.py", "ab"),
    ]  # fmt: skip
    assert texts.n_chars == 8


def test_a_corpus_that_is_too_large_takes_no_more() -> None:
    """Its first texts stay; one that does not fit any more is forgotten."""
    texts = Texts(8)
    texts.put("w", "a.py", "1234")
    assert not texts.put("w", "b.py", "567890")
    assert texts.put("w", "b.py", "5678")
    assert texts.put("w", "a.py", "12345")
    assert drained(texts) == [News("w", "a.py", ""), News("w", "b.py", "5678")]
    assert texts.n_chars == 4


def test_a_whole_corpus_is_forgotten() -> None:
    """By an empty path; all its texts are news."""
    texts = Texts(100)
    texts.put("w", "a.py", "one")
    texts.put("w", "b.py", "two")
    drained(texts)
    assert texts.put("w", "", "")
    assert not texts.put("w", "", "")
    assert drained(texts) == [News("w", "a.py", ""), News("w", "b.py", "")]
    assert texts.n_chars == 0


def test_everything_is_told_again_to_whoever_comes_anew() -> None:
    """The corpus that was used last comes first."""
    texts = Texts(100)
    texts.put("v", "a.py", "one")
    texts.put("w", "a.py", "two")
    drained(texts)
    texts.tell_again()
    assert drained(texts) == [News("w", "a.py", "two"), News("v", "a.py", "one")]


def test_threads_lose_nothing() -> None:
    """One puts while another takes: the last state of each text comes out."""
    texts = Texts(1_000_000)
    found: dict[str, str] = {}
    done = threading.Event()

    def take() -> None:
        while True:
            over = done.is_set()
            for news in drained(texts):
                found[news.path] = news.text
            if over:
                return

    taker = threading.Thread(target=take)
    taker.start()
    for number in range(2000):
        texts.put("w", f"{number % 50}.py", str(number))
    done.set()
    taker.join()
    assert found == {f"{number}.py": str(1950 + number) for number in range(50)}
