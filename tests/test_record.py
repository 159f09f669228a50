"""The record's path, cut to two layers and a short context: bfloat16, fused AdamW, torch.compile.

So that nothing a renter pays for runs for the first time on rented hardware.  Width, heads and
vocabulary are the record's.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from data.published import published_curve
from data.shards import write_shard
from milestones.harness import replay
from milestones.harness.injection import stem_of

pytestmark = pytest.mark.filterwarnings("ignore:.*lru_cache.*")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory) -> dict:
    """Overrides of the record that a CPU can carry out, on random tokens of the true vocabulary."""
    folder = tmp_path_factory.mktemp("shards")
    random = np.random.RandomState(0)
    for kind in ("train", "val"):
        write_shard(folder / f"{kind}.bin", random.randint(0, 50_257, 3000))
    return {
        "train_files": str(folder / "train.bin"),
        "val_files": str(folder / "val.bin"),
        "batch_size": 2,
        "device_batch_size": 1,
        "sequence_length": 32,
        "num_layers": 2,
        "num_iterations": 2,
        "warmup_iters": 1,
        "val_batches": 1,
    }


def overrides_for(script, narrow: dict) -> dict:
    fields = script.Hyperparameters.__dataclass_fields__
    return narrow | ({"warmdown_iters": 1} if "warmdown_iters" in fields else {})


def losses(rows) -> list[float]:
    return [row.train_loss for row in rows[:-1]] + [rows[-1].val_loss]


def test_trains_and_compiles_to_the_same_curve(script, narrow):
    overrides = overrides_for(script, narrow)
    eager = losses(replay(script, "record", **overrides))
    published = published_curve(stem_of(script)).at(0)  # known before any training
    assert eager[0] == pytest.approx(published, abs=0.3)
    torch._dynamo.reset()
    counters.clear()
    compiled = losses(replay(script, "record", compile="aot_eager", **overrides))
    assert counters["stats"]["unique_graphs"] > len(getattr(script, "COMPILED", ()))
    assert compiled == pytest.approx(eager, abs=0.02)  # bfloat16, fused in another order


def test_dtypes(script, narrow):
    """Under autocast: weights, residual stream and loss in float32, matrix products in bfloat16."""
    args = replace(script.PRESETS["record"], **overrides_for(script, narrow))
    if not hasattr(args, "autocast"):
        pytest.skip("its own tests say what is bfloat16 where")
    model = script.GPT(args)
    script.init_weights(model)
    seen = {}

    def note(name):
        def hook(module, inputs, output):
            seen[name] = output.dtype

        return hook

    for name, module in model.named_modules():
        module.register_forward_hook(note(name))
    tokens = torch.randint(0, args.vocab_size, (2, args.sequence_length + 1))
    loss = model(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}
    layers = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    assert len(layers) >= 2 * 4 + 1
    assert {seen[layer] for layer in layers} == {torch.bfloat16}
    assert seen["wte"] == seen["h.0"] == seen["h.1"] == loss.dtype == torch.float32
