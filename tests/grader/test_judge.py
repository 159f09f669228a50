"""What the grader says: a golden file for each status word, from a solution with one fault.

A golden file that is missing is written, and its test fails once: read it before committing it.
"""

import re
from pathlib import Path

import pytest

from grader import board
from grader.ahead import Ahead
from grader.conftest import changed
from grader.judge import GPU, judge, unit_outputs
from grader.mistakes import edited
from grader.units import Elsewhere
from grader.verdict import PASSED, STATUSES
from grader.words import list_difference
from milestones.harness.injection import ROOT
from tests.conftest import STEMS, find_script
from tests.grader.resolution import solution_of

GOLDEN = Path(__file__).parent / "golden"
BASELINE, MUON = "milestone00_baseline", "milestone01_muon"
SHARED, UNET = "milestone03_distributed_muon", "milestone04_unet_skips"
NS = "zeropower_via_newtonschulz"
FROBENIUS = "    frobenius ="
STEP = "                weight -= group"
RANK = "torch.distributed.is_initialized() and torch.distributed.get_rank()"

# golden file: milestone, task, old and new text of the solution
FAULTS = {
    "TODO": (MUON, NS, FROBENIUS, "    raise NotImplementedError('later')\n" + FROBENIUS),
    "CANNOT LOAD": (MUON, NS, "gram = X @ X.mT", "gram = X @ (X.mT"),
    "CANNOT LOAD import": (MUON, NS, "import torch\n", "import torhc\n"),
    "CANNOT LOAD name": (MUON, NS, "def split_qkv", "def split_kqv"),
    "BORROWED": (
        MUON,
        "split_qkv",
        "def split_qkv",
        "from milestones.milestone01_muon.train_gpt import split_qkv\n\n\ndef other",
    ),
    "BORROWED class": (
        MUON,
        "Muon",
        "class Muon(torch.optim.Optimizer):",
        "from milestones.milestone01_muon.train_gpt import Muon as Base\n\n\nclass Muon(Base):",
    ),
    "SIGNATURE": (MUON, NS, "steps: int, eps: float,", "eps: float, steps: int,"),
    "CRASH": (MUON, NS, FROBENIUS, "    U.foo()\n" + FROBENIUS),
    "WRONG VALUES parameters": (
        BASELINE,
        "CausalSelfAttention",
        "3 * args.model_dim)",
        "2 * args.model_dim)",
    ),
    "SHAPE": (MUON, NS, "eps, dtype).mT", "eps, dtype)"),
    "TYPE": (MUON, "get_lr", "return min(lines)", "min(lines)"),
    "CHANGED INPUT": (MUON, NS, FROBENIUS, "    U.mul_(2)\n" + FROBENIUS),
    "PROPERTY": (
        BASELINE,
        "CausalSelfAttention",
        "masked_fill(future,",
        "masked_fill(future & False,",
    ),
    "WRONG VALUES": (MUON, NS, "    return X\n", "    return -X\n"),
    "WRONG VALUES nan": (MUON, NS, "- 4.7750", "+ 4.7750"),
    "WRONG VALUES schedule": (MUON, "get_lr", "num_iterations - step", "num_iterations - step - 1"),
    "WRONG VALUES list": (MUON, "split_parameters", 'startswith("h.")', 'startswith("")'),
    # right for every unit call, wrong for what only training brings: a batch of steps
    "CURVE": (MUON, "Muon", STEP, STEP.replace("group", "(len(self.state) < 9) * group")),
    "INVARIANT": (BASELINE, "forward_backward", ".detach()", ""),
    "INVARIANT device": (
        "milestone02_modern_arch",
        "CausalSelfAttention",
        "dtype=torch.bool, device=x.device",
        "dtype=torch.bool",
    ),
    "INVARIANT ranks": (
        MUON,
        "",
        STEP,
        STEP.replace("group", f"(1 + 0.01 * ({RANK})) * group"),
    ),
    "TOO SLOW": (MUON, NS, "if U.shape[0] > U.shape[1]:", "if False:"),
    "HANG": (MUON, NS, "in range(steps)", "in iter(int, 1)"),
    "HANG ranks": (
        MUON,
        "",
        STEP,
        f"                if {RANK}:\n                    torch.distributed.barrier()\n{STEP}",
    ),
    "HANG in a unit call": (
        SHARED,
        "Muon",
        "        updates = torch.cat(pieces)\n",
        "        if not any(owner == self.rank for owner, _, _ in layout):\n            return\n"
        "        updates = torch.cat(pieces)\n",
    ),
    "ENDED": (MUON, NS, FROBENIUS, "    import os; os._exit(0)\n" + FROBENIUS),
    "ENDED sys.exit": (MUON, NS, FROBENIUS, "    raise SystemExit(0)\n" + FROBENIUS),
}


