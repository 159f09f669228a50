"""Token shards in the layout of llm.c and of the FineWeb files that the records were trained on.

A shard is a header of 256 little-endian int32 (magic, version, number of tokens, zeros) followed
by that many little-endian uint16 tokens and nothing else.
"""

import os
import uuid
from pathlib import Path

import numpy as np

MAGIC = 20240520
VERSION = 1
HEADER_INTS = 256
HEADER_BYTES = 4 * HEADER_INTS
TOKEN = np.dtype("<u2")
MAX_TOKEN = 2**16 - 1
MAX_TOKENS = 2**31 - 1  # the count is an int32

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "data" / "corpus"  # the embedded corpus, written by data/synthetic.py
FINEWEB = ROOT / "data" / "fineweb10B"
AGAIN = "download or generate it again"
FETCH = "python -m data.fineweb"  # the command that downloads FineWeb


class ShardError(ValueError):
    """A shard that cannot be used: one line that names the file and the cure."""


def read_shard(path: str | os.PathLike) -> np.ndarray:
    """Map a shard's tokens into memory, read-only, without reading them yet.

    Returns a np.memmap of shape (tokens,), dtype uint16.
    Raises ShardError if the file is missing, is not a token shard, or is cut short or too long.
    """
    path = Path(path)
    if not path.is_file():
        raise ShardError(f"{path}: no such file: download or generate it first")
    size = path.stat().st_size
    if size < HEADER_BYTES:
        raise ShardError(
            f"{path}: {size} bytes, shorter than the {HEADER_BYTES}-byte header: {AGAIN}"
        )
    magic, version, count = np.fromfile(path, dtype="<i4", count=3).tolist()
    if magic != MAGIC:
        raise ShardError(f"{path}: wrong magic {magic} (want {MAGIC}): not a token shard; {AGAIN}")
    if version != VERSION:
        raise ShardError(f"{path}: wrong version {version} (want {VERSION}): {AGAIN}")
    if count < 1:
        raise ShardError(f"{path}: the header promises {count} tokens: {AGAIN}")
    surplus = size - HEADER_BYTES - TOKEN.itemsize * count
    if surplus:
        fault = f"{surplus} bytes too long" if surplus > 0 else f"truncated, {-surplus} bytes short"
        raise ShardError(f"{path}: {fault} for the {count} tokens in its header: {AGAIN}")
    return np.memmap(path, dtype=TOKEN, mode="r", offset=HEADER_BYTES, shape=(count,))


def write_shard(path: str | os.PathLike, tokens) -> None:
    """Write tokens as a shard, whole or not at all; missing folders are created.

    tokens: array of shape (tokens,), any integer dtype, 1 to 2**31 - 1 ids in [0, 65535].
    Raises ShardError if they are anything else; an older file at path then stays as it was.
    """
    path, tokens = Path(path), np.asarray(tokens)
    if tokens.ndim != 1 or not 1 <= tokens.size <= MAX_TOKENS:
        raise ShardError(
            f"{path}: cannot hold an array of shape {tokens.shape}: "
            f"pass one dimension of 1 to {MAX_TOKENS} tokens"
        )
    if tokens.dtype.kind not in "iu":
        raise ShardError(f"{path}: tokens are {tokens.dtype}: pass an integer array")
    low, high = tokens.min(), tokens.max()
    if low < 0 or high > MAX_TOKEN:
        raise ShardError(
            f"{path}: token id {low if low < 0 else high} does not fit into uint16: "
            f"use a vocabulary of at most {MAX_TOKEN + 1} ids"
        )
    write_atomically(path, shard_header(tokens.size), tokens.astype(TOKEN))


def shard_header(num_tokens: int) -> np.ndarray:
    """The first HEADER_BYTES of a shard, as (HEADER_INTS,) int32."""
    header = np.zeros(HEADER_INTS, dtype="<i4")
    header[:3] = MAGIC, VERSION, num_tokens
    return header


def write_atomically(path: Path, *parts: np.ndarray | bytes) -> None:
    """Write the parts one after another into path, which appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic only within one file system; under a name of
    # its own, because two processes may write the same shard at once.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            for part in parts:
                file.write(part)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def find_shards(pattern: str) -> list[Path]:
    """Files that match a pattern such as "data/fineweb10B/fineweb_train_*.bin", sorted by name.

    A relative pattern is looked up in the current directory, then in the repository root.
    Wildcards belong in the file's name, not in its folder. The embedded corpus is generated on
    first use. Raises ShardError, saying how to get them, if there are no such files.
    """
    places = list(dict.fromkeys([Path.cwd(), ROOT]))
    folders = [(place / pattern).parent.resolve() for place in places]
    if CORPUS.resolve() in folders:
        from data.synthetic import generate  # here, because that module imports this one

        generate()
    name = Path(pattern).name
    for folder in folders if name else []:
        if shards := sorted(path for path in folder.glob(name) if path.is_file()):
            return shards
    if CORPUS.resolve() in folders:
        cure = "the embedded corpus has corpus_train_*.bin and corpus_val_*.bin"
    elif FINEWEB.resolve() in folders:
        cure = f"download the FineWeb shards into data/fineweb10B first: {FETCH}"
    else:
        cure = "correct the pattern, or put the shards there"
    looked = " and ".join(dict.fromkeys(str(folder) for folder in folders))
    raise ShardError(f"{pattern}: no such shards in {looked}: {cure}")
