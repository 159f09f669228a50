"""What students hand in: folders and zip files, of which a few small files are read.

Nothing is unpacked, no link is followed, and only the exercise files leave this module.
"""

import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from milestones.harness import UsageError
from milestones.table import milestones

MOST = 1_000_000  # bytes of a file that is read
JUDGES = ("grader", "milestones", "data")  # what a submission should have left alone
SKIPPED = {
    ".git", ".venv", ".grader", "__pycache__", "__macosx", ".ipynb_checkpoints", "node_modules",
    "thumbs.db", "desktop.ini",
}  # fmt: skip
EXERCISES = [f"{milestone.stem}.py" for milestone in milestones()]
UNREAD, UNUSED = "cannot be read", "not used"  # how remarks begin
DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError)

Files = dict[PurePosixPath, Callable[[], bytes]]  # path inside the submission, and how to read it


@dataclass(frozen=True)
class Submission:
    """One student's, as far as it is graded."""

    student: str
    exercises: dict[str, bytes]  # by stem; those that were handed in
    remarks: tuple[str, ...] = ()  # for the teacher

    def why_not(self, stem: str) -> str:
        """What may have become of a milestone's file that was not handed in; "" if nothing."""
        if stem in self.exercises:
            return ""
        found = [text for text in self.remarks if text.startswith((UNREAD, UNUSED))]
        others = [name for name in EXERCISES if name != f"{stem}.py"]
        return "; ".join(
            text
            for text in found
            if text.startswith(UNREAD) or not any(f"{name}:" in text for name in others)
        )


def find_submissions(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Folders and zip files by student's name, in order; and remarks on what is neither.

    UsageError if there are no submissions.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    found, others = {}, []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or skipped(path.name):
            continue
        if path.is_dir() or path.suffix.lower() == ".zip":
            student = path.name if path.is_dir() else path.stem
            if student in found:
                raise UsageError(f"{folder}: {found[student].name} and {path.name}: which is it?")
            found[student] = path
        else:
            others.append(f"{path.name}: not graded: a folder or a zip file is needed")
    if not found:
        more = f"; {others[0]}" if others else ""
        raise UsageError(
            f"{folder}: no submissions: a folder or a zip file each, named by student{more}"
        )
    return found, others


def skipped(name: str) -> bool:
    """Whether a system or a tool has put a file or folder there; macOS writes ._* beside others."""
    return name.startswith("._") or name.lower() in SKIPPED


def read_submission(student: str, path: Path, stems: list[str], course: Path) -> Submission:
    """The exercise files of a submission, and what else in it a teacher wants to know.

    course: a clean copy of the repository, to hold the submission's own grader against.
    """
    try:
        files = files_of(path)
        base = exercises_in(files, stems)
        exercises = {s: files[base / f"{s}.py"]() for s in stems if base / f"{s}.py" in files}
        remarks = [*unused(files, base, course), *changed(files, base.parent, course)]
    except (UsageError, *DAMAGED) as error:
        return Submission(student, {}, (f"{UNREAD}: {error}",))
    for stem, text in exercises.items():
        if len(text) > MOST:
            return Submission(student, {}, (f"{UNREAD}: {stem}.py is over {MOST:,} bytes",))
    return Submission(student, exercises, tuple(remarks))


def files_of(path: Path) -> Files:
    """All files of a folder or a zip that may matter."""
    if path.is_dir():
        return files_of_folder(path)
    archive = zipfile.ZipFile(path)

    def reader(info: zipfile.ZipInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            with archive.open(info) as file:
                return file.read(MOST + 1)

        return read

    members = {PurePosixPath(i.filename.replace("\\", "/")): i for i in archive.infolist()}
    return {
        path: reader(info)
        for path, info in members.items()
        if not info.is_dir() and not any(map(skipped, path.parts))
    }


def files_of_folder(folder: Path) -> Files:
    def reader(path: Path) -> Callable[[], bytes]:
        def read() -> bytes:
            with path.open("rb") as file:
                return file.read(MOST + 1)

        return read

    files = {}
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not skipped(name)]
        for path in [Path(where, name) for name in names if not skipped(name)]:
            if path.is_file() and not path.is_symlink():
                files[PurePosixPath(path.relative_to(folder).as_posix())] = reader(path)
    return files


def exercises_in(files: Files, stems: list[str]) -> PurePosixPath:
    """The folder of the exercise files: the highest exercises/, or else where they lie.

    Files of all milestones count, also where only `stems` are graded.  UsageError if there is no
    such folder, or more than one.
    """
    places = {path.parent for path in files if path.name in EXERCISES}
    places = {place for place in places if place.name == "exercises"} or places
    if not places:
        raise UsageError(f"no exercise file such as exercises/{stems[0]}.py in it")
    depth = min(len(place.parts) for place in places)
    highest = sorted(place for place in places if len(place.parts) == depth)
    if len(highest) > 1:
        raise UsageError(f"exercise files in two places, {highest[0]}/ and {highest[1]}/")
    return highest[0]


def unused(files: Files, base: PurePosixPath, course: Path) -> list[str]:
    """Code beside the exercises, such as a conftest.py; and exercises elsewhere than in `base`."""
    remarks = []
    for path in sorted(files):
        if path.parent == base and path.suffix == ".py" and path.name not in EXERCISES:
            remarks.append(f"{UNUSED}: {path}")
        elif path.parent != base and path.name in EXERCISES:
            inside = path.is_relative_to(base.parent)  # a whole repository has more of that name
            if not (inside and (course / path.relative_to(base.parent)).is_file()):
                remarks.append(f"{UNUSED}: {path}: {base}/ is")
    return remarks


def changed(files: Files, base: PurePosixPath, course: Path) -> list[str]:
    """Files of the grader, of the milestones and their data that are not ours."""
    remarks = []
    for path, read in sorted(files.items()):
        if not path.is_relative_to(base) or path.relative_to(base).parts[0] not in JUDGES:
            continue
        ours = course / path.relative_to(base)
        if ours.is_file():
            same = plain(read()) == plain(ours.read_bytes()[: MOST + 1])
            remarks += [] if same else [f"changed: {path.relative_to(base)}"]
        elif path.suffix == ".py":
            remarks.append(f"added: {path.relative_to(base)}")
    return remarks


def plain(text: bytes) -> bytes:
    """Windows ends lines otherwise."""
    return text.replace(b"\r\n", b"\n")