OWN_MOMENTUM = 'muon.state[matrix]["momentum_buffer"].clone()'


def golden(name: str, text: str) -> None:
    """Hold text against a golden file; write the file if there is none."""
    path = GOLDEN / f"{name.replace(' ', '_')}.txt"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        pytest.fail(f"{path.name} is new: read it")
    assert text == path.read_text()


def with_fault(folder: Path, stem: str, old: str, new: str) -> str:
    """A folder with the solution, one text replaced in it."""
    text = (ROOT / "solutions" / f"{stem}.py").read_text()
    assert text.count(old) == 1, text.count(old)
    (folder / f"{stem}.py").write_text(text.replace(old, new))
    return str(folder)


@pytest.mark.parametrize("name", FAULTS)
def test_messages(tmp_path, name):
    stem, task, old, new = FAULTS[name]
    target = with_fault(tmp_path, stem, old, new)
    verdict = judge(stem, task, target, seconds=4 if name == "HANG" else 30)
    assert name.startswith(verdict.status), verdict.text
    text = verdict.text.replace(str(tmp_path.resolve()), "exercises")
    text = re.sub(r"e-1[0-9]\b", "e-1x", text)  # rounding noise
    golden(name, f"{verdict.status}\n{text}\n")


def test_every_status_word_has_a_golden_file():
    assert {name for name in STATUSES if name in FAULTS} == set(STATUSES) - {PASSED, "SKIPPED"}


