"""Prompts on disk: the format of their files, and a folder that several engines share."""

from __future__ import annotations

import errno
import io
import logging
import os
import random
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from lsp_server.engine.llama import kv_file, kv_store
from lsp_server.engine.llama.kv_file import Damaged, Meta
from lsp_server.engine.llama.kv_store import KvStore
from lsp_server.errors import StoreError

KEY, OTHER_KEY = kv_store.key_of("a", ("1",)), kv_store.key_of("b", ("1",))
PAYLOAD = bytes(range(256)) * 4
N_VOCAB = 1000


def meta(first: int = 0, *, key: str = KEY, n_tokens: int = 20, **fields: Any) -> Meta:
    """Of a prompt; prompts with another first token are other prompts."""
    return Meta(key=key, tokens=[first, *range(1, n_tokens)], **fields)


def open_store(folder: Path, key: str = KEY, max_bytes: int = 10**6) -> KvStore:
    """A store."""
    return KvStore(folder, key, max_bytes, n_vocab=N_VOCAB)


def only_file(folder: Path) -> Path:
    """The one file of a folder."""
    (path,) = folder.iterdir()
    return path


def age(folder: Path, store: KvStore, first: int, seconds: int) -> None:
    """Let a prompt be used last so long ago."""
    path = folder / store.name_of(meta(first).tokens)
    then_ns = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(then_ns, then_ns))


def firsts(store: KvStore) -> list[int]:
    """First tokens of all prompts, the one used last first."""
    return [stored.meta.tokens[0] for stored in store.prompts]


# -- files -------------------------------------------------------------------------------


def encoded(of: Meta, payload: bytes = PAYLOAD) -> bytes:
    """A file."""
    file = io.BytesIO()
    size = kv_file.write(file, of, payload)
    assert size == len(file.getvalue()) == kv_file.size_of(of, len(payload))
    return file.getvalue()


def decoded(data: bytes) -> tuple[Meta, bytes]:
    """What is in a file."""
    found, payload = kv_file.read(io.BufferedReader(io.BytesIO(data)), len(data))
    return found, bytes(payload)


@pytest.mark.parametrize("n_bytes", [0, 1, 1024 * 1024, 3 * 1024 * 1024 + 7])
def test_what_was_written_is_read(n_bytes: int) -> None:
    """Meta data and payload come back, whatever the payload's size."""
    payload = random.Random(n_bytes).randbytes(n_bytes)
    written = meta(n_drifted=3, drifted_from=7)
    data = encoded(written, payload)
    assert decoded(data) == (written, payload)
    assert kv_file.read_meta(io.BufferedReader(io.BytesIO(data)), len(data)) == written


def test_a_file_that_is_cut_off_is_refused() -> None:
    """At whatever byte it ends, and when more stands behind it."""
    data = encoded(meta())
    for length in range(len(data)):
        with pytest.raises(Damaged):
            decoded(data[:length])
    with pytest.raises(Damaged):
        decoded(data + b"\0")


def test_any_wrong_byte_is_found() -> None:
    """In the header, the meta data, the payload or the checksum."""
    data = encoded(meta())
    chance = random.Random(1)
    for at in range(len(data)):
        wrong = bytearray(data)
        wrong[at] ^= 1 << chance.randrange(8)
        with pytest.raises(Damaged):
            decoded(bytes(wrong))


@pytest.mark.parametrize("tokens", [[], [-1], [2**31]])
def test_tokens_that_cannot_be_are_refused(tokens: list[int]) -> None:
    """Even with the right checksums."""
    with pytest.raises(Damaged):
        decoded(encoded(Meta(key=KEY, tokens=tokens)))


# -- the folder --------------------------------------------------------------------------


def test_a_prompt_is_found_by_the_next_engine(tmp_path: Path) -> None:
    """What one store put another one lists and loads; folder and file are private."""
    written = meta(n_drifted=2, drifted_from=5)
    assert open_store(tmp_path / "kv").put(written, PAYLOAD)
    store = open_store(tmp_path / "kv")
    (stored,) = store.prompts
    assert stored.meta == written
    loaded = store.load(stored)
    assert loaded is not None
    assert (loaded[0], bytes(loaded[1])) == (written, PAYLOAD)
    assert not loaded[1].readonly
    assert stat.S_IMODE((tmp_path / "kv").stat().st_mode) == 0o700
    file = only_file(tmp_path / "kv")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size == stored.n_bytes


