"""The book: builds without a warning, links lead somewhere, and a browser is content with it.

It is built here, notebooks not run; BOOK=build/book/html looks at what `make book` built instead.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils.utils.math import MathError
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from book import execute, generated
from book.mathml import mathml
from grader.judge import TOLERANCE
from milestones.harness.injection import ROOT
from milestones.table import milestones
from tests.conftest import STEMS
from tests.test_pages import FIGURE, prose

CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
FLAGS = (
    "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
PHONE, DESKTOP = 390, 1280  # pixels
PAGES = sorted((ROOT / "book").glob("*.md"))
FACTS = {  # figures in prose that are no result: names, versions, hardware
    "start": {"3.11", "3.13"},
    "renting": {"145", "258", "820"},  # issues
    "references": {"20%"},  # in a title
}


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of the built book."""
    if built := os.environ.get("BOOK"):
        return Path(built).resolve()
    folder = ROOT / "build" / "book"
    settings = ["-W", "--keep-going", "-q", "-D", "nb_execution_mode=off"]
    folders = ["-d", folder / "unexecuted-doctrees", ROOT / "book", folder / "unexecuted"]
    command = [sys.executable, "-m", "sphinx", *settings, *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "unexecuted"


@pytest.fixture(scope="session")
def pages(book) -> dict[Path, BeautifulSoup]:
    paths = [path for path in book.rglob("*.html") if "_static" not in path.parts]
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in paths}


def targets(page: BeautifulSoup) -> set[str]:
    """All that a page links to or shows."""
    found = [
        (tag.get("href"), tag.get("src")) for tag in page.find_all(["a", "link", "img", "script"])
    ]
    return {target for pair in found for target in pair if target}


def test_links_lead_somewhere(pages):
    names = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    dead = []
    for path, page in pages.items():
        for target in targets(page):
            if re.match(r"https?:|mailto:|data:", target):
                continue
            file, _, name = target.partition("#")
            there = (path.parent / file.partition("?")[0]).resolve() if file else path
            if not there.exists() or (name and there in names and name not in names[there]):
                dead.append(f"{path.name}: {target}")
    assert not dead


def test_nothing_is_fetched_from_elsewhere(pages):
    for path, page in pages.items():
        shown = [tag.get("src") for tag in page.find_all(["img", "script", "iframe"])]
        shown += [tag.get("href") for tag in page.find_all("link")]
        assert not [s for s in shown if s and re.match(r"(https?:)?//", s)], path


def test_every_substitution_was_made(pages):
    for path, page in pages.items():
        assert not [
            s for s in page.find_all(string=re.compile("{{")) if not s.find_parent("pre")
        ], path


def test_every_milestone_has_a_chapter_and_a_script(book, pages):
    front = targets(pages[book / "index.html"])
    for milestone in milestones():
        chapter, script = f"chapters/{milestone.stem}.html", f"scripts/{milestone.stem}.html"
        assert {chapter, script} <= front
        text = pages[book / chapter].get_text()
        assert "What was published" in text
        assert all(task.name in text for task in milestone.tasks)
        assert "def main" not in text and "if __name__" in pages[book / script].get_text()


def test_answers_are_hidden(book, pages):
    for stem in STEMS:
        notebook = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        tagged = [cell for cell in code if "solution" in cell.metadata.get("tags", [])]
        hidden = pages[book / "chapters" / f"{stem}.html"].select("div.tag_solution details")
        assert len(hidden) >= len(tagged) > 0


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_no_figure_stands_in_prose(path):
    text = re.sub(r"\{\{.*?\}\}|<[^>]*>|^\[\w+\]:.*$", "", path.read_text(), flags=re.MULTILINE)
    assert set(FIGURE.findall(prose(text))) <= FACTS.get(path.stem, set())


def test_the_first_red_test_is_the_one_that_start_shows(book, pages):
    assert generated.MISTAKE in (ROOT / "book" / "start.md").read_text()
    assert "the last target is not paid for" in pages[book / "start.html"].get_text()


def test_formulas():
    assert re.search(r"(?s)<mi>ln</mi>.*<mspace.*<mi>V</mi>", mathml(r"\ln V", block=False))
    with pytest.raises(MathError):
        mathml(r"\nosuchcommand", block=False)


def test_distances_are_those_of_the_report():
    noise, mistakes = generated.distances()
    summary = generated.RESOLUTION.read_text().split("## Noise")[0]
    assert f"worst noise **{max(noise):.1e}**" in summary
    assert f"mistakes rejected: **{len(mistakes)} of {len(mistakes)}**" in summary
    seen = [distance for distance in mistakes if distance > TOLERANCE]
    assert f"by the curve: {len(seen)}, the weakest moves it by **{min(seen):.1e}**" in summary


def test_other_code_is_another_cache_and_a_corpus_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(generated, "ROOT", tmp_path)
    script, corpus = (
        tmp_path / "milestones" / "race.py",
        tmp_path / "data" / "corpus" / "seed0.json",
    )
    folders = []
    for path, text in (script, "a = 1"), (corpus, "{}"), (script, "a = 2"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        folders.append(generated.cache_folder())
    assert folders[0] == folders[1] != folders[2]


def test_a_notebook_that_fails_is_named_and_the_others_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(execute, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "notebooks").mkdir()
    for name, code in ("good", "print(1)"), ("wrong", "1 / 0"):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    with pytest.raises(SystemExit, match=r"(?s)notebooks/wrong.ipynb .*ZeroDivisionError"):
        execute.main()
    (tmp_path / "notebooks" / "wrong.ipynb").unlink()
    monkeypatch.setattr(execute, "run", None)  # nothing is left to run
    execute.main()


# -------------------------------------------------------------------------------------- a browser


@pytest.fixture(scope="module")
def browser():
    if not (CHROMIUM and shutil.which("chromedriver")):
        pytest.skip("no browser here: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(CHROMIUM)
    for flag in FLAGS.split():
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(params=[PHONE, DESKTOP])
def visit(request, browser, book):
    """Open a page of the book at a width; then: no error, and nothing wider than the screen."""
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield lambda page: browser.get(f"{book.as_uri()}/{page}")
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= request.param


def widths(browser, selector: str) -> list[int]:
    """Natural widths of images; 0 for one that did not load."""
    images = browser.find_elements(By.CSS_SELECTOR, selector)
    return [browser.execute_script("return arguments[0].naturalWidth", image) for image in images]


def test_the_front_page_shows_the_race(browser, visit):
    visit("index.html")
    assert min(widths(browser, "article img")) > 0
    assert len(browser.find_elements(By.CSS_SELECTOR, "article table tbody tr")) == 10


@pytest.mark.parametrize("stem", STEMS)
def test_a_chapter_shows_its_plots(browser, visit, stem):
    visit(f"chapters/{stem}.html")
    assert min(widths(browser, "article img")) > 0
    if "BOOK" in os.environ:
        assert len(widths(browser, ".cell_output img")) >= 3
    assert browser.find_elements(By.TAG_NAME, "math")


def test_search_finds_muon(browser, visit):
    visit("search.html?q=Muon")
    chapter = "#search-results li a[href*='chapters/milestone01_muon.html']"
    # Results come in one after another: on a busy machine the first look sees half of them.
    WebDriverWait(browser, 30).until(lambda b: b.find_elements(By.CSS_SELECTOR, chapter))
