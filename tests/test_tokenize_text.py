"""Text to shards: what is written, that cutting a text changes no token, and what goes wrong.

A stand-in for GPT-2's encoding divides text by the same pattern but gives each word one id, so that
a cut in a word shows.  The real one is used where tiktoken has it already.
"""

import errno
import json
import os
import random
import re
import shlex
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import regex  # what tiktoken itself depends on
import tiktoken.load
import tiktoken.registry

from data import tokenize_text
from data.shards import read_shard
from tests.conftest import find_script, hashes

EOT = 50256
WORDS = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


class WordEncoding:
    """One id a word of GPT-2's pattern."""

    eot_token = EOT

    def __init__(self):
        self.calls: list[list[str]] = []

    def encode_ordinary(self, text: str) -> list[int]:
        return [zlib.crc32(word.encode()) % EOT for word in WORDS.findall(text)]

    def encode_ordinary_batch(self, texts: list[str], num_threads: int) -> list[list[int]]:
        self.calls.append(texts)
        return [self.encode_ordinary(text) for text in texts]


@pytest.fixture
def words(monkeypatch) -> WordEncoding:
    """The stand-in, at work in data.tokenize_text."""
    encoding = WordEncoding()
    monkeypatch.setattr(tokenize_text, "gpt2_encoding", lambda: encoding)
    return encoding


@pytest.fixture
def gpt2(monkeypatch) -> tiktoken.Encoding:
    """The real one, if tiktoken need not download it."""

    def refuse(path):
        raise OSError("no network in tests")

    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    try:
        return tiktoken.get_encoding("gpt2")
    except OSError:
        pytest.skip("tiktoken has no vocabulary of GPT-2's here, and tests use no network")


@pytest.fixture
def run(here, capfd):
    """run(*argv): exit code, stdout and the lines of stderr but for the progress bar."""

    def run(*argv) -> tuple[int, str, list[str]]:
        code = 0
        try:
            tokenize_text.main([str(word) for word in argv])
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return code, out, [line for line in re.split("[\r\n]+", err) if line and "B/s]" not in line]

    return run


def shards(folder) -> dict[str, list[int]]:
    return {path.name: read_shard(path).tolist() for path in sorted(folder.glob("*.bin"))}


def stream(folder) -> list[int]:
    """All tokens in order: the validation shard, then the others."""
    found = shards(folder)
    val = [name for name in found if "_val_" in name]
    return [token for name in val + sorted(found.keys() - set(val)) for token in found[name]]


def small_pieces(monkeypatch, piece: int = 20, batch: int = 200) -> None:
    monkeypatch.setattr(tokenize_text, "PIECE", piece)
    monkeypatch.setattr(tokenize_text, "BATCH", batch)