def test_without_a_gpu_that_part_is_skipped(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    verdict = judge(MUON, GPU, "solutions")
    assert verdict.status == "SKIPPED"
    assert "needs a GPU" in verdict.text


def test_no_file(tmp_path):
    verdict = judge(MUON, NS, str(tmp_path))
    assert (verdict.status, "there is no such file" in verdict.text) == ("CANNOT LOAD", True)


@pytest.mark.parametrize("stem", STEMS)
def test_stubs_are_red_and_solutions_green(stem):
    tasks = [(stem, name) for name in [*find_script(stem).EXERCISES, ""]]
    stubs, solutions = Ahead(tasks, "grader/stubs"), Ahead(tasks, "solutions")
    for task in tasks:
        assert stubs.verdict(task).status == "TODO"
        verdict = solutions.verdict(task)
        assert verdict.status == PASSED, verdict.text
    assert "2 ranks within" in verdict.text


RANKED = {  # a fault among ranks, of whom either may be the first to say so
    "INVARIANT": ("dist.all_reduce(updates)", "dist.all_reduce(updates, async_op=True)"),
    "ENDED": (
        "            dist.all_reduce(updates)\n",
        "            mine = [u for u, (o, _, _) in zip(pieces, layout) if o == self.rank]\n"
        "            shares = [torch.cat(mine) for _ in range(self.world_size)]\n"
        "            dist.all_gather(shares, torch.cat(mine))\n",
    ),
}
SAID = {
    "INVARIANT": "nothing has waited for all_reduce, its collective no. 1",
    "ENDED": "waits in all_gather, its collective no.",
}


@pytest.mark.parametrize("status", RANKED)
def test_a_collective_not_waited_for_and_one_of_unequal_sizes(tmp_path, status):
    verdict = judge(SHARED, "Muon", with_fault(tmp_path, SHARED, *RANKED[status]))
    assert verdict.status == status, verdict.text
    assert SAID[status] in verdict.text and f"{SHARED}.py:" in verdict.text


def test_a_line_that_changes_a_tensor_in_place_is_said_to(tmp_path):
    old, new = "middle = start + attended", "start += attended\n        middle = start"
    verdict = judge(UNET, "Block", with_fault(tmp_path, UNET, old, new))
    assert verdict.status == "CRASH"
    assert "in place" in verdict.text and "could not be used" not in verdict.text


def test_a_value_changed_in_place_is_said_to_beside_wrong_values(tmp_path):
    old, new = "mixed = v + self.lamb * (v1 - v)", "v *= 1 - self.lamb\n        v += self.lamb * v1"
    new += "\n        mixed = v"
    verdict = judge(UNET, "CausalSelfAttention", with_fault(tmp_path, UNET, old, new))
    assert verdict.status == "WRONG VALUES" and "A line changes a tensor in place" in verdict.text


@pytest.mark.parametrize(
    ("task", "old", "new"),
    [
        ("Muon", "gradient = weight.grad", "gradient = weight.grad.float().double()"),
        ("gather_momentum", OWN_MOMENTUM, f"{OWN_MOMENTUM}.float().double()"),
    ],
)
def test_what_is_rounded_to_float32_is_found(tmp_path, task, old, new):
    assert judge(SHARED, task, with_fault(tmp_path, SHARED, old, new)).status == "WRONG VALUES"


def test_settings_belong_to_a_model_and_not_to_its_class(tmp_path):
    for stem in ("milestone02_modern_arch", UNET):
        old, new = "self.rotary_base = args", "CausalSelfAttention.rotary_base = args"
        verdict = judge(stem, "CausalSelfAttention", with_fault(tmp_path, stem, old, new))
        assert verdict.status == "WRONG VALUES"


def test_encodings_are_those_of_python(tmp_path):
    path, text = tmp_path / f"{MUON}.py", (ROOT / "solutions" / f"{MUON}.py").read_text()
    for before, encoding in [("", "utf-8-sig"), ("# coding: latin-1\n# fa\xe7ade\n", "latin-1")]:
        path.write_text(f"{before}{text}", encoding=encoding)
        assert judge(MUON, "get_lr", str(tmp_path)).status == PASSED
        assert board.digest(path, "get_lr") == board.digest(
            ROOT / "solutions" / path.name, "get_lr"
        )
    path.write_bytes(f"{text}# fa\xe7ade\n".encode("latin-1"))
    verdict = judge(MUON, "get_lr", str(tmp_path))
    assert verdict.status == "CANNOT LOAD" and "not UTF-8: save" in verdict.text
    assert f"{path.name}:{text.count(chr(10)) + 1}" in verdict.text
    assert board.digest(path, "get_lr") == "" and changed(path) == "(cannot be read)"


def test_a_name_too_much_is_told_from_one_that_stands_there_twice():
    lines = list_difference(["a", "b"], ["a", "b", "b", "c"])
    assert lines == ["too much   c", "twice      b"]


def test_arguments_of_ones_own_are_welcome_if_they_have_a_default(tmp_path):
    old = "def softcap(logits: Tensor, cap: float)"
    for more, status in [("scale=1.0", PASSED), ("**more", PASSED), ("scale", "SIGNATURE")]:
        target = with_fault(tmp_path, UNET, old, f"{old[:-1]}, {more})")
        assert judge(UNET, "softcap", target).status == status


ON_THE_CPU = [  # milestone, task, what is replaced in the solution: a tensor made where x is not
    (BASELINE, "CausalSelfAttention", "dtype=torch.bool, device=x.device", "dtype=torch.bool"),
    (MUON, NS, "dtype=dtype, device=X.device", "dtype=dtype"),
    (MUON, "Muon", "torch.zeros_like(gradient)", "torch.zeros(gradient.shape).to(gradient.dtype)"),
    ("milestone02_modern_arch", "rotary", ', "device": x.device}', "}"),
    (SHARED, "Muon", "dtype=self.dtype, device=weight.device", "dtype=self.dtype"),
    (
        SHARED,
        "gather_momentum",
        "torch.zeros_like(matrix)",
        "torch.zeros(matrix.shape).to(matrix.dtype)",
    ),
    (UNET, "CausalSelfAttention", "dtype=torch.bool, device=x.device", "dtype=torch.bool"),
    (UNET, "softcap", "in_caps.tanh() * cap", "in_caps.tanh() * torch.full((1,), cap)"),
]


@pytest.mark.parametrize(("stem", "task", "old", "new"), ON_THE_CPU)
def test_a_tensor_on_the_cpu_is_found_without_a_gpu(stem, task, old, new):
    learner = edited(solution_of(stem), ((old, new),))
    outputs = unit_outputs(stem, task, learner)
    assert [value for call, value in outputs if isinstance(call, Elsewhere)] == [False]


def test_a_stub_of_another_task_does_not_fail_a_right_one(tmp_path):
    stub = (ROOT / "grader" / "stubs" / f"{MUON}.py").read_text()
    solution = (ROOT / "solutions" / f"{MUON}.py").read_text()
    right = solution[solution.index("def get_lr") : solution.index(f"def {NS}")]
    (tmp_path / f"{MUON}.py").write_text(stub + "\n\n" + right)
    assert judge(MUON, "get_lr", str(tmp_path)).status == PASSED
    assert judge(MUON, NS, str(tmp_path)).status == "TODO"
    assert judge(MUON, "", str(tmp_path)).status == "TODO"


def test_grading_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert judge(MUON, "Muon", "solutions").status == PASSED
    assert not list(Path(tmp_path).iterdir())
