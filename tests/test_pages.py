"""README and milestone pages: figures stand in generated blocks alone, and links lead somewhere."""

import re

import pytest

from milestones import pages as module
from milestones.harness.injection import ROOT
from milestones.pages import BLOCK, README, blocks_of, filled, pages
from tests.conftest import STEMS

# Figures in prose: decimals, percentages, three digits or more.  Years are none.
FIGURE = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)+|\b\d+ ?%|\b(?!20[12]\d\b)\d{3,}\b")
ALLOWED = {"3.28", "3.11", "3.13", "124", "200"}  # finish line, Pythons, GPT-2's size, a wheel's MB
every_page = pytest.mark.parametrize(
    ("path", "milestone"), pages().items(), ids=[str(p.relative_to(ROOT)) for p in pages()]
)


def prose(text: str) -> str:
    """A page without its generated blocks, code, and the addresses of links."""
    text = BLOCK.sub("", text)
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", text)


@every_page
def test_blocks_are_what_their_sources_say(path, milestone):
    text = path.read_text()
    assert filled(text, milestone) == text, "run python -m milestones.pages"


@every_page
def test_every_block_is_there(path, milestone):
    names = [found[2] for found in BLOCK.finditer(path.read_text())]
    assert sorted(names) == sorted(blocks_of(milestone) if milestone else README)


@every_page
def test_no_figure_stands_outside_a_block(path, milestone):
    assert set(FIGURE.findall(prose(path.read_text()))) <= ALLOWED


def test_a_figure_in_prose_would_be_found():
    found = FIGURE.findall(prose("It took 22.3 minutes, 34 % less; 6,200 steps, 8 GPUs, in 2024."))
    assert found == ["22.3", "34 %", "6,200"]
    assert not FIGURE.findall(
        prose("`6200` and\n```\n3.2785\n```\n<!-- race -->\n99.9\n<!-- end -->")
    )


@every_page
def test_links_lead_to_files(path, milestone):
    for target in re.findall(r"\]\((?!http)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_every_milestone_has_a_page():
    assert {m.stem for m in pages().values() if m} == set(STEMS)


@pytest.fixture
def two_pages(tmp_path, monkeypatch):
    """A root with README, stale, and one milestone's page; the latter's path."""
    stem, milestone = STEMS[0], pages()[ROOT / "milestones" / STEMS[0] / "README.md"]
    path = tmp_path / "milestones" / stem / "README.md"
    path.parent.mkdir(parents=True)
    (tmp_path / "README.md").write_text("a\n<!-- tiny -->\nold\n<!-- end -->\nb\n")
    path.write_text("c\n<!-- tasks -->\nold\n<!-- end -->\nd\n<!-- delta -->\n<!-- end -->\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "pages", lambda: {tmp_path / "README.md": None, path: milestone})
    return path


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("<!-- end -->\nd", "d", "<!-- tasks -->: no <!-- end --> follows"),  # d would be gone
        ("delta -->\n<!-- end -->", "delta -->", "<!-- delta -->: no <!-- end --> follows"),
        ("tasks", "taks", "<!-- taks -->: blocks are called delta, commands"),
        ("c\n", "c\n<!-- end -->\n", "<!-- end -->: blocks are called"),
        (None, None, "README.md: No such file or directory: put it back"),
    ],
)
def test_a_page_that_cannot_be_made_is_named_and_none_is_written(two_pages, right, wrong, says):
    text = two_pages.read_text()
    if right:
        two_pages.write_text(text.replace(right, wrong, 1))
    else:
        two_pages.unlink()
    root = two_pages.parents[2]
    before = {path: path.read_bytes() for path in root.rglob("*.md")}
    with pytest.raises(SystemExit) as end:
        module.main()
    assert str(end.value.code).startswith("error: ") and says in end.value.code
    assert "\n" not in end.value.code
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_stale_pages_are_named_and_then_written(two_pages, capsys):
    named = f"README.md, milestones/{STEMS[0]}/README.md"
    for check, said, code in (True, f"stale: {named}\n", 1), (False, f"rewritten: {named}\n", 0):
        with pytest.raises(SystemExit) as end:
            module.main(check)
        assert (end.value.code, capsys.readouterr().out) == (code, said)
    with pytest.raises(SystemExit) as end:
        module.main(check=True)
    assert (end.value.code, capsys.readouterr().out) == (0, "")
