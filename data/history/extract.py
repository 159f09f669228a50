"""Records out of a clone of upstream: the README's tables, line counts from git, stars.

Nothing here is a guess.  A row that is not in upstream's shape is an error that names it.
"""

import csv
import html
import itertools
import math
import re
import subprocess
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath

import numpy as np

from data.history import START, Record
from milestones.harness.errors import UsageError

UPSTREAM = "https://github.com/KellerJordan/modded-nanogpt"
SCRIPTS = {  # the training script of a track; where it was renamed, its names, the newest first
    "small": ("train_gpt.py", "train_gpt2.py"),
    "medium": ("train_gpt_medium.py",),
}
HEADER = ["#", "Record time", "Description", "Date", "Log", "Contributors"]
MINUTES = {"h": 60, "m": 1, "s": 1 / 60}  # by a unit's first letter
LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)\b")
LINK = re.compile(r"\[([^\]]*)\]\(((?:[^()]|\([^()]*\))*)\)")

# ------------------------------------------------------------------------------ the README's tables


def parse_readme(text: str) -> list[Record]:
    """The rows of all record tables, in order, without lines, labels or stars.

    UsageError names the row that cannot be read.
    """
    tables = {}
    heading, track = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if "record time" in [cell.strip("*_ ").lower() for cell in _cells(line)]:
            track = "medium" if "medium" in heading.lower() else "small"
            where = f"README.md:{number}, {track} track"
            if _cells(line) != HEADER:
                raise UsageError(f"{where}: its columns must be | {' | '.join(HEADER)} |")
            if track in tables:
                raise UsageError(f"{where}: a second table of this track")
            tables[track] = []
        elif re.match(r"#+(\s|$)", line):
            heading, track = line, None
        elif line.startswith("---") and "|" not in line:
            track = None
        elif track and re.match(r"[\s|]*\d|.*\|", line) and set(line) - set("|-: "):
            where = f"README.md:{number}, {track} track, row '{line.strip()[:60]}'"
            try:
                tables[track].append(parse_row(line, track, tables[track]))
            except ValueError as error:
                raise UsageError(f"{where}: {error}") from None
    if not tables.get("small"):
        raise UsageError(f"README.md has no record table: no rows below | {' | '.join(HEADER)} |")
    return list(itertools.chain.from_iterable(tables.values()))


def parse_row(line: str, track: str, above: list[Record]) -> Record:
    """One row of a table; `above` holds the rows before it.  ValueError says what is wrong."""
    cells = _cells(line)
    if len(cells) != len(HEADER):
        raise ValueError(f"{len(cells)} cells instead of {len(HEADER)}")
    number, length, _, day, log, who = cells
    if not number.isdigit():
        raise ValueError(f"{number!r} is not the number of a record")
    retiming = bool(re.search(r"\bre-?tim(ing|ed)\b", line, re.IGNORECASE))
    last = max((row.record for row in above), default=0)
    if retiming and not 1 <= int(number) <= last:
        raise ValueError(f"it times record {number} again, which is not above it")
    if not retiming and int(number) != last + 1:
        raise ValueError(f"record {last + 1} was expected here (a re-timing says that it is one)")
    links = parse_links(log)
    return Record(
        track=track,
        record=int(number),
        retiming=retiming,
        date=parse_date(day),
        minutes=parse_minutes(length),
        lines=None,
        commit="",
        pull_request=_pull_request(links.get("pr")),
        log=_folder(links.get("log", "")),
        who=() if retiming else parse_names(who),
        kinds=(),
        what="",
    )


def parse_minutes(text: str) -> float:
    """ "5.8 hours", "2 minutes 59.5 seconds", "25.95 minutes*" (a footnote) in minutes."""
    rest = LENGTH.sub("", text).strip(" ,*")
    units = [MINUTES[unit[0]] for _, unit in LENGTH.findall(text)]
    minutes = round(sum(float(n) * MINUTES[unit[0]] for n, unit in LENGTH.findall(text)), 4)
    if rest or units != sorted(set(units), reverse=True) or not minutes > 0:
        raise ValueError(f"{text!r} is not a time in hours, minutes or seconds")
    return minutes