def test_a_bad_header_is_removed_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file cut off anywhere, or of another format, is not listed and goes, with a line."""
    good = encoded(meta())
    name = open_store(tmp_path).name_of(meta().tokens)
    n_head = good.index(PAYLOAD)
    wrong_version = bytes([*good[:9], good[9] + 1, *good[10:]])
    for data in [*(good[:length] for length in range(n_head)), b"x" * len(good), wrong_version]:
        (tmp_path / name).write_bytes(data)
        caplog.clear()
        assert open_store(tmp_path).prompts == ()
        assert not (tmp_path / name).exists()
        (line,) = caplog.messages
        assert "is removed" in line


def test_a_bad_payload_is_removed_when_it_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is listed, since only headers are read at first, and then it is neither given nor kept."""
    open_store(tmp_path).put(meta(), PAYLOAD)
    data = bytearray(only_file(tmp_path).read_bytes())
    data[data.index(PAYLOAD) + 100] ^= 1
    only_file(tmp_path).write_bytes(data)
    store = open_store(tmp_path)
    (stored,) = store.prompts
    assert store.load(stored) is None
    assert store.prompts == ()
    assert list(tmp_path.iterdir()) == []
    assert "checksum" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        Meta(key=OTHER_KEY, tokens=meta().tokens),
        meta(1),
        Meta(key=KEY, tokens=[N_VOCAB]),
        meta(drifted_from=21),
    ],
)
def test_a_file_under_a_wrong_name_is_removed(tmp_path: Path, wrong: Meta) -> None:
    """One that holds another model's prompt, another prompt, or what no prompt can be."""
    store = open_store(tmp_path)
    tokens = wrong.tokens if wrong.tokens == [N_VOCAB] else meta().tokens
    (tmp_path / store.name_of(tokens)).write_bytes(encoded(wrong))
    store.scan()
    assert store.prompts == ()
    assert list(tmp_path.iterdir()) == []


def test_files_of_other_models_are_left_alone(tmp_path: Path) -> None:
    """Each key lists its own prompts only."""
    first, second = open_store(tmp_path), open_store(tmp_path, OTHER_KEY)
    first.put(meta(1), PAYLOAD)
    second.put(meta(2, key=OTHER_KEY), PAYLOAD)
    (tmp_path / "notes.txt").write_text("the user's")
    assert firsts(open_store(tmp_path)) == [1]
    assert firsts(open_store(tmp_path, OTHER_KEY)) == [2]
    assert len(list(tmp_path.iterdir())) == 3


def test_prompts_unused_for_longest_make_room(tmp_path: Path) -> None:
    """The folder stays within its bound; loading a prompt counts as use."""
    size = kv_file.size_of(meta(), len(PAYLOAD))
    store = open_store(tmp_path, max_bytes=3 * size)
    for first in range(3):
        store.put(meta(first), PAYLOAD)
        age(tmp_path, store, first, 100 - first)
    oldest = store.get(store.name_of(meta(0).tokens))
    assert oldest is not None
    assert store.load(oldest) is not None
    assert firsts(store) == [0, 2, 1]
    store.put(meta(3), PAYLOAD)
    assert firsts(store) == [3, 0, 2]
    assert firsts(open_store(tmp_path, max_bytes=3 * size)) == [3, 0, 2]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * size


def test_the_bound_counts_other_models(tmp_path: Path) -> None:
    """It holds for the folder: another model's older prompts make room too."""
    size = kv_file.size_of(meta(), len(PAYLOAD))
    other = open_store(tmp_path, OTHER_KEY, max_bytes=2 * size)
    other.put(meta(9, key=OTHER_KEY), PAYLOAD)
    path = only_file(tmp_path)
    os.utime(path, ns=(0, 0))
    store = open_store(tmp_path, max_bytes=2 * size)
    store.put(meta(1), PAYLOAD)
    store.put(meta(2), PAYLOAD)
    assert firsts(store) == [2, 1]
    assert not path.exists()
    other.scan()
    assert other.prompts == ()


def test_a_lower_bound_holds_at_once(tmp_path: Path) -> None:
    """An engine that is started with less space removes what is too much."""
    size = kv_file.size_of(meta(), len(PAYLOAD))
    store = open_store(tmp_path)
    for first in range(4):
        store.put(meta(first), PAYLOAD)
        age(tmp_path, store, first, 100 - first)
    assert firsts(open_store(tmp_path, max_bytes=2 * size)) == [3, 2]


def test_a_prompt_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    """And nothing is removed for it."""
    store = open_store(tmp_path, max_bytes=2000)
    assert store.put(meta(1), PAYLOAD)
    assert not store.put(meta(2), PAYLOAD * 2)
    assert firsts(store) == [1]


def test_a_newer_version_replaces_the_older_one(tmp_path: Path) -> None:
    """Only the new file stays, also where both would not fit."""
    size = kv_file.size_of(meta(), len(PAYLOAD))
    store = open_store(tmp_path, max_bytes=2 * size)
    store.put(meta(1), PAYLOAD)
    store.put(meta(2), PAYLOAD)
    store.put(meta(3), PAYLOAD, replaces=store.name_of(meta(2).tokens))
    assert firsts(store) == [3, 1]
    store.put(meta(3, n_drifted=1), PAYLOAD, replaces=store.name_of(meta(3).tokens))
    assert firsts(store) == [3, 1]


