"""python -m grader collect: grade a class."""

import hashlib
import json
import secrets
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from grader import reports
from grader.checkout import must_be_clone, revision, uncommitted, working_folder
from grader.claims import MADE_UP, grade, our_numbers
from grader.reports import Graded, Row
from grader.sandbox import namespaces
from grader.submissions import Submission, find_submissions, read_submission
from grader.workplace import Limits, Workplace
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import find_milestone

KEPT = "verdicts"  # folder of the output: what need not be graded again
NO_NAMESPACES = """\
This machine gives no namespaces: submissions ran with the network in reach and could write wherever
you can, answers and this grader included. Grade strangers in a container."""


@dataclass(frozen=True)
class Job:
    """One milestone of one submission, and where its verdict is kept."""

    student: str
    stem: str
    text: bytes | None  # of the exercise file, if there is one
    path: Path
    key: str  # of all that the verdict depends on

    def kept(self) -> list[Row] | None:
        """The verdict of an earlier time, if nothing has changed since."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            rows = [Row(self.stem, n, status, tuple(lines)) for n, status, lines in content["rows"]]
            return rows if content["key"] == self.key else None
        except (OSError, *MADE_UP):
            return None

    def keep(self, rows: list[Row]) -> None:
        content = {"key": self.key, "rows": [[r.name, r.status, r.lines] for r in rows]}
        reports.replace_text(self.path, json.dumps(content, indent=1) + "\n")


def collect(
    folder: Path,
    out: Path | None,
    names: Sequence[str],
    limits: Limits,
    jobs: int,
    formats: Sequence[str] = reports.FORMATS,
    root: Path = ROOT,
) -> str:
    """Grade a folder of submissions; files in `out`, and the same in a few words.

    names: of milestones; formats: of reports.FORMATS; root: the repository.  What was
    graded before and has not changed is not graded again.  UsageError before any work.
    """
    must_be_clone(root)
    found, others = find_submissions(folder)
    stems = list(dict.fromkeys(find_milestone(name).stem for name in names))
    out = output_folder(folder, out)
    head, (changed, _) = revision(root), uncommitted(root)
    with working_folder(out, ".work-", f"--out {out}") as work:
        (out / KEPT).mkdir(exist_ok=True)
        place = Workplace(Path(work), root, limits, hidden_places(root, folder.resolve(), out))
        read = [read_submission(name, path, stems, place.course) for name, path in found.items()]
        rows = run_jobs(place, jobs_for(read, stems, out / KEPT, f"{head} {limits}"), jobs)
    graded = []
    for each in read:
        told = tuple(explained(row, each) for stem in stems for row in rows[each.student, stem])
        graded.append(Graded(each.student, told, each.remarks))
    remarks = [*others, *reports.remarks_on(graded)]
    reports.write(graded, remarks, out, formats)
    notes = [] if namespaces() else [NO_NAMESPACES]
    notes += [f"graded as of {head[:12]}, without your changes to {changed[0]}"] if changed else []
    return "\n".join([*notes, *reports.as_table(graded), *remarks, f"written to {out}/"])


def explained(row: Row, submission: Submission) -> Row:
    """The row; with why, where a remark tells what became of a file that was not handed in."""
    why = submission.why_not(row.stem)
    return replace(row, lines=(f"{row.message}: {why}",)) if why else row


def output_folder(folder: Path, out: Path | None) -> Path:
    """Where to write.  UsageError if something else is there."""
    folder = folder.resolve()
    out = (out or folder.with_name(f"{folder.name}-graded")).resolve()
    if out.is_relative_to(folder) or folder.is_relative_to(out):
        raise UsageError(f"--out {out}: must not hold the submissions, nor lie among them")
    with suppress(OSError):  # a name that cannot be: working_folder says so
        if out.exists() and not (out / KEPT).is_dir() and (out.is_file() or any(out.iterdir())):
            raise UsageError(f"--out {out}: there is something else: name a new or an empty folder")
    return out


def hidden_places(root: Path, *more: Path) -> list[Path]:
    """Folders no submission needs to see: other submissions, and the answers in the repository."""
    needed = [Path(path).resolve() for path in (sys.prefix, sys.base_prefix, *sys.path[1:])]
    inside = [path for path in root.resolve().iterdir() if path.is_dir() and not path.is_symlink()]
    return [p for p in [*more, *inside] if not any(need.is_relative_to(p) for need in needed)]


def jobs_for(read: list[Submission], stems: list[str], kept: Path, terms: str) -> list[Job]:
    """terms: what a verdict depends on besides the submission."""
    jobs = []
    for each in read:
        for stem in stems:
            text = each.exercises.get(stem)
            key = hashlib.sha256(repr((text, terms)).encode()).hexdigest()
            jobs.append(Job(each.student, stem, text, kept / each.student / f"{stem}.json", key))
    return jobs


def run_jobs(place: Workplace, todo: list[Job], jobs: int) -> dict[tuple[str, str], list[Row]]:
    """The verdicts by student and stem, kept as they come: what was stopped goes on from there."""
    rows = {(job.student, job.stem): job.kept() for job in todo}
    todo = [job for job in todo if rows[job.student, job.stem] is None]
    seed = secrets.randbelow(2**32)
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(todo), unit="milestone") as bar:
        try:
            stems = sorted({job.stem for job in todo if job.text is not None})
            numbers = pool.map(lambda stem: our_numbers(place, stem, seed), stems)
            ours = dict(zip(stems, numbers, strict=True))
            if ill := [stem for stem, found in ours.items() if found is None]:
                raise UsageError(f"{ill[0]} cannot be graded here: ask python -m grader doctor")
            futures = {
                pool.submit(grade, place, job.stem, job.text, ours.get(job.stem), seed): job
                for job in todo
            }
            for future in as_completed(futures):
                job = futures[future]
                rows[job.student, job.stem] = future.result()
                job.keep(future.result())
                bar.set_postfix_str(job.student)
                bar.update()
        except BaseException:
            place.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return rows
