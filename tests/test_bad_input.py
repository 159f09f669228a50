"""A request that cannot be carried out ends with code 2 and a short message, before any work."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from data.shards import HEADER_BYTES, ROOT, read_shard, write_shard
from milestones.harness import UsageError
from milestones.harness import cli as harness_cli
from milestones.harness.ranks import Ranks
from tests.conftest import LATEST, hashes


@pytest.fixture(scope="module")
def tokens():
    return np.array(read_shard(ROOT / "data" / "exact" / "exact_train.bin"))


@pytest.fixture
def refused(cli, here):
    """refused(script, *argv): what stderr says; the current directory stays as it was."""

    def run(script, *argv) -> str:
        before = hashes(here), sorted(here.iterdir())
        code, out, err = cli(script, *argv)
        assert code == 2, err
        assert out == "" and "Traceback" not in err
        assert (hashes(here), sorted(here.iterdir())) == before
        return err

    return run


@pytest.fixture
def refused_in_one_line(refused):
    def run(script, *argv) -> str:
        err = refused(script, *argv)
        assert err.startswith("error: ") and err.count("\n") == 1 and len(err) < 500
        return err

    return run


# ------------------------------------------------------------------------------- token shards


def test_missing_shard(script, refused_in_one_line):
    err = refused_in_one_line(script, "exact", "--train-files", "nowhere/train_*.bin")
    assert "nowhere/train_*.bin: no such shards in" in err and "put the shards there" in err


def test_missing_validation_shard(script, refused_in_one_line):
    err = refused_in_one_line(script, "exact", "--val-files", "val.bin")
    assert "val.bin: no such shards in" in err


def test_fineweb_not_downloaded(script, refused_in_one_line, monkeypatch, here):
    monkeypatch.setattr("data.shards.ROOT", here)
    monkeypatch.setattr("data.shards.FINEWEB", here / "data" / "fineweb10B")
    err = refused_in_one_line(script, "record", "--device", "cpu")
    assert "download the FineWeb shards" in err


def test_truncated_shard(script, refused_in_one_line, here, tokens):
    write_shard(here / "cut.bin", tokens)
    os.truncate(here / "cut.bin", HEADER_BYTES + 1000)
    err = refused_in_one_line(script, "exact", "--train-files", "cut.bin")
    assert "cut.bin" in err and "truncated" in err and "download or generate it again" in err


def test_wrong_magic(script, refused_in_one_line, here):
    (here / "text.bin").write_bytes(b"To be, or not to be, that is the question. " * 100)
    err = refused_in_one_line(script, "exact", "--train-files", "text.bin")
    assert "text.bin: wrong magic" in err and "not a token shard" in err


def test_too_few_tokens(script, refused_in_one_line, here, tokens):
    write_shard(here / "few.bin", tokens[: 5 * 384 + 1])
    err = refused_in_one_line(script, "exact", "--train-files", "few.bin")
    assert "few.bin: 5 batches of 384 tokens, the run needs 40" in err and "--allow-repeat" in err


def test_too_few_tokens_repeat_when_allowed(script, cli, here, tokens):
    write_shard(here / "few.bin", tokens[: 25 * 384 + 1])
    flags = ["--train-files", "few.bin", "--allow-repeat", "--folder", "run"]
    code, _, err = cli(script, "exact", *flags)
    warning = "warning: few.bin: 25 batches for 40; the text will REPEAT\n"
    assert (code, err) == (0, warning)
    assert warning in (here / "run" / "log.txt").read_text()


def test_not_even_one_batch_cannot_repeat(script, refused_in_one_line, here, tokens):
    write_shard(here / "few.bin", tokens[:384])  # the last target is missing
    want = "error: few.bin: every shard is shorter than one batch of 384 tokens: pass a smaller "
    for flags in ["--allow-repeat"], [], ["--allow-repeat", "--preflight"]:
        err = refused_in_one_line(script, "exact", "--train-files", "few.bin", *flags)
        assert err.startswith(want)


def test_token_beyond_the_vocabulary(script, refused_in_one_line, here, tokens):
    tokens = tokens.copy()
    tokens[100] = 128
    write_shard(here / "big.bin", tokens)
    err = refused_in_one_line(script, "exact", "--train-files", "big.bin")
    assert err == "error: token 128 in the text, but vocab_size is 128\n"


def test_token_beyond_the_vocabulary_later_in_the_text(script, cli, here, tokens):
    """The shards are not searched beforehand; the run ends when it gets there."""
    tokens = tokens.copy()
    tokens[2 * 384 + 100] = 5000
    write_shard(here / "big.bin", tokens)
    code, _, err = cli(script, "exact", "--train-files", "big.bin")
    assert (code, err) == (2, "error: token 5000 in the text, but vocab_size is 128\n")


# ------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["exat"], ["exat", "exact, tiny, record"]),
        ([], ["exact", "tiny", "record"]),
        (["exact", "--sede", "3"], ["--sede", "--help"]),
        (["exact", "--seed"], ["--seed"]),
        (["exact", "--seed", "one"], ["--seed", "one", "int"]),
        (["exact", "--batch-size", "12.5"], ["--batch-size", "12.5"]),
        (["exact", "--dtype", "float16"], ["--dtype", "float16", "float64"]),
        (["exact", "--compile", "yes"], ["--compile", "aot_eager"]),
    ],
    ids=" ".join,
)
def test_command_line_that_cannot_be_read(script, refused, argv, words):
    err = refused(script, *argv)
    assert all(word in err for word in words), err
    assert len(err.splitlines()) < 20


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--device-batch-size 5", "not a multiple of device_batch_size 5"),
        ("--num-heads 5", "model_dim 32 is not a multiple of 5 heads"),
        ("--num-iterations 3", " 3 num_iterations: pass --warm"),
        ("--seed -1", "seed is -1: it must be 0 or more"),
        ("--seed 99999999999999999999999", "it must be from 0 to 18446744073709551615"),
        ("--beta1 1", "beta1 is 1.0: it must be below 1"),
        ("--beta2 2", "beta2 is 2.0: it must be below 1"),
        ("--threads 0", "--threads 0: at least one"),
        ("--names get_lr", "from what --implementation?"),
        ("--save-every -5", "--save-every -5: 0 or a number of steps"),
    ],
)
def test_impossible_value(script, refused_in_one_line, flags, words):
    assert words in refused_in_one_line(script, "exact", *flags.split())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--batch-size 0", "batch_size must be at least 1"),
        ("--device-batch-size 0", "device_batch_size must be at least 1"),
        ("--sequence-length 0", "sequence_length must be at least 1"),
        ("--num-layers 0", "num_layers must be at least 1"),
        ("--num-heads 0", "num_heads must be at least 1"),
        ("--val-loss-every 0", "val_loss_every must be at least 1"),
        ("--val-batches 0", "val_batches must be at least 1"),
        ("--beta1 nan", "beta1 is nan: it must be a finite number, 0 or more"),
        ("--warmup-iters -1", "warmup_iters is -1"),
    ],
)
def test_numbers_that_are_none(script, refused_in_one_line, flags, words):
    assert words in refused_in_one_line(script, "exact", *flags.split())


def test_batch_does_not_divide_by_the_ranks(script, refused_in_one_line, monkeypatch):
    for preset, world_size in [("exact", 5), ("tiny", 3), ("record", 7)]:
        with pytest.raises(UsageError, match=rf"batch_size \d+ .*divide by {world_size} ranks"):
            script.PRESETS[preset].check(world_size)
    for preset, world_sizes in [("exact", (1, 2, 3, 4)), ("record", (1, 2, 4, 8))]:
        for world_size in world_sizes:
            script.PRESETS[preset].check(world_size)
    five = Ranks(0, 5, torch.device("cpu"))
    monkeypatch.setattr(harness_cli, "start_ranks", lambda device: five)
    err = refused_in_one_line(script, "exact")
    assert err == "error: batch_size 12 does not divide by 5 ranks\n"


def test_no_gpu(script, refused_in_one_line, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    err = refused_in_one_line(script, "tiny", "--device", "cuda")
    assert "finds no GPU" in err and "--device cpu" in err


# ------------------------------------------------------------------------------------ folders


@pytest.mark.parametrize("name", ["nowhere", ".", "milestones"])
def test_no_implementation_there(script, refused_in_one_line, name):
    err = refused_in_one_line(script, "exact", "--implementation", name)
    stem = script.__name__.split(".")[1]
    assert f"--implementation {name}: there is no {stem}.py in" in err


def test_implementation_that_is_a_file(script, refused_in_one_line, here):
    (here / "mine.py").write_text("")
    err = refused_in_one_line(script, "exact", "--implementation", "mine.py")
    assert "--implementation mine.py: there is no" in err


def test_folder_that_holds_a_run(script, refused_in_one_line, here):
    (here / "run").mkdir()
    (here / "run" / "run.json").write_text("{}")
    err = refused_in_one_line(script, "exact", "--folder", "run")
    assert err == "error: run already holds a run: --resume it or choose another\n"


def test_folder_that_is_a_file(script, refused_in_one_line, here):
    (here / "run").write_text("notes")
    err = refused_in_one_line(script, "exact", "--folder", "run")
    assert err == "error: --folder run is a file: choose another name\n"


@pytest.mark.parametrize("script", LATEST, indirect=True)
@pytest.mark.parametrize("flags", [[], ["--preflight"], ["--rehearse"]], ids=" ".join)
def test_folder_that_cannot_be_made(script, refused_in_one_line, here, flags):
    (here / "notes").write_text("mine")
    err = refused_in_one_line(script, "exact", "--folder", "notes/run", *flags)
    assert re.fullmatch(r"error: --folder notes/run cannot be made: \S+/notes is a file: .*\n", err)
    if Path("/proc").is_dir():
        err = refused_in_one_line(script, "exact", "--folder", "/proc/run", *flags)
        assert err.startswith("error: /proc/run: nothing can be written there (")