def story(seed: int, length: int) -> str:
    """All kinds of words and blanks; after eight of them at most, a place where it may be cut."""
    bits = ["the", "Aé", "中文", "12", "½", "it's", "'ll", "!?", "_", "...", "😀", "\u0301", "\x1c"]
    blanks = [" ", " ", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", ""]
    rng = random.Random(seed)
    parts = [rng.choice(rng.choice([bits, blanks])) for _ in range(length)]
    parts[7::8] = [rng.choice(["a ", "1\n", "! \n", ".\n\n", "é  "]) for _ in parts[7::8]]
    return "".join(parts)


# ------------------------------------------------------------------------------- what is written


def test_documents_shards_and_names(run, here, words, monkeypatch):
    small_pieces(monkeypatch)
    (here / "a.md").write_text("# One\n\nfirst document")
    (here / "b.txt").write_text("second " * 100)
    code, out, err = run(
        "a.md", "b.txt", "--out", "new/mine", "--val-tokens", 20, "--shard-tokens", 30
    )
    assert (code, err) == (0, [])
    texts = [(here / name).read_text() for name in ("a.md", "b.txt")]
    want = [token for text in texts for token in [EOT, *words.encode_ordinary(text)]]
    found = shards(here / "new" / "mine")
    assert stream(here / "new" / "mine") == want
    assert {name: len(tokens) for name, tokens in found.items()} == {
        "mine_train_000001.bin": 30,
        "mine_train_000002.bin": 30,
        "mine_train_000003.bin": len(want) - 80,
        "mine_val_000000.bin": 20,
    }
    assert f"documents: 2; tokens: {len(want)}, " in out
    assert f"1 validation shard, 20 tokens; 3 for training, {len(want) - 20} tokens" in out
    assert sorted(path.name for path in (here / "new" / "mine").iterdir()) == sorted(found)


def test_a_shard_that_is_just_full_has_no_empty_one_after_it(run, here, words):
    (here / "a.txt").write_text(" a" * 49)
    run("a.txt", "--out", "a", "--val-tokens", 10, "--shard-tokens", 20)
    assert [len(tokens) for tokens in shards(here / "a").values()] == [20, 20, 10]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_are_documents(run, here, words, monkeypatch, kind):
    small_pieces(monkeypatch)
    texts = [story(seed, 30) + "." for seed in range(200)]
    if kind == "jsonl":
        lines = [json.dumps({"id": i, "body": text}) for i, text in enumerate(texts)]
        (here / "a.jsonl").write_text("\n\n".join(lines), encoding="utf-8")
    else:
        pq.write_table(pa.table({"id": range(200), "body": texts}), here / "a.parquet")
    code, out, _ = run(f"a.{kind}", "--field", "body", "--out", "a", "--val-tokens", 100)
    assert code == 0 and "documents: 200;" in out
    want = [token for text in texts for token in [EOT, *words.encode_ordinary(text)]]
    assert stream(here / "a") == want


def test_text_is_taken_as_it_is_but_for_a_byte_order_mark(run, here, words):
    text = "\ufeffa\r\nb\rc\n" * 20
    (here / "a.txt").write_bytes(text.encode())
    assert run("a.txt", "--out", "a", "--val-tokens", 5)[0] == 0
    assert stream(here / "a") == [EOT, *words.encode_ordinary(text[1:])]


def test_the_command_at_the_end_trains(run, cli, here, words):
    (here / "a.txt").write_text(story(0, 20_000), encoding="utf-8")
    _, out, _ = run("a.txt", "--out", "with blank", "--name", "a", "--val-tokens", 1500)
    python, m, module, *argv = shlex.split(out.splitlines()[-1])
    assert (python, m, module) == ("python", "-m", "milestones.milestone01_muon.train_gpt")
    steps = argv.index("--num-iterations") + 1
    tokens = len(read_shard(here / "with blank" / "a_train_000001.bin"))
    assert int(argv[steps]) == (tokens - 1) // (4 * 128) < 100
    argv[steps] = argv[argv.index("--warmdown-iters") + 1] = "1"  # enough for a test
    code, out, err = cli(find_script("milestone01_muon"), *argv)  # as printed, here: without a GPU
    assert code == 0, err
    assert "step:1/1 val_loss:" in out


# ------------------------------------------------------------------------------------ the cutting


def encode_each(encoding, texts: list[str]) -> list[int]:
    return [token for text in texts for token in encoding.encode_ordinary(text)]


@pytest.mark.parametrize("seed", range(5))
def test_cutting_changes_no_token(words, monkeypatch, seed):
    rng = random.Random(seed)
    for _ in range(200):
        text, chunk = story(rng.randrange(10**9), 200), rng.randrange(1, 40)
        small_pieces(monkeypatch, piece=rng.randrange(60, 90))
        pieces = list(tokenize_text.cut(text[i : i + chunk] for i in range(0, len(text), chunk)))
        assert "".join(pieces) == text and len(pieces) > 2
        assert encode_each(words, pieces) == words.encode_ordinary(text)


def test_cutting_changes_no_token_of_gpt2s(gpt2, monkeypatch):
    for seed in range(200):
        text = story(seed, 200)
        small_pieces(monkeypatch, piece=60 + seed % 30)
        pieces = list(tokenize_text.cut(text[i : i + 7] for i in range(0, len(text), 7)))
        assert "".join(pieces) == text and len(pieces) > 2
        assert encode_each(gpt2, pieces) == gpt2.encode_ordinary(text)


def test_the_stand_in_divides_text_as_gpt2_does(gpt2):
    """Decoded one word at a time or all at once: the same tokens."""
    for seed in range(100):
        text = story(seed, 100)
        assert encode_each(gpt2, WORDS.findall(text)) == gpt2.encode_ordinary(text)


def test_blanks_to_python_include_those_of_the_pattern():
    """\\S must mean no more to Python than it does to GPT-2's pattern."""
    blanks = regex.findall(r"\s", "".join(map(chr, range(0x110000))))
    assert len(blanks) > 20 and all(map(str.isspace, blanks))


def test_a_text_without_blanks_is_cut_regardless(monkeypatch):
    small_pieces(monkeypatch, piece=100)
    text = "a " + "x" * 5000
    pieces = list(tokenize_text.cut(text[i : i + 100] for i in range(0, len(text), 100)))
    assert "".join(pieces) == text and max(map(len, pieces)) < 200


def test_memory_does_not_grow_with_the_text(run, here, words, monkeypatch):
    """Never more than a batch is handed on, however long a text or how many there are."""
    small_pieces(monkeypatch, piece=1000, batch=10_000)
    (here / "a.txt").write_text("word " * 20_000)
    (here / "b.jsonl").write_text('{"text": "x"}\n' * 1000)
    assert run("a.txt", "b.jsonl", "--out", "a", "--val-tokens", 10)[0] == 0
    sizes = [sum(len(text) + 64 for text in texts) for texts in words.calls]
    assert max(sizes) < 12_000 and len(sizes) > 10


# ------------------------------------------------------------------------------------ the real one


def test_an_end_of_text_in_the_text_is_text(run, here, gpt2, monkeypatch):
    monkeypatch.setattr(tokenize_text, "gpt2_encoding", lambda: gpt2)
    (here / "a.txt").write_text("before <|endoftext|> after " * 20)
    assert run("a.txt", "--out", "a", "--val-tokens", 10)[0] == 0
    tokens = stream(here / "a")
    assert tokens.count(EOT) == 1 and tokens[0] == EOT
    assert gpt2.decode(tokens[1:]) == (here / "a.txt").read_text()


def test_without_the_vocabulary(run, here, monkeypatch):
    def refuse(path):
        raise OSError("no network in tests")

    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(here / "empty"))
    (here / "a.txt").write_text("text")
    code, _, err = run("a.txt", "--out", "a")
    assert code == 2 and len(err) == 1 and not (here / "a").exists()
    assert err[0].startswith(
        "error: cannot load GPT-2's encoding (OSError): go online once, or set"
    )


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, "a.txt: no such file: correct the name"),
        ("a.txt", b"", "a.txt: no text in it: leave it out"),
        ("a.txt", "\ufeff".encode(), "a.txt: no text in it: leave it out"),
        ("a.txt", b"one\ntwo\nthr\xffee\n", "a.txt:3: not UTF-8: convert it"),
        ("a.md", b"one\n" * 100_000 + b"\xe2\x82", "a.md:100001: not UTF-8: convert it"),
        ("a.pdf", b"%PDF", "a.pdf: one of .txt, .md, .jsonl, .parquet is needed"),
        ("a.jsonl", b"\n \n", "a.jsonl: no text in it: leave it out"),
        ("a.jsonl", b'{"text": "a"}\n{"text"', "a.jsonl:2: no JSON object: "),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": "\xff"}', "a.jsonl:3: no JSON object: not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"body": "b"}', "a.jsonl:2: no field 'text': pass --field"),
        ("a.jsonl", b'["text"]', "a.jsonl:1: no field 'text'"),
        ("a.jsonl", b'{"text": 5}', "a.jsonl:1: int and not text: mend it"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ""}', "a.jsonl:2: empty: mend it, or leave it out"),
        ("a.parquet", b"PAR1 or not", "a.parquet: not a parquet file: "),
        ("a.parquet", {"body": ["a"], "n": [1]}, "a.parquet: no column 'text': pass --field: body"),
        ("a.parquet", {"text": ["a"] * 99 + [None]}, "a.parquet: row 100: NoneType and not text"),
        ("a.parquet", {"text": ["a", ""]}, "a.parquet: row 2: empty: mend it, or leave it out"),
        ("a.parquet", {"text": [1, 2]}, "a.parquet: row 1: int and not text"),
    ],
)
def test_bad_text_is_named_and_nothing_is_written(run, here, words, name, content, message):
    (here / "good.txt").write_text("good text " * 1000)
    if isinstance(content, dict):
        pq.write_table(pa.table(content), here / name)
    elif content is not None:
        (here / name).write_bytes(content)
    before = hashes(here)
    code, out, err = run("good.txt", name, "--out", "new", "--val-tokens", 10)
    assert code == 2 and out == "" and len(err) == 1
    assert err[0].startswith(f"error: {message}")
    assert hashes(here) == before and not (here / "new").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no files: pass some, .txt, .md, .jsonl or .parquet"),
        (["."], ". is a folder: pass the files in it"),
        (["a.txt", "--val-tokens", "0"], "--val-tokens: from 1 to 2,147,483,647 tokens"),
        (["a.txt", "--shard-tokens", "3_000_000_000"], "--shard-tokens: from 1 to 2,147,483,647"),
        (["a.txt", "--name", "a/b"], "--name 'a/b': letters, digits, _ . - only"),
        (["a.txt"], "only 3 tokens, and all are for validation: pass --val-tokens 1, or"),
    ],
)
def test_bad_requests(run, here, words, argv, message):
    (here / "a.txt").write_text("two words")
    code, out, err = run(*argv, "--out", "new")
    assert code == 2 and out == "" and len(err) == 1
    assert err[0].startswith(f"error: {message}")
    assert not (here / "new").exists()


