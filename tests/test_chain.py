"""The chain check: green on a clean chain, red with the right sentence on every violation."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from milestones import chain

STEMS = ["milestone00_one", "milestone01_two", "milestone02_three"]

FIRST = '''"""Title one.

Prose that may differ.
"""

import math

from torch import nn

# ---- hyper-parameters ----


@dataclass(frozen=True)
class Hyperparameters:
    """Numbers."""

    steps: int = 10


PRESETS = {
    "tiny": Hyperparameters(steps=3),
}
EXERCISES = ("get_lr",)

# ----------------
# Model
# ----------------


class GPT(nn.Module):
    """A model."""

    depth = 2

    def __init__(self):
        self.scale = 1.0

    # what goes in comes out
    @property
    def size(self):
        return 1

    def forward(self, x):
        return x * self.scale


# linear, down to zero
def get_lr(step: int) -> float:
    return 1 - step / 10


def old_norm(x):
    return x


def evaluate(model):
    return 0.0


def train(args):
    """The loop."""
    for step in range(args.steps):
        print(get_lr(step))


if __name__ == "__main__":
    main("milestones.milestone00_one.train_gpt")
'''

MUON = '''class Muon(nn.Module):
    """New."""

    def __init__(self):
        self.lr = 1

    def step(self):
        return get_lr(0)


'''

MANIFEST = """
order = ["milestone00_one", "milestone01_two", "milestone02_three"]

[milestone01_two]
added = ["Muon"]
changed = ["EXERCISES", "GPT.forward"]
removed = ["old_norm"]

