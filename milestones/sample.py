"""Let a trained model write: text from a run folder's checkpoint.

    python -m milestones.sample runs/milestone01_muon/20261121-094017-tiny
    python -m milestones.sample RUN --prompt "The people of" --untrained

It runs on the CPU, wherever the run was trained.
"""

import importlib
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from data import synthetic
from data.tokenize_text import gpt2_encoding
from milestones.harness import UsageError
from milestones.harness.initialization import initialize


@dataclass(frozen=True)
class Settings:
    run: tyro.conf.Positional[Path]  # run folder
    prompt: str = ""  # words to go on from; default: the start of a document
    length: int = 100  # tokens
    temperature: float = 0.8  # 0: always the likeliest token
    seed: int = 1
    untrained: bool = False  # the initial weights instead of the checkpoint's, to compare

    def check(self) -> None:
        """Raise UsageError if these cannot be followed."""
        if self.length < 1:
            raise UsageError(f"--length {self.length}: at least one token is needed")
        if not (0 <= self.temperature < math.inf):
            raise UsageError(f"--temperature {self.temperature}: a number, 0 or more, is needed")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"--seed {self.seed}: it must be from 0 to {2**64 - 1}")


class InventedWords:
    """The embedded corpus' vocabulary, with the two methods of a tiktoken encoding used here."""

    eot_token = 0

    def encode(self, text: str) -> list[int]:
        vocabulary = synthetic.words()
        if unknown := [word for word in text.split() if word not in vocabulary]:
            raise UsageError(
                f"{unknown[0]!r} is no word of the corpus: see python -m data.synthetic"
            )
        return [vocabulary.index(word) for word in text.split()]

    def decode(self, tokens: list[int]) -> str:
        return synthetic.render(tokens)


def encoding_for(vocab_size: int):
    """GPT-2's encoding, or the invented words for a vocabulary too small for it."""
    if vocab_size == synthetic.VOCAB_SIZE:
        return InventedWords()
    return gpt2_encoding()


def load_model(folder: Path, untrained: bool = False) -> torch.nn.Module:
    """The model of a run folder, on the CPU, in the dtype it was trained in."""
    if not (folder / "run.json").exists() or not (folder / "checkpoint.pt").exists():
        raise UsageError(f"{folder} holds no run with a checkpoint")
    try:
        about = json.loads((folder / "run.json").read_text())
        script = importlib.import_module(f"milestones.{about['milestone']}.train_gpt")
        args = script.Hyperparameters(**about["args"])
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        raise UsageError(
            f"{folder}/run.json is damaged ({type(error).__name__}): choose another run"
        ) from None
    model = script.GPT(args).to(getattr(torch, args.dtype))
    if untrained:
        initialize(model, script.init_weights, args.seed, args.portable_init)
        return model.eval()
    try:
        content = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
        model.load_state_dict(content["state"]["model"])
    except Exception as error:  # torch's own text runs to pages
        raise UsageError(
            f"{folder}/checkpoint.pt cannot be read ({type(error).__name__}): choose another run, "
            "or pass --untrained"
        ) from None
    return model.eval()


@torch.no_grad()
def sample(
    model: torch.nn.Module,
    tokens: list[int],
    length: int,
    context: int,
    temperature: float,
    vocab_size: int | None = None,
) -> list[int]:
    """`tokens` and `length` more, each drawn from the model's distribution given the last ones.

    Ids from `vocab_size` on are never drawn: a padded table has rows that stand for no token.
    """
    for _ in range(length):
        scores = model.logits(torch.tensor([tokens[-context:]]))[0, -1, :vocab_size]
        if temperature == 0:
            tokens = [*tokens, int(scores.argmax())]
        else:
            chances = torch.softmax(scores / temperature, dim=0)
            tokens = [*tokens, int(torch.multinomial(chances, 1))]
    return tokens


def main() -> None:
    settings = tyro.cli(Settings, prog="python -m milestones.sample", description=__doc__)
    try:
        settings.check()
        model = load_model(settings.run, settings.untrained)
        args = json.loads((settings.run / "run.json").read_text())["args"]
        encoding = encoding_for(args["vocab_size"])
        start = [encoding.eot_token, *encoding.encode(settings.prompt)]
        torch.manual_seed(settings.seed)
        tokens = sample(
            model,
            start,
            settings.length,
            args["sequence_length"],
            settings.temperature,
            args["vocab_size"],
        )
    except UsageError as error:
        sys.exit(f"error: {error}")
    print(encoding.decode(tokens[1:]))


if __name__ == "__main__":
    main()
