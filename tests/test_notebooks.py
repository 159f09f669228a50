"""The notebooks: clean in git, nothing written twice, and each runs from top to bottom.

A cell tagged `solution` shows an answer to an exercise; a teacher's release leaves it out.
"""

import ast
import copy
import importlib
import re
import time
from pathlib import Path

import nbformat
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

from milestones.table import milestones

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = {path.stem: nbformat.read(path, 4) for path in (ROOT / "notebooks").glob("*.ipynb")}
SCRIPTS = {m.stem: (ROOT / "milestones" / m.stem / "train_gpt.py") for m in milestones()}
HISTORY = sorted((ROOT / "data" / "history").glob("*.py"))
COPIED = 4  # lines in a row that count as a copy
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@pytest.fixture(params=sorted(NOTEBOOKS))
def notebook(request) -> nbformat.NotebookNode:
    """Every notebook in turn; a copy, free to change."""
    return copy.deepcopy(NOTEBOOKS[request.param])


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def defined(tree: ast.Module) -> set[str]:
    """Names of the functions and classes at the top of a module."""
    return {node.name for node in tree.body if isinstance(node, DEFINITIONS)}


def written(tree: ast.AST) -> set[str]:
    """Names that a cell defines or assigns, wherever in it."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, DEFINITIONS)}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return names | {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def windows(tree: ast.AST) -> set[tuple[str, ...]]:
    """Every few lines of code in a row, without comments, layout or imports."""
    lines = [line.strip() for line in ast.unparse(tree).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("import ", "from "))]
    return {tuple(lines[i : i + COPIED]) for i in range(len(lines) - COPIED + 1)}


def originals(notebook: nbformat.NotebookNode) -> list[ast.Module]:
    """What a notebook may not repeat: the scripts, and data.history where it uses that."""
    history = any("data.history" in cell.source for cell in code_cells(notebook))
    paths = [*SCRIPTS.values(), *(HISTORY if history else [])]
    return [ast.parse(path.read_text()) for path in paths]


def test_every_milestone_has_a_notebook():
    assert set(SCRIPTS) <= set(NOTEBOOKS)


def test_nothing_in_git_that_running_leaves_behind(notebook):
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert dict(notebook.metadata.language_info) == {"name": "python"}  # no version of it
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, cell.id
    for cell in code_cells(notebook):
        assert cell.outputs == [] and cell.execution_count is None, cell.id


def test_cells_have_names_of_their_own(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert not [name for name in ids if re.fullmatch("[0-9a-f-]{8,}", name)]  # a drawn one


def test_cells_are_short(notebook):
    long = [cell.id for cell in code_cells(notebook) if len(cell.source.splitlines()) > 25]
    assert not long


def test_no_name_of_a_script_is_written_again(notebook):
    names = set.union(*map(defined, originals(notebook)))
    for cell in code_cells(notebook):
        assert not written(ast.parse(cell.source)) & names, cell.id


def test_no_lines_of_a_script_are_copied(notebook):
    lines = set.union(*map(windows, originals(notebook)))
    for cell in code_cells(notebook):
        assert not windows(ast.parse(cell.source)) & lines, cell.id


def test_every_import_is_there(notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(ast.unparse(node), {})


def test_one_cell_at_least_shows_an_answer(notebook):
    assert any("solution" in tags(cell) for cell in code_cells(notebook))


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Execute all cells in an empty folder; nothing is written into it or the repository."""
    where = {"metadata": {"path": str(folder)}}
    ExecutePreprocessor(timeout=180, kernel_name="python3").preprocess(notebook, where)
    assert not list(folder.iterdir())


def text_of(cell: nbformat.NotebookNode) -> str:
    """All that a cell printed."""
    return "".join(output.get("text", "") for output in cell.outputs)


LATEST = [  # older milestones, a minute each, are slow: .ci/run runs them all the same
    pytest.param(stem, marks=pytest.mark.slow if stem in SCRIPTS and stem != max(SCRIPTS) else [])
    for stem in sorted(NOTEBOOKS)
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("stem", LATEST)
def test_runs_from_top_to_bottom(stem, tmp_path, capsys):
    notebook = copy.deepcopy(NOTEBOOKS[stem])
    started = time.perf_counter()
    run(notebook, tmp_path)
    with capsys.disabled():
        print(f" {stem}: {time.perf_counter() - started:.0f} s", end=" ")
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) >= 3
    assert not [o.text for o in outputs if o.get("name") == "stderr"]  # no warnings either
    if stem in SCRIPTS:
        names = importlib.import_module(f"milestones.{stem}.train_gpt").EXERCISES
        answers = re.compile(rf"(def|class) ({'|'.join(names)})\b")
        shown = [c.id for c in code_cells(notebook) if answers.search(text_of(c))]
        assert shown == [c.id for c in code_cells(notebook) if "solution" in tags(c)]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_runs_without_the_answers(notebook, tmp_path):
    notebook.cells = [cell for cell in notebook.cells if "solution" not in tags(cell)]
    run(notebook, tmp_path)
