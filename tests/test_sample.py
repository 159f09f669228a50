"""Text from a checkpoint."""

import sys

import pytest
import torch

from data import synthetic
from milestones import sample
from milestones.harness import UsageError
from tests.conftest import LATEST


def test_text_from_a_run_folder(script, cli, here):
    assert cli(script, "exact", "--folder", "run")[0] == 0
    trained = sample.load_model(here / "run")
    untrained = sample.load_model(here / "run", untrained=True)
    assert not torch.equal(trained.wte.weight, untrained.wte.weight)
    start = [0, 3]
    torch.manual_seed(0)
    tokens = sample.sample(trained, start, 40, 32, temperature=0.8)  # longer than the context
    assert tokens[:2] == start
    assert len(tokens) == 42
    likeliest = sample.sample(trained, start, 5, 32, temperature=0)
    assert likeliest == sample.sample(trained, start, 5, 32, temperature=0)
    low = sample.sample(trained, [0], 40, 32, temperature=1e6, vocab_size=4)  # nearly uniform
    assert set(low) == {0, 1, 2, 3}
    words = sample.InventedWords()
    assert words.encode("BAHINU") == [synthetic.FIRST_TITLE]


def test_refusals(tmp_path):
    with pytest.raises(UsageError, match="no run"):
        sample.load_model(tmp_path)
    with pytest.raises(UsageError, match="'dog' is no word"):
        sample.InventedWords().encode("dog")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--length 0", "--length 0: at least one token is needed"),
        ("--length -3", "--length -3: at least one token is needed"),
        ("--temperature nan", "--temperature nan: a number, 0 or more, is needed"),
        ("--temperature -1", "--temperature -1.0: a number, 0 or more, is needed"),
        ("--seed -1", "--seed -1: it must be from 0 to "),
    ],
)
def test_wishes_that_cannot_be_granted(monkeypatch, flags, message):
    monkeypatch.setattr(sys, "argv", ["sample", "nowhere", *flags.split()])
    with pytest.raises(SystemExit) as end:
        sample.main()
    assert end.value.code.startswith(f"error: {message}")


def test_each_example_has_a_line_of_the_help(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sample", "--help"])
    with pytest.raises(SystemExit):
        sample.main()
    examples = [line for line in capsys.readouterr().out.splitlines() if "python -m" in line]
    assert len(examples) == 3  # usage and two


@pytest.mark.parametrize("script", LATEST, indirect=True)
def test_damaged_files(script, cli, here):
    assert cli(script, "exact", "--folder", "run")[0] == 0
    checkpoint, about = here / "run" / "checkpoint.pt", here / "run" / "run.json"
    whole = checkpoint.read_bytes()
    for content in (b"", b"notes", whole[: len(whole) // 2]):
        checkpoint.write_bytes(content)
        with pytest.raises(UsageError, match=r"run/checkpoint.pt cannot be read \(\w+\): choose"):
            sample.load_model(here / "run")
    torch.save({"a": 1}, checkpoint)
    with pytest.raises(UsageError, match="cannot be read"):
        sample.load_model(here / "run")
    for text in ("", "{", "[]", "{}", '{"milestone": "nowhere"}'):
        about.write_text(text)
        with pytest.raises(UsageError, match=r"run/run.json is damaged \(\w+\): choose"):
            sample.load_model(here / "run")