def test_a_full_disk_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is left of what could not be written; once there is space again it goes on."""
    store = open_store(tmp_path)
    real = kv_file.write

    def full(file: io.BufferedWriter, of: Meta, payload: bytes) -> int:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kv_file, "write", full)
    assert not store.put(meta(1), PAYLOAD)
    assert not store.put(meta(2), PAYLOAD)
    assert list(tmp_path.iterdir()) == []
    (line,) = caplog.messages
    assert "No space left" in line
    monkeypatch.setattr(kv_file, "write", real)
    assert store.put(meta(1), PAYLOAD)
    assert firsts(store) == [1]


def test_a_folder_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    """The caller learns it at the start."""
    (tmp_path / "kv").write_text("")
    with pytest.raises(StoreError):
        open_store(tmp_path / "kv")


def test_a_state_that_ends_the_process_is_not_tried_again(tmp_path: Path) -> None:
    """The next engine does not find it; one that was read well is there again."""
    store = open_store(tmp_path)
    store.put(meta(1), PAYLOAD)
    (stored,) = store.prompts
    with store.on_trial(stored.name):
        assert open_store(tmp_path).prompts == ()
    assert firsts(open_store(tmp_path)) == [1]
    store.on_trial(stored.name).__enter__()
    assert open_store(tmp_path).prompts == ()


def test_a_file_that_vanished_is_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another engine may have removed it: no error and no message."""
    store = open_store(tmp_path)
    store.put(meta(1), PAYLOAD)
    (stored,) = store.prompts
    only_file(tmp_path).unlink()
    assert store.load(stored) is None
    assert store.prompts == ()
    assert caplog.messages == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """What stands in a prompt's place and is no file of ours is not read."""
    store = open_store(tmp_path / "kv")
    store.put(meta(1), PAYLOAD)
    (stored,) = store.prompts
    path = only_file(tmp_path / "kv")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert store.load(stored) is None
    assert open_store(tmp_path / "kv").prompts == ()


def test_what_a_killed_engine_left_is_swept_up(tmp_path: Path) -> None:
    """Its half-written file goes after a while; one that is being written stays."""
    for name, seconds in (("1-a.tmp", 4000), ("2-b.tmp", 10)):
        path = tmp_path / name
        path.write_bytes(b"x")
        then_ns = path.stat().st_mtime_ns - seconds * 10**9
        os.utime(path, ns=(then_ns, then_ns))
    open_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["2-b.tmp"]


def test_engines_share_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Many write, load and make room at once: every prompt that is given is right."""
    caplog.set_level(logging.WARNING)
    size = kv_file.size_of(meta(), len(PAYLOAD))
    begin = threading.Barrier(4)
    wrong: list[str] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        store = open_store(tmp_path, max_bytes=6 * size)
        begin.wait(60)
        for _ in range(60):
            first = chance.randrange(12)
            store.put(meta(first), bytes([first]) * len(PAYLOAD))
            for stored in store.prompts[:3]:
                loaded = store.load(stored)
                if loaded and bytes(loaded[1]) != bytes([stored.meta.tokens[0]]) * len(PAYLOAD):
                    wrong.append(stored.name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []
    assert caplog.messages == []
    last = open_store(tmp_path, max_bytes=6 * size)
    assert 1 <= len(last.prompts) <= 6
    assert all(path.suffix == ".kv" for path in tmp_path.iterdir())


# -- clearing ----------------------------------------------------------------------------


def test_clear_removes_all_prompts(tmp_path: Path) -> None:
    """Of all models, and what was half written; the folder stays private."""
    folder = tmp_path / "kv"
    open_store(folder).put(meta(1), PAYLOAD)
    open_store(folder, OTHER_KEY).put(meta(2, key=OTHER_KEY), PAYLOAD)
    n_bytes = sum(path.stat().st_size for path in folder.iterdir())
    (folder / "1-a.tmp").write_bytes(b"xy")
    assert kv_store.clear(folder) == (2, n_bytes + 2)
    assert list(folder.iterdir()) == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert kv_store.clear(folder) == (0, 0)


def test_an_engine_that_leaves_late_writes_nothing_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that was open when all was cleared cannot bring anything back."""
    store = open_store(tmp_path / "kv")
    store.put(meta(1), PAYLOAD)
    kv_store.clear(tmp_path / "kv")
    assert not store.put(meta(2), PAYLOAD)
    assert list((tmp_path / "kv").iterdir()) == []
    assert store.prompts == () or store.load(store.prompts[0]) is None
    assert len(caplog.messages) == 1
    assert open_store(tmp_path / "kv").put(meta(3), PAYLOAD)


def test_clear_keeps_the_users_link(tmp_path: Path) -> None:
    """A folder that lies on another disk stays there."""
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "kv").symlink_to(tmp_path / "disk")
    open_store(tmp_path / "kv").put(meta(1), PAYLOAD)
    assert kv_store.clear(tmp_path / "kv")[0] == 1
    assert (tmp_path / "kv").is_symlink()
    assert (tmp_path / "disk").is_dir()


def test_keys_tell_settings_apart() -> None:
    """Another model, or the same with another setting, has another key."""
    keys = {
        kv_store.key_of(sha256, recipe)
        for sha256 in ("a", "b")
        for recipe in (("0.3.36", 1, 1, True), ("0.3.36", 8, 1, True), ("0.3.36", 1, 1, False))
    }
    assert len(keys) == 6
