"""Your own text as token shards, for every milestone's script.

    python -m data.tokenize_text notes/*.md --out data/notes
    python -m data.tokenize_text posts.jsonl --field body --out data/posts --val-tokens 1_000_000

A .txt or .md file is a document; so is a line of a .jsonl file and a row of a .parquet file, with
the text in --field.  A document becomes <|endoftext|>, 50256, and its text in GPT-2's encoding.
Documents follow each other in the order given and are cut into shards wherever the count falls:
first the validation shard, then training shards, as with FineWeb.  An "<|endoftext|>" within a text
is text like any other.

Texts are encoded a piece at a time, so that memory does not grow with them.  A piece ends between a
visible character and a space or newline.  The encoding splits there anyway, before it merges any
bytes, and never looks back, so the tokens are those of the uncut text.  Only where 262,144
characters hold no such place is a text cut regardless, and tokens next to that cut may differ.
"""

import io
import itertools
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro
from tqdm import tqdm

from data.shards import HEADER_BYTES, MAX_TOKENS, TOKEN, read_shard, shard_header
from milestones.harness.errors import UsageError

PIECE = 2**18  # characters encoded at once
BATCH = 2**22  # characters given to the encoding's threads at once
WORD_END = re.compile(r".*\S(?=[ \n])", re.DOTALL)  # as much as possible up to the end of a word


@dataclass(frozen=True)
class Settings:
    files: tyro.conf.Positional[tuple[Path, ...]]  # .txt, .md, .jsonl or .parquet, in UTF-8
    out: Path  # folder for the shards
    name: str = ""  # they are called <name>_train_000001.bin; default: the folder's name
    field: str = "text"  # of .jsonl and .parquet
    val_tokens: int = 100_000  # in the validation shard, taken from the beginning
    shard_tokens: int = 100_000_000  # in each training shard but the last
    overwrite: bool = False  # replace shards of that name

    def check(self) -> None:
        """Raise UsageError if this cannot be carried out."""
        if not self.files:
            raise UsageError("no files: pass some, .txt, .md, .jsonl or .parquet")
        for path in self.files:
            check_file(path, self.field)
        for flag in ("val_tokens", "shard_tokens"):
            if not 1 <= getattr(self, flag) <= MAX_TOKENS:
                raise UsageError(f"--{flag.replace('_', '-')}: from 1 to {MAX_TOKENS:,} tokens")
        there = next(p for p in (self.out, *self.out.absolute().parents) if p.exists())
        if not there.is_dir():
            raise UsageError(f"--out {self.out}: {there} is a file: choose another name")
        if not os.access(there, os.W_OK):
            raise UsageError(f"--out {self.out}: {there} cannot be written to: choose another")
        if not re.fullmatch(r"\w[\w.-]*", self.shard_name):
            raise UsageError(f"--name {self.shard_name!r}: letters, digits, _ . - only")
        if (old := old_shards(self.out, self.shard_name)) and not self.overwrite:
            raise UsageError(f"{old[0]} is there: pass --overwrite, or another --out or --name")

    @property
    def shard_name(self) -> str:
        return self.name or self.out.resolve().name


class Piece(NamedTuple):
    """A part of a document."""

    text: str
    begins: bool  # the document: <|endoftext|> goes before it
    bytes_read: int  # of its file so far


# --------------------------------------------------------------------------------- reading text


def check_file(path: Path, field: str) -> None:
    """Raise UsageError if this is no file to read, as far as a glance shows."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder: pass the files in it")
    if not path.is_file():
        raise UsageError(f"{path}: no such file: correct the name")
    if path.suffix.lower() not in READERS:
        raise UsageError(f"{path}: one of {', '.join(READERS)} is needed: convert it first")
    if path.stat().st_size == 0:
        raise UsageError(f"{path}: no text in it: leave it out")
    if path.suffix.lower() == ".parquet":
        try:
            columns = pq.read_schema(path).names
        except pa.ArrowException as error:
            raise UsageError(f"{path}: not a parquet file: {first_line(error)}") from error
        if field not in columns:
            raise UsageError(f"{path}: no column {field!r}: pass --field: {', '.join(columns)}")


def read_text(path: Path, field: str) -> Iterator[Piece]:
    """The file as one document, but for a byte order mark; line ends stay as they are."""
    with path.open("rb") as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            for number, piece in enumerate(cut(iter(lambda: text.read(PIECE), ""))):
                yield Piece(piece, number == 0, file.tell())
        except UnicodeDecodeError:
            raise UsageError(f"{path}:{undecodable_line(path)}: not UTF-8: convert it") from None


def undecodable_line(path: Path) -> int:
    """Number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    raise AssertionError(f"{path} is UTF-8")