def parse_date(text: str) -> date | None:
    """ "05/28/24", or "-" where upstream gives none."""
    if text == "-":
        return None
    try:
        found = datetime.strptime(text, "%m/%d/%y").date()
    except ValueError:
        raise ValueError(f"{text!r} is not a date like 05/28/24") from None
    if found < START:
        raise ValueError(f"{text!r} is before the first record, 05/28/24")
    return found


def parse_links(text: str) -> dict[str, str]:
    """ "[log](a), [PR](b)" as {"log": "a", "pr": "b"}; nothing of "none" or "-"."""
    links = {name.lower(): link for name, link in LINK.findall(text)}
    odd = re.search(r"[][<>()/]", LINK.sub("", text))
    if odd or any(re.search(r"[\s<>]", link) for link in links.values()):
        raise ValueError(f"{text!r} holds something else than links like [log](folder)")
    return links


def parse_names(text: str) -> tuple[str, ...]:
    """ "@a, feat. @b & AI System [c](link)" as ("@a", "@b", "AI System c")."""
    text = html.unescape(LINK.sub(r"\1", text))
    if re.search("[][<>]", text):
        raise ValueError(f"{text!r} is not names and links alone")
    names = re.split(r"[,;&]|\band\b|\bfeat\.", text)
    return tuple(name.strip() for name in names if name.strip(" -"))


def _cells(line: str) -> list[str]:
    inner = re.sub(r"^\||(?<!\\)\|$", "", line.strip())  # one bar at each end
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]


def _folder(link: str) -> str:
    path = PurePosixPath(link)
    return str(path.parent if path.suffix in (".log", ".txt") else path) if link else ""


def _pull_request(link: str | None) -> int | None:
    if link is None:
        return None
    if not (found := re.search(r"/pull/(\d+)/?$", link)):
        raise ValueError(f"{link!r} is not the link of a pull request")
    return int(found[1])


# ------------------------------------------------------------------------------- lines, from git


