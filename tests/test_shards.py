"""The shard format: round trip, every kind of damage, atomic writing, and finding files."""

import re

import numpy as np
import pytest

from data import shards, synthetic
from data.shards import HEADER_BYTES, ShardError, find_shards, read_shard, write_shard


@pytest.fixture
def shard(tmp_path):
    """A good shard of 1,000 tokens."""
    path = tmp_path / "good.bin"
    write_shard(path, np.arange(1000))
    return path


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint64])
def test_round_trip(tmp_path, dtype):
    path = tmp_path / "new" / "folder" / "tokens.bin"
    tokens = np.random.default_rng(0).integers(0, min(2**16, np.iinfo(dtype).max), 5000)
    write_shard(path, tokens.astype(dtype))
    read = read_shard(path)
    assert read.dtype == np.uint16 and read.shape == (5000,)
    np.testing.assert_array_equal(read, tokens)
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 1


def test_the_bytes_are_those_of_llm_c(tmp_path):
    write_shard(tmp_path / "tokens.bin", [0, 65535, 258])
    data = (tmp_path / "tokens.bin").read_bytes()
    assert data[:12] == bytes.fromhex("88d83401 01000000 03000000")
    assert data[12:1024] == bytes(1012)
    assert data[1024:] == bytes.fromhex("0000 ffff 0201")


DAMAGES = {
    "magic": (lambda b: b"\x01\0\0\0" + b[4:], "wrong magic 1 (want 20240520): not a token shard"),
    "version": (lambda b: b[:4] + b"\x02" + b[5:], "wrong version 2 (want 1)"),
    "count": (lambda b: b[:8] + b"\xff\xff\xff\xff" + b[12:], "the header promises -1 tokens"),
    "no tokens": (lambda b: b[:8] + bytes(1016), "the header promises 0 tokens"),
    "header": (lambda b: b[:100], "100 bytes, shorter than the 1024-byte header"),
    "empty": (lambda b: b"", "0 bytes, shorter than the 1024-byte header"),
    "truncated": (lambda b: b[:-7], "truncated, 7 bytes short for the 1000 tokens in its header"),
    "too long": (lambda b: b + b"xx", "2 bytes too long for the 1000 tokens in its header"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_with_its_cure(shard, damage):
    spoil, message = DAMAGES[damage]
    shard.write_bytes(spoil(shard.read_bytes()))
    with pytest.raises(ShardError) as error:
        read_shard(shard)
    assert one_line(error).startswith(f"{shard}: {message}")
    assert one_line(error).endswith("download or generate it again")


def test_missing_file(tmp_path):
    with pytest.raises(ShardError, match=r"no such file: download or generate it first$"):
        read_shard(tmp_path / "absent.bin")
    with pytest.raises(ShardError, match="no such file"):
        read_shard(tmp_path)  # a folder


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([3, -1], "token id -1 does not fit into uint16"),
        ([3, 65536], "token id 65536 does not fit into uint16"),
        ([1.0, 2.0], "tokens are float64: pass an integer array"),
        ([True, False], "tokens are bool: pass an integer array"),
        ([], "cannot hold an array of shape (0,)"),
        ([[1, 2]], "cannot hold an array of shape (1, 2)"),
        (np.broadcast_to(np.uint16(1), 2**31), "cannot hold an array of shape (2147483648,)"),
    ],
)
def test_refused_tokens_leave_the_old_file(shard, tokens, message):
    before = shard.read_bytes()
    with pytest.raises(ShardError, match=re.escape(message)) as error:
        write_shard(shard, tokens)
    assert one_line(error).startswith(str(shard))
    assert shard.read_bytes() == before and list(shard.parent.iterdir()) == [shard]


def test_a_write_that_fails_midway_leaves_nothing_behind(shard):
    before = shard.read_bytes()
    for path in (shard, shard.with_name("new.bin")):
        with pytest.raises(TypeError):
            shards.write_atomically(path, b"half", "not bytes")
    assert shard.read_bytes() == before and list(shard.parent.iterdir()) == [shard]


def test_an_interrupted_write_leaves_the_old_file(shard, monkeypatch):
    def interrupt(*_):
        assert len(list(shard.parent.iterdir())) == 2  # the temporary file lies beside it
        raise KeyboardInterrupt

    before = shard.read_bytes()
    monkeypatch.setattr(shards.Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_shard(shard, [1, 2, 3])
    assert shard.read_bytes() == before and list(shard.parent.iterdir()) == [shard]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository root of its own; the current directory is another, empty one."""
    root, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(shards, "ROOT", root)
    monkeypatch.setattr(shards, "CORPUS", root / "data" / "corpus")
    monkeypatch.setattr(shards, "FINEWEB", root / "data" / "fineweb10B")
    return root


def test_shards_are_sorted_and_found_from_anywhere(root):
    folder = root / "data" / "mine"
    for i in (10, 2, 1):
        write_shard(folder / f"mine_train_{i:06d}.bin", [i])
    write_shard(folder / "mine_val_000000.bin", [0])
    want = [folder / f"mine_train_{i:06d}.bin" for i in (1, 2, 10)]
    assert find_shards("data/mine/mine_train_*.bin") == want
    assert find_shards(str(folder / "mine_train_*.bin")) == want
    assert find_shards("../repository/data/mine/mine_train_*.bin") == want


def test_the_current_directory_comes_first(root):
    here = root.parent / "elsewhere" / "data" / "mine" / "a.bin"
    for path in (root / "data" / "mine" / "a.bin", here):
        write_shard(path, [1])
    assert find_shards("data/mine/*.bin") == [here]


@pytest.mark.parametrize(
    ("pattern", "cure"),
    [
        ("data/mine/*.bin", "correct the pattern, or put the shards there"),
        ("", "correct the pattern, or put the shards there"),
        ("data/fineweb10B/fineweb_train_*.bin", "download the FineWeb shards into data/fineweb10B"),
        ("data/corpus/typo_*.bin", "the embedded corpus has corpus_train_*.bin and corpus_val_*"),
    ],
)
def test_nothing_found(root, monkeypatch, pattern, cure):
    monkeypatch.setattr(synthetic, "generate", lambda: None)
    with pytest.raises(ShardError) as error:
        find_shards(pattern)
    message = one_line(error)
    assert message.startswith(f"{pattern}: no such shards in ")
    assert str((root / pattern).parent) in message and cure in message


def test_the_embedded_corpus_is_generated_on_first_use(root, monkeypatch):
    shard = root / "data" / "corpus" / "corpus_val_000000.bin"
    monkeypatch.setattr(synthetic, "generate", lambda: write_shard(shard, [1]))
    assert find_shards("data/corpus/corpus_val_*.bin") == [shard]
    assert shard.stat().st_size == HEADER_BYTES + 2
