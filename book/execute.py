"""Run every notebook whose outputs are not in the cache yet, two at a time.

    python -m book.execute

The cache is jupyter-cache's, one folder for each state of the code that notebooks import
(generated.cache_folder); Sphinx takes the outputs from there.  Interrupted, it goes on where it
was.
"""

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode
from tqdm import tqdm

from book.generated import NOTEBOOKS, cache_folder

AT_ONCE = 2  # notebooks; each uses one core
CELL_SECONDS = 180  # after which a cell hangs


def is_cached(cache: JupyterCacheAbstract, notebook: NotebookNode) -> bool:
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    return True


def run(path: Path) -> tuple[NotebookNode, float]:
    """The notebook with its outputs, and the seconds it took, in an empty folder.

    Raises CellExecutionError or CellTimeoutError.
    """
    notebook = nbformat.read(path, 4)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": folder}},
            record_timing=False,  # times would make it another notebook for the cache
            extra_arguments=["--log-level=ERROR"],  # kernels warn of TCP
        )
        client.execute()
    return notebook, time.perf_counter() - started


def main() -> None:
    cache = get_cache(cache_folder())
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    waiting = [path for path in paths if not is_cached(cache, nbformat.read(path, 4))]
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool, tqdm(total=len(waiting), unit="notebook") as bar:
        runs = {pool.submit(run, path): path for path in waiting}
        for done in as_completed(runs):
            path = runs[done]
            try:
                notebook, seconds = done.result()
            except (CellExecutionError, CellTimeoutError) as error:
                failed.append(f"{path.relative_to(path.parents[1])} does not run:\n{error}")
                continue
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            bar.update()
            bar.write(f"{path.stem}: {seconds:.0f} s")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