@pytest.mark.parametrize("out", ["taken", "taken/x/y"])
def test_out_that_is_a_file(run, here, out, monkeypatch):
    """Before the vocabulary is fetched."""
    monkeypatch.setattr(tokenize_text, "gpt2_encoding", None)
    (here / "a.txt").write_text("two words")
    (here / "taken").write_text("notes")
    code, _, err = run("a.txt", "--out", out)
    assert code == 2 and len(err) == 1
    assert re.fullmatch(rf"error: --out {out}: \S*taken is a file: choose another name", err[0])


# ----------------------------------------------------------------------------- nothing half-written


def test_shards_are_not_overwritten_by_accident(run, here, words):
    (here / "a.txt").write_text(" a" * 100)
    (here / "b.txt").write_text(" b" * 30)
    run("a.txt", "--out", "a", "--val-tokens", 10, "--shard-tokens", 20)
    run("a.txt", "--out", "a", "--name", "a_train_x", "--val-tokens", 10)
    (here / "a" / "notes.md").write_text("mine")
    before = hashes(here)
    code, _, err = run("b.txt", "--out", "a", "--val-tokens", 10)
    assert code == 2 and len(err) == 1 and "is there: pass --overwrite, or another" in err[0]
    assert hashes(here) == before
    argv = ["b.txt", "--out", "a", "--val-tokens", 10, "--overwrite"]
    assert run(*argv)[0] == 0
    assert [path.name for path in sorted((here / "a").iterdir())] == [
        "a_train_000001.bin", "a_train_x_train_000001.bin", "a_train_x_val_000000.bin",
        "a_val_000000.bin", "notes.md",
    ]  # fmt: skip
    assert read_shard(here / "a" / "a_train_000001.bin")[0] == words.encode_ordinary(" b")[0]
    before = hashes(here)
    (here / "c.txt").write_bytes(b" c" * 30 + b"\xff")
    before = hashes(here)
    assert run("b.txt", "c.txt", *argv[1:])[0] == 2
    assert hashes(here) == before  # a run that fails leaves the old shards


