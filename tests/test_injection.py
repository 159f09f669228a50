"""Injection: the learner's code really runs, alone or with the rest, and leaves nothing behind."""

import importlib
import inspect
import json
import types

import pytest

from milestones.harness import UsageError, replay
from milestones.harness.curve import read_curve
from milestones.harness.injection import ROOT, injected, load_implementation, stubs_among
from tests.conftest import STEMS, find_script, losses, resumed, saved, untimed

EXERCISES = [(stem, name) for stem in STEMS for name in find_script(stem).EXERCISES]
IDS = [f"{stem}-{name}" for stem, name in EXERCISES]


class Poisoned(Exception):
    """Raised by injected code and by nothing else."""


def poison(original):
    """A function, or a class of the same kind, that raises when called."""

    def raise_poisoned(*args, **kwargs):
        raise Poisoned(original.__name__)

    if inspect.isclass(original):
        return type(original.__name__, original.__bases__, {"__init__": raise_poisoned})
    return raise_poisoned


def solutions(script) -> types.ModuleType:
    return load_implementation("solutions", script)


def globals_of(*modules) -> list[dict]:
    return [dict(vars(module)) for module in modules]


@pytest.mark.parametrize(("stem", "name"), EXERCISES, ids=IDS)
def test_poison_is_tasted(stem, name):
    """Every name of EXERCISES is called by a run that saves and goes on, and by its name."""
    script, learner = find_script(stem), types.ModuleType("learner")
    setattr(learner, name, poison(getattr(script, name)))
    before = globals_of(script)
    state = saved(script, 2)[1]
    with pytest.raises(Poisoned, match=name):
        saved(script, 2, learner=learner, names=[name])
        resumed(script, 2, state, learner=learner, names=[name])
    assert globals_of(script) == before


@pytest.mark.parametrize(("stem", "name"), EXERCISES, ids=IDS)
def test_solution_alone_gives_the_scripts_curve(stem, name, exact_curve):
    """Although the learner's other names are poison: the script's own stand in for them."""
    script = find_script(stem)
    learner = solutions(script)
    for other in script.EXERCISES:
        if other != name:
            setattr(learner, other, poison(getattr(script, other)))
    before = globals_of(script, learner)
    with injected(script, learner, [name]):
        assert all(getattr(script, n) is getattr(learner, n) for n in script.EXERCISES)
        assert getattr(script, name).__module__ == learner.__name__
    rows = replay(script, learner=learner, names=[name])
    assert losses(rows) == pytest.approx(losses(exact_curve(script)), rel=0, abs=1e-9)
    assert len(rows) == 41
    assert globals_of(script, learner) == before


def test_all_solutions_give_the_scripts_curve(script, exact_curve):
    learner = solutions(script)
    before = globals_of(script, learner)
    rows = replay(script, learner=learner)
    deviation = max(
        abs(a - b) for a, b in zip(losses(rows), losses(exact_curve(script)), strict=True)
    )
    print(f"{script.__name__}: largest deviation {deviation:.1e}")
    assert deviation < 1e-9
    assert globals_of(script, learner) == before


def test_learners_module_can_be_imported_by_its_name(script):
    """torch.compile looks up there the globals of each function it meets."""
    learner = solutions(script)
    assert importlib.import_module(learner.__name__) is learner


@pytest.mark.parametrize(  # the first milestone's exercises hold a part of the model
    "script", [STEMS[0], *(pytest.param(s, marks=pytest.mark.slow) for s in STEMS[1:])],
    indirect=True,
)  # fmt: skip
def test_solutions_run_under_torch_compile(script, exact_curve):
    rows = replay(script, learner=solutions(script), compile="aot_eager")
    assert losses(rows) == pytest.approx(losses(exact_curve(script)), rel=0, abs=1e-9)


def test_globals_are_put_back_after_an_error_and_names_not_there_before_are_gone(script):
    learner = types.ModuleType("learner")
    before = globals_of(script, learner)
    with pytest.raises(ZeroDivisionError), injected(script, learner, []):
        assert getattr(learner, script.EXERCISES[0]) is getattr(script, script.EXERCISES[0])
        raise ZeroDivisionError
    assert globals_of(script, learner) == before


