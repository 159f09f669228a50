"""Text from a checkpoint."""

import pytest
import torch

from data import synthetic
from milestones import sample
from milestones.harness import UsageError


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
