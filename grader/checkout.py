"""The files of the commit at HEAD, as a folder: what students get, and what they are graded on."""

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from milestones.harness import UsageError


def git(root: Path, *words: str) -> bytes:
    """What a git command prints.  UsageError if it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True)
    except FileNotFoundError:
        raise UsageError(
            "git is not installed, and a clean copy of the course comes from it"
        ) from None
    if done.returncode:
        says = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"{root}: git {words[0]}: {says[0] if says else done.returncode}")
    return done.stdout


def export(root: Path, folder: Path) -> None:
    """Write all that is tracked at HEAD into a folder; no hook runs, and there is no .git in it."""
    archive = git(root, "archive", "--format=tar", "HEAD")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def revision(root: Path) -> str:
    return git(root, "rev-parse", "HEAD").decode().strip()


def must_be_clone(root: Path) -> None:
    """UsageError in a copy of the course without its history or its solutions, as students have."""
    if not all((root / name).exists() for name in (".git", "solutions")):
        raise UsageError(f"{root}: release and collect need the teacher's clone; this is a copy")


def uncommitted(root: Path) -> tuple[list[str], list[str]]:
    """Files that differ from HEAD, and those git does not know; exercises are the learner's own."""
    own = {f"exercises/{path.name}" for path in (root / "grader" / "stubs").glob("*.py")}
    lines = git(root, "status", "--porcelain").decode().splitlines()
    unknown = [line[3:] for line in lines if line.startswith("??")]
    changed = [line[3:] for line in lines if not line.startswith("??")]
    return [name for name in changed if name not in own], unknown


def working_folder(place: Path, prefix: str, named: str) -> tempfile.TemporaryDirectory:
    """A new folder in `place`, which is made where needed.

    UsageError, which begins with what the user `named`, if that cannot be.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=prefix, dir=place)
    except OSError as error:
        why = f"no folder can be made there ({error.strerror})"
        raise UsageError(f"{named}: {why}: name another") from None