def test_compiled_names_are_the_learners(script):
    """COMPILED functions are wrapped after the choice of implementation, and only those."""
    learner = solutions(script)
    wrapped = []

    def compile_function(function):
        wrapped.append(function)
        return lambda *args, **kwargs: function(*args, **kwargs)

    with injected(script, learner, compile_function=compile_function):
        pass
    names = getattr(script, "COMPILED", ())
    assert wrapped == [getattr(learner if n in script.EXERCISES else script, n) for n in names]


def test_unknown_name(script):
    with pytest.raises(UsageError, match=f"frobnicate is not among .*{script.EXERCISES[0]}"):
        replay(script, learner=solutions(script), names=["frobnicate"])


# --------------------------------------------------------------------------- learner's files


@pytest.fixture
def mine(script, here):
    """mine(text): writes the learner's file for `script` into the folder "mine"."""
    (here / "mine").mkdir()
    path = here / "mine" / f"{script.__name__.split('.')[1]}.py"

    def write(text: str):
        path.write_text(text)
        return path

    return write


def test_no_file(script, here):
    stem = script.__name__.split(".")[1]
    (here / "mine").mkdir()
    with pytest.raises(UsageError) as error:
        load_implementation("mine", script)
    assert str(error.value) == f"--implementation mine: there is no {stem}.py in mine/"


def test_syntax_error_with_its_line(script, mine):
    path = mine("import torch\n\n\ndef get_lr(step, args)\n    return 1.0\n")
    with pytest.raises(UsageError) as error:
        load_implementation("mine", script)
    assert str(error.value) == f"{path.relative_to(path.parents[1])}:4: expected ':'"


def test_syntax_error_in_a_file_the_learner_imports(script, mine, monkeypatch):
    path = mine("import a_helper_of_mine\n")
    path.with_name("a_helper_of_mine.py").write_text("x = 1\ny = (\n")
    monkeypatch.syspath_prepend(path.parent)
    with pytest.raises(UsageError, match=r"a_helper_of_mine\.py:2: '\(' was never closed"):
        load_implementation("mine", script)


def test_missing_names_are_all_named(script, mine):
    first, *others = script.EXERCISES
    path = mine(f"def {first}():\n    pass\n")
    with pytest.raises(UsageError) as error:
        load_implementation("mine", script)
    path = path.relative_to(path.parents[1])
    assert str(error.value) == f"{path} does not define {', '.join(others)}"


def test_file_that_does_not_load(script, mine):
    mine("import numpie\n")
    with pytest.raises(UsageError, match=r"does not load: ModuleNotFoundError: .*numpie"):
        load_implementation("mine", script)
    mine("x = 1 / 0\n")
    with pytest.raises(UsageError, match="does not load: ZeroDivisionError: division by zero"):
        load_implementation("mine", script)


def test_folder_here_goes_before_the_repositorys(script, here):
    stem = script.__name__.split(".")[1]
    assert load_implementation("solutions", script).__file__ == str(ROOT / f"solutions/{stem}.py")
    (here / "solutions").mkdir()
    with pytest.raises(UsageError, match=f"there is no {stem}.py in solutions/"):
        load_implementation("solutions", script)


# -------------------------------------------------------------------------- on the command line


def test_run_names_the_file_and_what_was_injected(script, cli, here, exact_curve):
    flags = ["--implementation", "solutions", "--folder", "run"]
    code, _, err = cli(script, "exact", *flags)
    path = ROOT / "solutions" / f"{script.__name__.split('.')[1]}.py"
    line = f"implementation: {path}: {', '.join(script.EXERCISES)}\n"
    assert (code, err) == (0, line)
    assert (here / "run" / "log.txt").read_text().startswith(line)
    content = json.loads((here / "run" / "run.json").read_text())
    assert content["implementation"] == "solutions"
    assert content["injected"] == list(script.EXERCISES)
    rows = read_curve(here / "run" / "curve.csv")
    assert losses(rows) == pytest.approx(losses(exact_curve(script)), rel=0, abs=1e-9)