def read_jsonl(path: Path, field: str) -> Iterator[Piece]:
    """A document a line, {"text": "..."}, held in memory whole; blank lines do not count."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.isspace():
                continue
            try:
                entry = json.loads(line)
            except ValueError as error:
                reason = getattr(error, "msg", "not UTF-8")
                raise UsageError(f"{path}:{number}: no JSON object: {reason}") from error
            if not isinstance(entry, dict) or field not in entry:
                raise UsageError(f"{path}:{number}: no field {field!r}: pass --field, or mend it")
            yield from text_pieces(entry[field], f"{path}:{number}", file.tell())


def read_parquet(path: Path, field: str) -> Iterator[Piece]:
    """A document a row."""
    number, size = 0, path.stat().st_size
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=64, columns=[field]):
                for value in batch.column(0):
                    number += 1
                    bytes_read = size * number // table.metadata.num_rows
                    yield from text_pieces(value.as_py(), f"{path}: row {number}", bytes_read)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: row {number} or after: {first_line(error)}") from error


READERS = {".txt": read_text, ".md": read_text, ".jsonl": read_jsonl, ".parquet": read_parquet}


def text_pieces(text: object, where: str, bytes_read: int) -> Iterator[Piece]:
    """A field's value as a document."""
    if not isinstance(text, str) or not text:
        what = f"{type(text).__name__} and not text" if text != "" else "empty"
        raise UsageError(f"{where}: {what}: mend it, or leave it out")
    slices = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
    for number, piece in enumerate(cut(slices)):
        yield Piece(piece, number == 0, bytes_read)


def cut(chunks: Iterable[str]) -> Iterator[str]:
    """The same text in pieces of about PIECE characters whose tokens are those of the whole.

    GPT-2's pattern divides a text into words before bytes are merged.  A word may begin with blanks
    but not go on to one from anything else; the pattern looks ahead only from blanks, with which no
    piece ends, and never back.
    """
    rest = ""
    for chunk in chunks:
        rest += chunk
        if len(rest) >= PIECE:
            place = WORD_END.match(rest)
            end = place.end() if place else len(rest)
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


# ------------------------------------------------------------------------------- writing tokens


def gpt2_encoding():
    """GPT-2's tiktoken.Encoding.  UsageError if its vocabulary is neither here nor to be had."""
    import tiktoken

    try:
        return tiktoken.get_encoding("gpt2")
    except (OSError, ValueError) as error:  # of the network, or of a damaged file
        raise UsageError(
            f"cannot load GPT-2's encoding ({type(error).__name__}): go online once, or set "
            "TIKTOKEN_CACHE_DIR to a folder where tiktoken has kept it"
        ) from error


def batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """The pieces, so many at a time that all threads have work and memory stays small."""
    batch, weight = [], 0
    for piece in pieces:
        batch.append(piece)
        weight += len(piece.text) + 64  # what a piece takes besides
        if weight >= BATCH:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def encode(batch: list[Piece], encoding) -> np.ndarray:
    """Tokens of the pieces, (n,) uint16; <|endoftext|> before those that begin a document."""
    texts = [piece.text for piece in batch]
    encoded = encoding.encode_ordinary_batch(texts, num_threads=os.cpu_count())
    begin = [[encoding.eot_token] if piece.begins else [] for piece in batch]
    parts = itertools.chain.from_iterable(zip(begin, encoded, strict=True))
    return np.fromiter(itertools.chain.from_iterable(parts), TOKEN)


class ShardWriter:
    """Writes tokens as a validation shard and then training shards, a new one when one is full."""

    def __init__(self, folder: Path, name: str, val_tokens: int, shard_tokens: int):
        self.folder, self.name = folder, name
        self.val_tokens, self.shard_tokens = val_tokens, shard_tokens
        self.counts = [0]  # tokens in each shard so far

    def path(self, index: int) -> Path:
        return self.folder / f"{self.name}_{'train' if index else 'val'}_{index:06d}.bin"

    def write(self, tokens: np.ndarray) -> None:
        """Append (n,) uint16."""
        while len(tokens):
            index = len(self.counts) - 1
            room = (self.shard_tokens if index else self.val_tokens) - self.counts[index]
            if room == 0:
                self.counts.append(0)
                continue
            with self.path(index).open("ab") as file:
                if self.counts[index] == 0:
                    file.write(bytes(HEADER_BYTES))
                file.write(tokens[:room])
            self.counts[index] += len(tokens[:room])
            tokens = tokens[room:]

    def write_headers(self) -> None:
        """Complete the shards, now that it is known how many tokens each of them holds."""
        for index, count in enumerate(self.counts):
            with self.path(index).open("r+b") as file:
                file.write(shard_header(count))