[milestone02_three]
added = []
changed = ["get_lr"]
removed = []
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three milestones: the second adds, changes and removes, the third has its own get_lr."""
    second = FIRST.replace("def old_norm(x):\n    return x\n\n\n", "")
    second = second.replace('("get_lr",)', '("get_lr", "Muon")').replace("x * self", "2 * x * self")
    second = second.replace("# linear, down", MUON + "# linear, down")
    third = second.replace("1 - step / 10", "1.0")
    folder = tmp_path / "milestones"
    for stem, text in zip(STEMS, (FIRST, second, third), strict=True):
        (folder / stem).mkdir(parents=True)
        text = text.replace(STEMS[0], stem).replace("Title one", f"Title {stem[12:]}")
        (folder / stem / "train_gpt.py").write_text(text)
    (folder / "chain.toml").write_text(MANIFEST)
    return folder


def path(root: Path, number: int) -> Path:
    return root / STEMS[number] / "train_gpt.py"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_bytes().decode()
    assert text.count(old) >= 1, f"{old!r} is not in {file.name}"
    file.write_bytes(text.replace(old, new, 1).encode())


def edit_all(root: Path, old: str, new: str) -> None:
    for number in range(3):
        edit(path(root, number), old, new)


def test_clean_chain_is_green(root, capsys):
    assert chain.check(root) == []
    assert chain.main(["check"], root) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["added", "changed", "removed", "unchanged"]
    assert " ".join(table[1].split()) == "milestone01_two 1 2 1 27 of 36 lines (75%)"
    assert " ".join(table[2].split()) == "milestone02_three 0 1 0 33 of 36 lines (92%)"


def test_symbols_are_what_the_docstring_says(root):
    found = chain.symbols(path(root, 0))
    assert " ".join(found) == (
        "imports Hyperparameters PRESETS EXERCISES GPT GPT.__init__ GPT.size GPT.forward "
        "get_lr old_norm evaluate train"
    )
    assert found["imports"].lines == ["import math", "", "from torch import nn"]
    assert found["GPT"].lines[0] == "class GPT(nn.Module):"
    assert found["GPT"].lines[-1] == "    depth = 2"
    assert found["GPT.size"].lines[:2] == ["    # what goes in comes out", "    @property"]
    assert found["get_lr"].lines[0] == "# linear, down to zero"
    assert found["Hyperparameters"].lines[0] == "@dataclass(frozen=True)"


def test_a_class_derived_from_a_module_counts_method_by_method(root):
    edit(path(root, 0), "def old_norm", "class Big(GPT):\n    def f(self): ...\n\n\ndef old_norm")
    assert {"Big", "Big.f"} <= set(chain.symbols(path(root, 0)))


def test_unchanged_share(root):
    assert chain.unchanged_share("01", "02", root) == 33 / 36
    assert chain.unchanged_share("02", "milestone02", root) == 1


def test_what_may_differ(root):
    edit(path(root, 1), "Prose that may differ.", "Other prose.")
    edit(path(root, 1), "# ---- hyper-parameters ----", "# ---- numbers ----")
    edit(path(root, 1), "# Model\n", "# The model\n")
    edit(path(root, 1), "PRESETS = {", "\n\nPRESETS = {")
    assert chain.check(root) == []


# In the last script, whose table declares get_lr alone: (old text, new text, expected phrase).
STEP = [
    ("return 0.0", "return 0.1", "evaluate: changed, but not declared: list it under `changed`"),
    ("return 0.0", "return 0.0 ", "evaluate: changed, but not declared"),
    ('"""The loop."""', '"""The  loop."""', "train: changed, but not declared"),
    ("# what goes in", "# What goes in", "GPT.size: changed, but not declared"),
    ("@property", "@cache", "GPT.size: changed, but not declared"),
    ("depth = 2", "depth = 3", "GPT: changed, but not declared"),
    ("self.scale = 1.0", "self.scale = 1.5", "GPT.__init__: changed, but not declared"),
    ("import math\n", "import math\nimport re\n", "imports: changed, but not declared"),
    ("steps: int = 10", "steps: int = 20", "Hyperparameters: changed, but not declared"),
    ("steps=3", "steps=4", "PRESETS: changed, but not declared"),
    ('"Muon")', '"Muon", "train")', "EXERCISES: changed, but not declared"),
    ("def train", "def helper(): ...\n\n\ndef train", "helper: added, but not declared"),
    ("    def forward", "    def more(self): ...\n\n    def forward", "GPT.more: added, but not"),
    ("\n\nclass Muon", '\nCOMPILED = ("get_lr",)\n\n\nclass Muon', "stands below the functions"),
    ('"Muon")', '"Muon")\nCOMPILED = ("train",)', "COMPILED: added, but not declared"),
    ("def evaluate(model):\n    return 0.0", "", "evaluate: removed, but not declared"),
    ("    def step(self):\n        return get_lr(0)", "", "Muon.step: removed, but not declared"),
    ("1.0\n\n\ndef", "1 - step / 10\n\n\ndef", "get_lr: declared as changed, but was not changed"),
]


@pytest.mark.parametrize(("old", "new", "phrase"), STEP)
def test_every_difference_must_be_declared(root, old, new, phrase):
    edit(path(root, 2), old, new)
    problems = chain.check(root)
    assert any(phrase in line for line in problems), problems
    assert all(line.startswith("milestones/milestone02_three/train_gpt.py:") for line in problems)


def test_a_problem_names_file_line_symbol_and_cure(root):
    edit(path(root, 2), "return 0.0", "return 0.1")
    line = path(root, 2).read_text().splitlines().index("def evaluate(model):") + 1
    assert chain.check(root) == [
        f"milestones/milestone02_three/train_gpt.py:{line}: evaluate: changed, but not declared: "
        "list it under `changed` of [milestone02_three] in chain.toml, or "
        "undo it with `fix evaluate --from milestone01_two`"
    ]


MANIFESTS = [
    ('["get_lr"]', '["get_lr", "train"]', "train: declared as changed, but was not changed"),
    ('["get_lr"]', '["get_lr", "GPT.foward"]', "GPT.foward: declared as changed, but was not"),
    ('["get_lr"]', '["get_lr", "get_lr"]', "get_lr: listed 2 times under [milestone02_three]"),
    ('"old_norm"]', '"old_norm", "Muon"]', "Muon: listed 2 times under [milestone01_two]"),
    ('["Muon"]', '["Muon", "train"]', "train: declared as added, but was not added"),
    ('["Muon"]', '["Muon", "Muon.step"]', "Muon.step: declared as added, but its class stands"),
    ('"old_norm"]', '"old_norm", "train"]', "train: declared as removed, but was not removed"),
    ('removed = ["old_norm"]', "", "old_norm: removed, but not declared"),
    ('["Muon"]', "[]", "Muon: added, but not declared"),
    ("[milestone02_three]", "[milestone2]", "[milestone2]: a table can only hold"),
    ("removed = []", "deleted = []", "[milestone02_three]: a table can only hold"),
    (', "milestone02_three"]', "]", "milestone02_three: has a script, but is not in `order`"),
    ("added = []", "added = [1]", "chain.toml: cannot be read: expected a list `order`"),
    ("added = []", "added = [", "chain.toml: cannot be read: "),
    ("order = ", "odrer = ", "chain.toml: cannot be read: expected a list `order`"),
]


@pytest.mark.parametrize(("old", "new", "phrase"), MANIFESTS)
def test_every_declaration_must_be_true(root, old, new, phrase):
    edit(root / "chain.toml", old, new)
    problems = chain.check(root)
    assert any(phrase in line for line in problems), problems


# In all three scripts alike, so that the chain itself holds: (old text, new text, expected phrase).
FORM = [
    ("\n\n# linear", "\n\nLIMIT = 3\n\n\n# linear", "`LIMIT = 3` is in no section"),
    ("\n\n# linear", "\n\nprint()\n\n\n# linear", "`print()` is in no section"),
    ("\n\n# linear", "\n\nif math:\n    import re\n\n\n# linear", "`if math:` is in no section"),
    ("\n\n# linear", '\n\n"""Prose."""\n\n\n# linear', "is in no section"),
    ("PRESETS = {", "def f(): ...\n\n\nPRESETS = {", "PRESETS: stands below the functions"),
    ("\n\n# linear", "\n\nimport re\n\n\n# linear", "imports: stands below the functions"),
    ("def train", "def evaluate(): ...\n\n\ndef train", "evaluate: stands here and further down"),
    ("\n\n# linear", "\n\n# loose\n\n\n# linear", "`# loose` belongs to no symbol"),
    ("return 0.0", "return 0.0\n    # the end", "`# the end` belongs to no symbol"),
    ("* self.scale", "* self.scale\n\n    width = 3", "`width = 3` belongs to no symbol"),
    ('    main("milestones', '    main("milestone', "main line: the script must end with"),
    ("train_gpt", "train", "main line: the script must end with"),
    ("__main__", "main", "main line: the script must end with"),
    ('.train_gpt")', '.train_gpt")\n    print()', "main line: the script must end with"),
    ("import math", "import exercises.milestone01_two", "a script is complete"),
    ("import math", "from solutions import x", "a script is complete"),
    ("import math", "from milestones.milestone00_one.train_gpt import x", "a script is complete"),
    ("import math", "from milestones import milestone00_one", "a script is complete"),
    ("import math", "from ..milestone00_one import x", "a script is complete"),
    ("return 0.0", "from solutions.x import y\n    return y", "a script is complete"),
    ('("get_lr",)', '["get_lr"]', "EXERCISES: must be a tuple of strings"),
    ('("get_lr",)', '("get_lr")', "EXERCISES: must be a tuple of strings"),
    ('("get_lr",)', '("get_lr",) + ()', "EXERCISES: must be a tuple of strings"),
    ('EXERCISES = ("get_lr",', 'EXERCISES = ("lr",', "lr: is in EXERCISES, but list a top-level"),
    ('("get_lr",', '("GPT.forward",', "GPT.forward: is in EXERCISES, but list a top-level"),
    ("# linear", "@cache\n# linear", "get_lr: is decorated"),
    ("Hyperparameters(steps=3)", "get_lr(0)", "get_lr: is used at import"),
    ("Hyperparameters(steps=3)", "get_lr", "get_lr: is used at import"),
    ("def train", "@get_lr\ndef train", "get_lr: is used at import"),
    ("train(args)", "train(args, f=get_lr)", "get_lr: is used at import"),
    ("train(args)", "train(args, *, f=get_lr)", "get_lr: is used at import"),
    ("depth = 2", "depth = get_lr", "get_lr: is used at import"),
    ("depth = 2", "depth: int = get_lr(1)", "get_lr: is used at import"),
    ("class GPT(nn.Module)", "class GPT(nn.Module, get_lr)", "get_lr: is used at import"),
    ("return 0.0", "return lambda f=get_lr: f", "get_lr: is used at import"),
    ("return 0.0", "class A(get_lr): ...", "get_lr: is used at import"),
    ("return 0.0", "return globals()", "globals: leads round the bare global name"),
    ("return 0.0", "get_lr = 1", "get_lr: is bound again inside evaluate"),
    ("evaluate(model)", "evaluate(get_lr)", "get_lr: is bound again inside evaluate"),
    ("return 0.0", "import get_lr", "get_lr: is bound again inside evaluate"),
    ("return 0.0", "from math import exp as get_lr", "get_lr: is bound again inside evaluate"),
    ("return 0.0", "def get_lr(): ...", "get_lr: is bound again inside evaluate"),
    ("return 0.0", "global get_lr", "get_lr: is bound again inside evaluate"),
    ("return 0.0", "return [get_lr for get_lr in ()]", "get_lr: is bound again inside "),
    ("return x * self", "get_lr = self", "get_lr: is bound again inside forward"),
]


@pytest.mark.parametrize(("old", "new", "phrase"), FORM)
def test_every_script_has_the_form(root, old, new, phrase):
    first = path(root, 0)
    edit(first, old, new)
    problems = chain.check(root)
    where = "milestones/milestone00_one/train_gpt.py:"
    assert any(line.startswith(where) and phrase in line for line in problems), problems
    assert all("\n" not in line for line in problems)


FINE = [
    ("get_lr(step: int)", "get_lr(step: get_lr)"),  # annotations are harmless
    ("def size", "def get_lr"),  # a method does not shadow a global
    ("depth = 2", "depth: GPT = 2"),
    ("return 0.0", "schedule = get_lr\n    return schedule(0)"),  # looked up when it runs
    ("return 0.0", "return dict(get_lr=1)"),
    ('("get_lr",', '("get_lr", "train",'),
]


@pytest.mark.parametrize(("old", "new"), FINE)
def test_harmless_uses_of_an_exercise_pass(root, old, new):
    first = path(root, 0)
    edit(first, old, new)
    assert not any(line.startswith("milestones/milestone00") for line in chain.check(root))


def test_compiled_names_obey_the_same_rules(root):
    edit_all(root, "EXERCISES = (", 'COMPILED = ("evaluate",)\nEXERCISES = (')
    assert any("EXERCISES: stands below the COMPILED" in line for line in chain.check(root))
    for number in range(3):
        edit(path(root, number), 'COMPILED = ("evaluate",)\n', "")
        edit(path(root, number), "\n\n# ----------------", '\nCOMPILED = ("evaluate",)\n\n# ----')
    assert chain.check(root) == []
    edit_all(root, "train(args)", "train(args, f=evaluate)")
    assert len(chain.check(root)) == 3


@pytest.mark.parametrize("name", ["evaluate", "GPT.size"])
def test_common_symbols_keep_their_order(root, name):
    script = path(root, 2)
    row = "\n".join(chain.symbols(script)[name].lines)
    edit(script, row + "\n\n", "")
    home = "# linear" if name == "evaluate" else "    def __init__"
    gap = "\n\n\n" if name == "evaluate" else "\n\n"
    edit(script, home, row + gap + home)
    problems = chain.check(root)
    assert len(problems) == 1
    assert f": {name}: moved: put it below" in problems[0]


def test_unreadable_scripts_are_problems_of_one_line(root, capsys):
    edit(path(root, 1), "def train(args):", "def train(args:")
    (line,) = chain.check(root)
    assert re.match(r"milestones/milestone01_two/train_gpt.py:\d+: cannot be read: ", line)
    path(root, 1).write_bytes(b"x = '\xff'")
    assert "cannot be read" in chain.check(root)[0]
    path(root, 1).unlink()
    assert chain.check(root) == [
        "milestones/milestone01_two/train_gpt.py:1: cannot be read: No such file or directory"
    ]
    assert chain.main(["diff", "00", "01"], root) == 2
    assert capsys.readouterr().err.count("\n") == 1
    path(root, 1).write_text("")
    assert any("main line" in line for line in chain.check(root))
    assert "0 of" in chain.diff("00", "01", root)


# ---- fix -----------------------------------------------------------------------------------------


def test_fix_carries_to_all_that_share_the_symbol(root):
    for number in range(3):  # bytes an editor would like to tidy
        edit(path(root, number), '"""The loop."""', '"""The loop."""  \t\r')
    before = [path(root, number).read_bytes() for number in range(3)]
    edit(path(root, 0), "return 0.0", "# the mean\n    return 0.5")
    report = chain.fix("evaluate", root=root)
    assert chain.check(root) == []
    for number in range(3):
        expected = before[number].replace(b"return 0.0", b"# the mean\n    return 0.5")
        assert path(root, number).read_bytes() == expected
    assert sorted(p.name for p in root.rglob("*.tmp")) == []
    assert report[0] == (
        "evaluate of milestone00_one: 2 of 2 scripts rewritten; stopped: the chain ends"
    )
    assert "-    return 0.0" in report


def test_fix_stops_at_a_milestone_with_its_own_version(root):
    third = path(root, 2).read_bytes()
    edit(path(root, 0), "1 - step / 10", "1 - step / 11")
    report = chain.fix("get_lr", root=root)
    assert (
        "1 of 1 scripts rewritten; stopped: milestone02_three declares it as changed" in report[0]
    )
    assert b"1 - step / 11" in path(root, 1).read_bytes()
    assert path(root, 2).read_bytes() == third


def test_a_declared_class_header_does_not_stop_the_fix_of_a_method(root):
    edit(root / "chain.toml", '["get_lr"]', '["get_lr", "GPT"]')
    edit(path(root, 0), "self.scale = 1.0", "self.scale = 1.5")
    assert "2 of 2 scripts" in chain.fix("GPT.__init__", root=root)[0]
    edit(path(root, 0), "depth = 2", "depth = 3")
    assert "1 of 1 scripts" in chain.fix("GPT", root=root)[0]


def test_fix_starts_where_told(root):
    edit(path(root, 1), "return 2 * x", "return 3 * x")
    chain.fix("GPT.forward", "01", root=root)
    assert "return 3 * x" in path(root, 2).read_text()
    assert "return x" in path(root, 0).read_text()
    assert "stopped: milestone01_two declares it as removed" in chain.fix("old_norm", root=root)[0]


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["fix", "evalute"], "unknown name 'evalute': did you mean evaluate?"),
        (["fix", "Muon", "--from", "00"], "milestone00_one has no Muon"),
        (["fix", "evaluate", "--from", "7"], "unknown milestone '7': choose from milestone00_one"),
        (["fix"], "the following arguments are required: name"),
        (["diff", "00", "03"], "unknown milestone '03': choose from"),
        (["diff", "00"], "the following arguments are required: b"),
        (["prove"], "invalid choice: 'prove'"),
        ([], "the following arguments are required: command"),
    ],
)
def test_usage_errors_are_one_line(root, capsys, arguments, phrase):
    try:
        status = chain.main(arguments, root)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    error = capsys.readouterr().err
    assert phrase in error
    assert error.count("\n") == 1


def test_fix_refuses_to_guess(root):
    before = path(root, 2).read_text()
    edit(path(root, 1), "return 0.0", "return 0.1")
    edit(path(root, 2), "return 0.0", "return 0.2")
    with pytest.raises(chain.ChainError, match="more than two versions"):
        chain.fix("evaluate", root=root)
    assert "2 of 2 scripts" in chain.fix("evaluate", "00", root=root)[0]  # told, it need not guess
    edit(path(root, 2), "def evaluate(model):\n    return 0.0\n\n\n", "")
    with pytest.raises(chain.ChainError, match="milestone02_three has no evaluate"):
        chain.fix("evaluate", root=root)
    path(root, 2).write_text(before.replace("class GPT(nn.Module)", "class GPT"))
    edit(path(root, 0), "depth = 2", "depth = 3")
    with pytest.raises(chain.ChainError, match="counts method by method in one"):
        chain.fix("GPT", "00", root=root)
    assert "depth = 2" in path(root, 1).read_text()  # nothing is written unless all of it can be


def test_a_script_that_cannot_be_written_is_named(root, capsys):
    edit(path(root, 0), "return 0.0", "return 0.1")
    path(root, 1).with_suffix(".tmp").mkdir()  # stands in the way
    before = path(root, 1).read_bytes()
    assert chain.main(["fix", "evaluate"], root) == 2
    error = capsys.readouterr().err
    assert "milestone01_two/train_gpt.py: cannot be written" in error and error.count("\n") == 1
    assert path(root, 1).read_bytes() == before


# ---- diff ----------------------------------------------------------------------------------------


def test_diff_is_the_lesson(root):
    lines = chain.diff("00", "01", root).splitlines()
    assert lines[:9] == [
        "--- Title one.",
        "+++ Title two.",
        "",
        "Prose that may differ.",
        "",
        "added      Muon",
        "changed    EXERCISES, GPT.forward",
        "removed    old_norm",
        "unchanged  27 of 36 lines (75%) stand in names that did not change",
    ]
    headings = [line.split(",")[0] for line in lines if line.startswith("@@")]
    assert headings == [
        "@@ changed: GPT.forward",
        "@@ added: Muon",
        "@@ changed: EXERCISES",
        "@@ removed from 00: old_norm",
    ]
    at = lines.index("-        return x * self.scale")
    assert lines[at - 1 : at + 2] == [
        "     def forward(self, x):",
        "-        return x * self.scale",
        "+        return 2 * x * self.scale",
    ]
    assert "+    def step(self):" in lines
    assert "-def old_norm(x):" in lines
    assert not any("evaluate" in line or "Hyperparameters" in line for line in lines)


def test_diff_of_any_two(root):
    assert "changed    EXERCISES, GPT.forward, get_lr" in chain.diff("00", "milestone02", root)
    assert "removed    Muon" in chain.diff("01", "00", root)
    assert len(chain.diff("01", "01", root).splitlines()) == 9


def test_long_symbols_are_shown_in_hunks(root):
    body = "".join(f"    x{i} = {i}\n" for i in range(60))
    for number in (0, 1):
        edit(path(root, number), "    return 0.0\n", body)
    edit(path(root, 1), "x5 = 5\n", "x5 = 6\n")
    edit(path(root, 1), "x50 = 50\n", "x50 = 51\n")
    text = chain.diff("00", "01", root)
    assert text.count("@@ changed: evaluate") == 2
    assert "x30" not in text
    line = int(re.search(r"evaluate, line (\d+)", text)[1])
    assert path(root, 1).read_text().splitlines()[line - 1] == "    x2 = 2"


def test_colour_is_for_terminals(root, capsys):
    assert chain.main(["diff", "00", "01"], root) == 0
    assert "\033" not in capsys.readouterr().out
    assert "\033[32m+    def step(self):\033[m" in chain.colored(chain.diff("00", "01", root))


# ---- the repository's own chain ------------------------------------------------------------------

REAL = sorted(chain.ROOT.glob("milestone*/train_gpt.py"))
real = pytest.mark.skipif(len(REAL) < 2, reason="fewer than two milestones")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "milestones"
    for script in REAL:
        (folder / script.parent.name).mkdir(parents=True)
        shutil.copy(script, folder / script.parent.name)
    shutil.copy(chain.ROOT / "chain.toml", folder)
    return folder


def shared_function(root: Path) -> tuple[Path, str]:
    """The last script, and a function it shares with the one before."""
    old, new = (chain.symbols(root / p.parent.name / p.name) for p in REAL[-2:])
    names = [name for name in new if name in old and old[name].lines == new[name].lines]
    name = next(name for name in names if name.islower() and name != "imports")
    return root / REAL[-1].parent.name / "train_gpt.py", name


@real
def test_the_chain_holds():
    assert chain.check() == []


@real
def test_command_line_from_the_repository_root():
    command = [sys.executable, "-m", "milestones.chain", "diff", "00", "01"]
    run = subprocess.run(command, cwd=chain.ROOT.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("--- ")


@real
def test_real_undeclared_change_of_one_character(copy):
    script, name = shared_function(copy)
    first = chain.symbols(script)[name].lines
    edit(script, "\n".join(first), "\n".join([*first[:-1], first[-1] + " "]))
    new = set(chain.check(copy)) - set(chain.check())
    assert any(f": {name}: changed, but not declared" in line for line in new)


@real
def test_real_declaration_of_a_name_that_did_not_change(copy):
    _, name = shared_function(copy)
    toml = (copy / "chain.toml").read_text()
    head, table = toml.split(f"[{REAL[-1].parent.name}]")
    table = table.replace("changed = [", f'changed = ["{name}", ', 1)
    (copy / "chain.toml").write_text(f"{head}[{REAL[-1].parent.name}]{table}")
    new = set(chain.check(copy)) - set(chain.check())
    assert any(f": {name}: declared as changed, but was not" in line for line in new)


@real
def test_real_undeclared_new_function(copy):
    script, _ = shared_function(copy)
    edit(script, "\n\ndef train(", "\n\ndef novelty() -> None:\n    pass\n\n\ndef train(")
    new = set(chain.check(copy)) - set(chain.check())
    assert any(": novelty: added, but not declared" in line for line in new)