def git(repo: Path, *words: str) -> bytes:
    """What git prints.  UsageError, in one line, if it fails."""
    plain = ["-c", "log.showSignature=false"]  # a user may have set it
    done = subprocess.run(["git", "-C", str(repo), *plain, *words], capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UsageError(f"{repo}: git {words[0]}: {''.join(reason)}")
    return done.stdout


def check_clone(repo: Path) -> None:
    """UsageError unless `repo` is the top of a git repository with all its history."""
    try:
        shallow = git(repo, "rev-parse", "--is-shallow-repository")
    except UsageError as error:
        if "safe.directory" in str(error):  # another user's: git says what to do
            raise
        raise UsageError(f"{repo} is no git repository: git clone {UPSTREAM}") from None
    if shallow.strip() == b"true":
        raise UsageError(f"{repo} is a shallow clone: git -C {repo} fetch --unshallow")
    if inside := git(repo, "rev-parse", "--show-prefix").decode().strip():
        raise UsageError(f"{repo} is the folder {inside} of a clone: pass the clone's own")


def count_lines(repo: Path, commit: str, records: Iterable[Record]) -> list[Record]:
    """`records` with `lines` and `commit`: the training script as it stood on the record's date.

    That is the newest commit, by committer time, up to the end of that day (UTC) that touches the
    script under any of its names, on any line of history that leads to `commit`.  Records before
    the first one stay without; so do re-timings, which bring no script, and records after the
    script was removed or renamed for good.
    """
    history = {track: script_history(repo, commit, names) for track, names in SCRIPTS.items()}
    counted = []
    for record in records:
        times, commits = history[record.track]
        if record.date and not record.retiming:
            midnight = datetime.combine(record.date, datetime.min.time(), UTC) + timedelta(days=1)
            before = bisect_right(times, midnight.timestamp() - 1)
            if before and (found := commits[before - 1]):
                lines = script_lines(repo, found, SCRIPTS[record.track])
                record = replace(record, commit=found[:12], lines=lines)
        counted.append(record)
    return counted


def script_history(repo: Path, commit: str, names: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Committer times (seconds, ascending) and hashes of the commits that leave a script there.

    If `commit` has none any more, the newest that took one away ends the list, its hash empty.
    """
    shown = git(repo, "log", "--full-history", "--format=%ct %H", commit, "--", *names).decode()
    found = [(int(time), hash_) for time, hash_ in map(str.split, reversed(shown.splitlines()))]
    there = [entry for entry in found if script_name(repo, entry[1], names)]
    gone = [time for time, hash_ in found if (time, hash_) not in there]
    found = sorted(there, key=lambda entry: entry[0])  # stable: of equal times the child is last
    if gone and not script_name(repo, commit, names):
        end = max(gone)
        found = [entry for entry in found if entry[0] <= end] + [(end, "")]
    return [time for time, _ in found], [hash_ for _, hash_ in found]


def script_name(repo: Path, commit: str, names: tuple[str, ...]) -> str | None:
    """The script's name at a commit, None if it is not there."""
    there = git(repo, "ls-tree", "--name-only", commit, "--", *names).decode().splitlines()
    return next((name for name in names if name in there), None)


def script_lines(repo: Path, commit: str, names: tuple[str, ...]) -> int:
    name = script_name(repo, commit, names)
    return len(git(repo, "show", f"{commit}:{name}").splitlines())


def extract(repo: Path, commit: str = "HEAD") -> list[Record]:
    """All rows of the record tables at `commit`, with the lines of the script."""
    check_clone(repo)
    readme = git(repo, "show", f"{commit}:README.md").decode("utf-8", errors="replace")
    records = count_lines(repo, commit, parse_readme(readme))
    if not any(record.lines for record in records if record.track == "small"):
        names = " or ".join(SCRIPTS["small"])
        raise UsageError(f"{repo}: no commit has {names} before the last record: is it upstream's?")
    return records


# ------------------------------------------------------------------------------------------- stars


def read_stars(path: Path) -> tuple[list[int], list[float]]:
    """Days (ordinals, ascending) and stars of a star-history CSV: a `Date` and a `Stars` column.

    Dates as 2024-06-04 or as "Tue Jun 04 2024 ...".  UsageError names the row that is neither.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel begins with a mark
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{path} is no CSV in UTF-8: export it again") from None
    rows = [(n, {(k or "").strip().lower(): v for k, v in row.items()}) for n, row in rows]
    if not rows or not {"date", "stars"} <= set(rows[0][1]):
        raise UsageError(f"{path}: a star history has columns Date and Stars")
    if len(several := {row.get("repository") for _, row in rows}) > 1:
        raise UsageError(f"{path}: {len(several)} repositories: keep the rows of one")
    found = {}
    for number, row in rows:
        try:
            stars = float(row["stars"])
            if not 0 <= stars < math.inf:
                raise ValueError
            found[_star_date(row["date"]).toordinal()] = stars
        except (TypeError, ValueError):
            values = f"{row['date']}, {row['stars']}"
            raise UsageError(f"{path}:{number}: {values!r} is not a date and a number") from None
    days = sorted(found)
    return days, [found[day] for day in days]


def _star_date(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return datetime.strptime(text[:15], "%a %b %d %Y").date()


def with_stars(records: Iterable[Record], path: Path) -> list[Record]:
    """`records` with the stars on their dates: linear between two days, none outside."""
    days, stars = read_stars(path)

    def on(day: date | None) -> float | None:
        if day is None or not days[0] <= day.toordinal() <= days[-1]:
            return None
        return float(np.interp(day.toordinal(), days, stars))

    return [replace(record, stars=on(record.date)) for record in records]