@contextmanager
def staging(out: Path, name: str) -> Iterator[Path]:
    """A place in `out` for unfinished shards; a killed run's remains are removed."""
    new, incoming = not out.exists(), out / f".{name}.incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        yield incoming
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
        if new and not any(out.iterdir()):
            out.rmdir()


def old_shards(out: Path, name: str) -> list[Path]:
    """Shards of that name, the validation shard last."""
    number = "[0-9]" * 6
    train, val = out.glob(f"{name}_train_{number}.bin"), out.glob(f"{name}_val_{number}.bin")
    return [*sorted(train), *sorted(val)]


def publish(incoming: Path, name: str) -> None:
    """Replace the shards in the folder above.  The validation shard goes first and comes last.

    No script trains without one, so none ever trains on half of the shards.
    """
    for path in reversed(old_shards(incoming.parent, name)):
        path.unlink()
    for path in old_shards(incoming, name):
        path.rename(incoming.parent / path.name)


# ---------------------------------------------------------------------------------- command line


def tokenize(settings: Settings, encoding) -> str:
    """Write the shards of a request that has been checked; return what there is to say of them.

    encoding: has eot_token and encode_ordinary_batch(texts, num_threads) of a tiktoken.Encoding.
    Raises UsageError, and writes nothing, if a text is at fault or there are too few.
    """
    out, name, documents, start = settings.out, settings.shard_name, 0, time.perf_counter()
    size = sum(path.stat().st_size for path in settings.files)
    with staging(out, name) as incoming:
        writer = ShardWriter(incoming, name, settings.val_tokens, settings.shard_tokens)
        with tqdm(total=size, unit="B", unit_scale=True) as bar:
            for batch in batches(read_all(settings.files, settings.field)):
                writer.write(encode(batch, encoding))
                documents += sum(piece.begins for piece in batch)
                bar.update(batch[-1].bytes_read - bar.n)
        val, *train = writer.counts
        if not train:
            raise UsageError(
                f"only {val:,} tokens, and all are for validation: "
                f"pass --val-tokens {max(1, val // 10)}, or add text"
            )
        writer.write_headers()
        publish(incoming, name)
    speed = (val + sum(train)) / (time.perf_counter() - start)
    return (
        f"documents: {documents:,}; tokens: {val + sum(train):,}, {speed:,.0f} a second\n"
        f"{out}: 1 validation shard, {val:,} tokens; "
        f"{len(train)} for training, {sum(train):,} tokens\n"
        f"to train on them, small:\n{training_command(out, name)}"
    )


def read_all(files: Iterable[Path], field: str) -> Iterator[Piece]:
    """The pieces of all files; `bytes_read` counts on from file to file."""
    before = 0
    for path in files:
        piece = None
        for piece in READERS[path.suffix.lower()](path, field):
            yield piece._replace(bytes_read=before + piece.bytes_read)
        if piece is None:
            raise UsageError(f"{path}: no text in it: leave it out")
        before += path.stat().st_size


def training_command(out: Path, name: str) -> str:
    """Milestone 01 at a size for a laptop, for 100 steps or as many as there are tokens for.

    On the CPU, because `record` refuses a machine without a GPU unless one insists.
    """
    batch_size, context = 4, 128

    def batches_in(kind: str) -> int:
        counts = [len(read_shard(path)) for path in old_shards(out, name) if kind in path.name]
        return sum((count - 1) // (batch_size * context) for count in counts)

    steps = min(100, batches_in("_train_"))
    return (
        "python -m milestones.milestone01_muon.train_gpt record"
        f" --train-files {shlex.quote(f'{out}/{name}_train_*.bin')}"
        f" --val-files {shlex.quote(f'{out}/{name}_val_*.bin')}"
        " --num-layers 2 --num-heads 2 --model-dim 64"
        f" --batch-size {batch_size} --device-batch-size {batch_size} --sequence-length {context}"
        f" --num-iterations {steps} --warmdown-iters {steps * 3 // 10}"
        f" --val-batches {min(20, batches_in('_val_'))} --compile no --device cpu"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Exit codes: 0 done, 1 the disk, 2 bad request or text, 130 stopped by Ctrl-C."""
    settings = tyro.cli(
        Settings, prog="python -m data.tokenize_text", description=__doc__, args=argv
    )
    try:
        settings.check()
        print(tokenize(settings, gpt2_encoding()))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {error.filename or settings.out}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