def test_a_full_disk(run, here, words, monkeypatch):
    def fail(writer, tokens):
        writer.path(0).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(writer.path(0)))

    monkeypatch.setattr(tokenize_text.ShardWriter, "write", fail)
    (here / "a.txt").write_text("text")
    code, _, err = run("a.txt", "--out", "a")
    assert code == 1 and len(err) == 1 and "No space left on device" in err[0]
    assert not (here / "a").exists()


def test_remains_of_a_killed_run_are_removed(run, here, words):
    (here / "a" / ".a.incoming").mkdir(parents=True)
    (here / "a" / ".a.incoming" / "a_train_000007.bin").write_bytes(b"half")
    (here / "a.txt").write_text(" a" * 100)
    assert run("a.txt", "--out", "a", "--val-tokens", 10)[0] == 0
    assert len(list((here / "a").iterdir())) == 2


def test_there_is_no_validation_shard_before_all_others_are_there(run, here, words, monkeypatch):
    (here / "a.txt").write_text(" a" * 100)
    argv = ["a.txt", "--out", "a", "--val-tokens", 10, "--shard-tokens", 20, "--overwrite"]
    run(*argv)
    seen, rename = [], tokenize_text.Path.rename

    def spy(path, target):
        seen.append(sorted(p.name for p in (here / "a").glob("*_val_*")))
        return rename(path, target)

    monkeypatch.setattr(tokenize_text.Path, "rename", spy)
    assert run(*argv)[0] == 0
    assert seen == [[]] * 6  # five training shards, then the validation shard
    assert len(stream(here / "a")) == np.sum([10, 20, 20, 20, 20, 11])
