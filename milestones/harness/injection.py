"""Injection: a learner's functions and classes run inside the milestone's own script.

A script lists in EXERCISES the names a learner implements.  Injecting rebinds those globals of the
script's module; the script's code looks them up by bare name at call time, so it finds the
learner's.  (Upstream keeps such functions in a dict filled at import, which no rebinding reaches: a
wrong implementation would then score a perfect curve.  The chain check forbids it.)
"""

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from milestones.harness.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]  # of the repository


def stem_of(script: ModuleType) -> str:
    """ "milestone01_muon" for the module milestones.milestone01_muon.train_gpt."""
    return script.__name__.split(".")[-2]


def load_implementation(target: str, script: ModuleType) -> ModuleType:
    """The module `<target>/<stem>.py`; target is a folder such as "exercises" or "solutions".

    UsageError if there is no such file, it does not load, or it lacks a name of EXERCISES.
    """
    folder = Path(target) if Path(target).is_dir() else ROOT / target
    path = folder / f"{stem_of(script)}.py"
    if not path.is_file():
        raise UsageError(f"--implementation {target}: there is no {path.name} in {folder}/")
    spec = importlib.util.spec_from_file_location(f"implementation.{path.stem}", path)
    learner = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = learner  # torch.compile looks there for a function's globals
    try:
        spec.loader.exec_module(learner)
    except SyntaxError as error:
        file = path if error.filename == learner.__file__ else error.filename
        raise UsageError(f"{file}:{error.lineno}: {error.msg}") from error
    except Exception as error:
        raise UsageError(f"{path} does not load: {type(error).__name__}: {error}") from error
    missing = [name for name in script.EXERCISES if not hasattr(learner, name)]
    if missing:
        raise UsageError(f"{path} does not define {', '.join(missing)}")
    return learner


def is_stub(node: ast.AST) -> bool:
    """Whether this is a function that only raises NotImplementedError."""
    if not isinstance(node, ast.FunctionDef):
        return False
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    raised = body[0].exc if len(body) == 1 and isinstance(body[0], ast.Raise) else None
    return raised is not None and ast.unparse(raised).startswith("NotImplementedError")


def stubs_among(names: Sequence[str], learner: ModuleType) -> list[str]:
    """Those of `names` that are not written yet: a stub, or a class with a stub among its methods.

    Read from the text of the learner's file; where it defines a name twice, the last one counts.
    """
    tree = ast.parse(Path(learner.__file__).read_bytes())
    kinds = ast.FunctionDef | ast.ClassDef
    defined = {node.name: node for node in tree.body if isinstance(node, kinds)}
    return [n for n in names if n in defined and any(map(is_stub, ast.walk(defined[n])))]


def refuse_stubs(names: Sequence[str], learner: ModuleType) -> None:
    """UsageError if one of `names` is not written yet."""
    if todo := stubs_among(names, learner):
        done = [name for name in names if name not in todo]
        path = Path(learner.__file__)
        begin = f"begin with pytest grader/ -k {path.stem}"
        cure = f"take what is done with --names {' '.join(done)}" if done else begin
        raise UsageError(f"{path}: {', '.join(todo)} not started: {cure}")


@contextmanager
def injected(
    script: ModuleType,
    learner: ModuleType | None = None,
    names: Sequence[str] | None = None,
    compile_function: Callable | None = None,
) -> Iterator[None]:
    """Inside, `names` (default: all of EXERCISES) of the script are the learner's.

    Every other listed name is the script's own, in the script and in the learner's module: a stub
    of one task cannot fail another.  `compile_function`, if given, wraps the names the script lists
    in COMPILED, after the choice of implementation.  Everything is put back on leaving.
    """
    names = script.EXERCISES if names is None else names
    unknown = sorted(set(names) - set(script.EXERCISES))
    if unknown:
        raise UsageError(f"{unknown[0]} is not among the exercises {', '.join(script.EXERCISES)}")
    modules = [script] if learner is None else [script, learner]
    bindings = {}
    if learner is not None:
        for name in script.EXERCISES:
            bindings[name] = getattr(learner if name in names else script, name)
    if compile_function is not None:
        for name in getattr(script, "COMPILED", ()):
            bindings[name] = compile_function(bindings.get(name, getattr(script, name)))
    before = [{name: getattr(m, name) for name in bindings if hasattr(m, name)} for m in modules]
    try:
        for module in modules:
            vars(module).update(bindings)
        yield
    finally:
        for module, old in zip(modules, before, strict=True):
            for name in bindings.keys() - old.keys():
                delattr(module, name)
            vars(module).update(old)