def solution_text(script) -> str:
    return (ROOT / "solutions" / f"{script.__name__.split('.')[1]}.py").read_text()


STUB = """

def {name}(*args, **kwargs):
    '''What it should do.'''
    raise NotImplementedError('{name}: not started')
"""


def test_exercise_that_is_not_started_is_refused_before_any_work(script, cli, mine, here):
    """One line that names the stubs and takes the rest; nothing is wrong with a stub."""
    *done, name = script.EXERCISES
    path = mine(solution_text(script) + STUB.format(name=name))
    code, out, err = cli(script, "exact", "--implementation", "mine")
    assert (code, out) == (2, "")
    start = f"error: {path}: {name} not started: take what is done with --names "
    assert err == f"{start}{' '.join(done)}\n"
    assert not (here / "runs").exists()
    code, _, err = cli(script, "exact", "--implementation", "mine", "--names", *done)
    assert code == 0, err


def test_file_of_stubs_alone(script, cli, here):
    code, _, err = cli(script, "exact", "--implementation", "grader/stubs")
    stem = script.__name__.split(".")[1]
    assert code == 2 and err.count("\n") == 1
    assert f"{', '.join(script.EXERCISES)} not started: begin with pytest grader/ -k {stem}" in err


CLASS = """

class {name}:
    def __init__(self, *args):
        pass

    def step(self):
        raise NotImplementedError
"""
BEGUN = """

def {name}(*args, **kwargs):
    half = 1
    raise NotImplementedError("the other half of {name}")
"""


def test_what_counts_as_a_stub(script, mine):
    """A class with a method that is one does; a function that does something first does not."""
    name = script.EXERCISES[0]
    for text, want in [(STUB, [name]), (CLASS, [name]), (BEGUN, []), ("", [])]:
        mine(solution_text(script) + text.format(name=name))
        learner = load_implementation("mine", script)
        assert stubs_among(script.EXERCISES, learner) == want
    mine(STUB.format(name=name) + solution_text(script))  # the last definition counts
    assert stubs_among(script.EXERCISES, load_implementation("mine", script)) == []


def test_exercise_that_stops_half_way(script, cli, mine):
    """Found out by running only, but without a traceback."""
    name = script.EXERCISES[0]
    mine(solution_text(script) + BEGUN.format(name=name))
    code, _, err = cli(script, "exact", "--implementation", "mine")
    assert code == 1
    assert err.splitlines()[-1] == f"error: the other half of {name}"
    assert "Traceback" not in err


def test_error_in_the_learners_code_keeps_its_traceback(script, cli, mine):
    """The learner needs to see where."""
    name = script.EXERCISES[0]
    mine(solution_text(script) + f"\n\ndef {name}(*args, **kwargs):\n    return undefined\n")
    with pytest.raises(NameError, match="undefined") as error:
        cli(script, "exact", "--implementation", "mine")
    assert error.traceback[-1].path.parent.name == "mine"


def test_curve_of_a_wrong_solution_differs(exact_curve):
    """1e-9 is a comparison that can fail."""
    script = find_script("milestone01_muon")  # where get_lr is an exercise
    learner = types.ModuleType("learner")
    get_lr = script.get_lr
    learner.get_lr = lambda step, args: get_lr(step + 1, args)
    rows = replay(script, learner=learner, names=["get_lr"])
    assert abs(rows[-1].val_loss - exact_curve(script)[-1].val_loss) > 1e-4
    assert untimed(rows)[0] == untimed(exact_curve(script))[0]


def test_only_the_names_asked_for(script, cli, here):
    """The rest may be stubs: a learner can train with what is done."""
    name = script.EXERCISES[-1]
    flags = ("--implementation", "grader/stubs", "--names")
    first = next(n for n in script.EXERCISES if n != name)
    assert cli(script, "exact", *flags, first)[0] == 2  # a stub is what was asked for
    code, _, errors = cli(script, "exact", *flags, "nobody")
    assert (code, "choose from" in errors) == (2, True)
    flags = ("--implementation", "solutions", "--names", name, "--folder", "run")
    assert cli(script, "exact", *flags)[0] == 0
    assert json.loads((here / "run" / "run.json").read_text())["injected"] == [name]
