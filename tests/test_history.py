"""The record history: extraction from a small hand-made clone, and what the shipped table says."""

import csv
import math
import os
import subprocess
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest

from data.history import (
    KINDS,
    LATER,
    SHIPPED,
    START,
    Record,
    read_records,
    with_labels,
    write_records,
)
from data.history.__main__ import main
from data.history.analysis import (
    all_fits,
    best_break,
    bought,
    fit,
    gains,
    line_changes,
    select,
    student_t,
)
from data.history.extract import extract, parse_minutes, parse_readme, read_stars, with_stars
from data.history.plots import COLOURS
from data.published import FOLDER, read_table
from milestones.harness.errors import UsageError

README = """# A race

## World record history

Some words | with a bar.

| # | Record time | Description | Date | Log | Contributors |
| - | - | - | - | - | - |
1 | 45 minutes | [a start](https://a.org/1) | 05/28/24 | [log](records/s/1/main.log) | @ann, b.c
2 | 30 minutes | a \\| b | 06/10/24 | none | @bob
3 | 20.5 minutes | [wide](https://a.org/3) | 09/01/24 | [log](records/s/3) | @ann & AI [x](http://x)
3 | 21 minutes | a new clock | 09/15/24 | [log](records/s/3b/a.txt) | not new, just re-timing #3
4 | 15 min | more | 10/01/24 | [log](records/s/4/a.txt),[PR](http://a/pull/41) | @bob, feat. @cat
5 | 10 minutes | more | 01/10/25 | [log](records/s/5/a.txt), [PR](http://a/pull/42) | @bob and @dan
6 | 7.5 minutes | library | 02/02/25 | - | -
7 | 2 minutes 59.4 seconds | fast | 03/01/25 | [PR](https://a.org/pull/57/) | @cat; The Team
8 | 171 seconds | faster|03/02/25 | [log](records/s/8/this_pr) | @cat

## Rules

1. Be fast.

## Track 2: GPT-2 Medium

| # | Record time | Description | Date | Log | Contributors |
| - | - | - | - | - | - |
1 | 5.8 hours | a start | 05/28/24 | [log](records/m/1/main.log) | @ann
2 | 25.95 minutes* | scaled up | 01/20/25 | [log](records/m/2/train_gpt-2025.txt) | @bob
3 | 24 minutes | library | - | - | -
---
"""


# ------------------------------------------------------------------------- a clone, made by hand


class Clone:
    """A git repository whose commits have the times they are told."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words, when="2024-01-01T00:00:00Z"):
        env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_COMMITTER_DATE": when}
        env |= {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z"}  # nothing may depend on it
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.folder, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, when, **lines):
        """Write name.py with so many lines (None: remove it), commit, return the hash."""
        for name, count in lines.items():
            path = self.folder / f"{name}.py"
            if count is None:
                path.unlink()
            else:
                path.write_text("x\n" * count)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a", when=when)
        return self.git("rev-parse", "HEAD")[:12]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The clone, with the hashes that tests ask about as `second`, `third` and `fourth`."""
    clone = Clone(tmp_path_factory.mktemp("history") / "clone")
    clone.commit("2024-06-09T12:00:00Z", train_gpt2=5)
    clone.second = clone.commit("2024-06-11T01:59:59+02:00", train_gpt2=7)  # the last second
    clone.commit("2024-06-11T00:00:00Z", train_gpt2=9)
    clone.git("checkout", "--quiet", "-b", "side")
    clone.third = clone.commit("2024-08-31T10:00:00Z", train_gpt2=12)  # merged after record 3
    clone.git("checkout", "--quiet", "main")
    clone.commit("2024-08-30T10:00:00Z", other=3)
    clone.git("merge", "--quiet", "--no-ff", "-m", "a", "side", when="2024-09-20T00:00:00Z")
    clone.git("mv", "train_gpt2.py", "train_gpt.py")
    clone.fourth = clone.commit("2024-09-25T00:00:00Z")
    clone.commit("2024-09-26T00:00:00Z", other=4)
    clone.commit("2025-01-05T00:00:00Z", train_gpt=20)
    clone.commit("2025-01-18T00:00:00Z", train_gpt_medium=40)
    clone.commit("2025-02-01T00:00:00Z", train_gpt=None)  # gone for a while
    clone.commit("2025-02-20T00:00:00Z", train_gpt=30)
    (clone.folder / "README.md").write_text(README)
    clone.commit("2025-04-01T00:00:00Z")
    return clone


@pytest.fixture(scope="module")
def extracted(clone) -> list[Record]:
    return extract(clone.folder)


def small(records) -> list[Record]:
    return [record for record in records if record.track == "small"]


def test_the_tables_of_both_tracks_are_read(extracted):
    assert [(r.track, r.record) for r in extracted] == (
        [("small", n) for n in (1, 2, 3, 3, 4, 5, 6, 7, 8)] + [("medium", n) for n in (1, 2, 3)]
    )
    assert [r.minutes for r in small(extracted)] == [45, 30, 20.5, 21, 15, 10, 7.5, 2.99, 2.85]
    assert [r.minutes for r in extracted[9:]] == [348, 25.95, 24]
    assert [r.date for r in extracted[9:]] == [START, date(2025, 1, 20), None]
    assert [r.record for r in extracted if r.retiming] == [3]


def test_links_and_names_are_read(extracted):
    logs = ["s/1", "", "s/3", "s/3b", "s/4", "s/5", "", "", "s/8/this_pr"]
    assert [r.log.removeprefix("records/") for r in small(extracted)] == logs
    requests = [None, None, None, None, 41, 42, None, 57, None]
    assert [r.pull_request for r in small(extracted)] == requests
    assert [r.who for r in small(extracted)] == [
        ("@ann", "b.c"),
        ("@bob",),
        ("@ann", "AI x"),
        (),  # a re-timing is nobody's
        ("@bob", "@cat"),
        ("@bob", "@dan"),
        (),
        ("@cat", "The Team"),
        ("@cat",),
    ]


def test_lines_are_those_of_the_newest_commit_up_to_the_end_of_the_day(clone, extracted):
    counts = [None, 7, 12, None, 12, 20, 20, 30, 30]
    assert [r.lines for r in small(extracted)] == counts  # 3: before its merge; 6: none is there
    commits = {r.record: r.commit for r in small(extracted) if not r.retiming}
    assert commits[1] == "" and commits[2] == clone.second and commits[3] == clone.third
    assert commits[4] == clone.fourth  # the renaming itself
    assert [r.lines for r in extracted[9:]] == [None, 40, None]


def test_a_script_that_is_gone_for_good_is_not_counted_on(here):
    clone = Clone(here / "clone")
    (clone.folder / "README.md").write_text(README)
    clone.commit("2024-06-09T12:00:00Z", train_gpt=5)
    clone.git("mv", "train_gpt.py", "train.py")
    clone.commit("2024-09-20T00:00:00Z")
    clone.commit("2024-12-01T00:00:00Z", train=50)
    counts = [None, 5, 5, None, None, None, None, None, None]
    assert [r.lines for r in small(extract(clone.folder))] == counts


def test_a_signature_that_git_shows_is_no_commit(here, monkeypatch):
    clone = Clone(here / "clone")
    (clone.folder / "README.md").write_text(README)
    clone.commit("2024-06-09T12:00:00Z", train_gpt=5)
    body = clone.git("cat-file", "commit", "HEAD").replace("\n\n", "\ngpgsig SIGNED\n\n", 1)
    (here / "commit").write_text(body + "\n")
    signed = clone.git("hash-object", "-t", "commit", "-w", str(here / "commit"))
    program = here / "gpg"
    program.write_text("#!/bin/sh\necho gpg: Good signature >&2\n")
    program.chmod(0o755)
    for name, value in ("log.showSignature", "true"), ("gpg.program", str(program)):
        clone.git("config", name, value)
    assert extract(clone.folder, signed)[1].lines == 5


def test_a_clone_of_another_user_is_not_called_none(clone, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match=r"safe\.directory"):
        extract(clone.folder)


def test_an_earlier_commit_can_be_asked_for(clone):
    with pytest.raises(UsageError, match=r"README\.md"):
        extract(clone.folder, "HEAD~1")  # it had no README yet
    assert len(extract(clone.folder, "main")) == 12


def test_the_command_writes_table_fits_and_pictures(clone, here, capsys):
    main(["--repo", str(clone.folder), "--out", "first/history"])
    output = capsys.readouterr().out
    assert "small track: 8 records, 1 re-timings, 7 scripts counted" in output
    assert "45 to 2.85 minutes in 278 days, 16.2x with re-timings taken out" in output
    folder = here / "first" / "history"
    pictures = "gain_by_kind gain_per_record lines_over_time speed_over_lines speed_over_time"
    names = {"records.csv", "fits.csv", *(f"{name}.png" for name in pictures.split())}
    assert {path.name for path in folder.iterdir()} == names
    assert all(path.stat().st_size > 10_000 for path in folder.glob("*.png"))
    main(["--repo", str(clone.folder), "--out", "second"])
    for path in folder.glob("*.csv"):
        assert path.read_bytes() == (here / "second" / path.name).read_bytes()
    fits = list(csv.DictReader((folder / "fits.csv").open()))
    assert {row["n"] for row in fits if row["records"] in ("1-55", "all")} == {"8"}
    assert read_records(folder / "records.csv")[1].what == read_records()[1].what


def test_a_record_without_a_date_is_in_the_table_and_no_fit(here, capsys):
    clone = Clone(here / "clone")
    (clone.folder / "README.md").write_text(README.replace("02/02/25", "-"))
    clone.commit("2024-06-09T12:00:00Z", train_gpt=5)
    main(["--repo", "clone", "--out", "out"])
    assert "small track: 8 records" in capsys.readouterr().out
    records = read_records(here / "out" / "records.csv")
    assert sum(row.middle for row in bought(records)) == pytest.approx(sum(gains(records).values()))
    assert next(csv.DictReader((here / "out" / "fits.csv").open()))["n"] == "7"


@pytest.mark.parametrize("end, code", [(KeyboardInterrupt, 130), (OSError(28, "full"), 1)])
def test_what_ends_half_way_leaves_nothing(end, code, here, capsys, monkeypatch):
    (here / "out.part").mkdir()  # somebody else's
    monkeypatch.setattr("data.history.__main__.draw", mock.Mock(side_effect=end))
    with pytest.raises(SystemExit) as ended:
        main(["--out", "out"])
    assert ended.value.code == code and capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in here.rglob("*")] == ["out.part"]


def test_a_table_survives_being_written_and_read(extracted, tmp_path):
    records = [replace(r, stars=1.5, kinds=("data", "kernels"), what="a, b") for r in extracted]
    write_records(tmp_path / "a.csv", records)
    found = [read_records(tmp_path / "a.csv", track) for track in ("small", "medium")]
    assert [*found[0], *found[1]] == records


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "right, wrong, says",
    [
        ("2 | 30 minutes", "2 | 30 minute miles", "'30 minute miles' is not a time"),
        ("2 | 30 minutes", "2 | soon", "'soon' is not a time in hours, minutes or seconds"),
        ("2 | 30 minutes", "2 | 0 minutes", "'0 minutes' is not a time"),
        ("2 | 30 minutes", "two | 30 minutes", "'two' is not the number of a record"),
        ("2 | 30 minutes", "30 minutes", "5 cells instead of 6"),
        ("a \\| b", "a | b", "7 cells instead of 6"),
        ("2 | 30 minutes", "7 | 30 minutes", "record 2 was expected here"),
        ("2 | 30 minutes", "1 | 30 minutes", "record 2 was expected here"),
        ("a \\| b", "re-timing of #2", "it times record 2 again, which is not above it"),
        ("06/10/24", "10/06/2024", "'10/06/2024' is not a date like 05/28/24"),
        ("06/10/24", "13/32/24", "'13/32/24' is not a date"),
        ("06/10/24", "06/10/23", "'06/10/23' is before the first record, 05/28/24"),
        ("none", "[PR](https://a.org/issues/3)", "is not the link of a pull request"),
        ("none", "<a href='records/s/2'>log</a>", "something else than links"),
        ("none", "[log](<records/s 2/a.log>)", "something else than links"),
        ("30 minutes", "30 minutes, 31 minutes", "'30 minutes, 31 minutes' is not a time"),
        ("30 minutes", "0.001 seconds", "'0.001 seconds' is not a time"),
        ("@bob", "@bob<br>@cat", "'@bob<br>@cat' is not names and links alone"),
        ("2 |", "#2 |", "'#2' is not the number of a record"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(right, wrong, says):
    line = next(line for line in README.splitlines() if line.startswith("2 |"))
    row = line.replace(right, wrong, 1)
    with pytest.raises(UsageError) as error:
        parse_readme(README.replace(line, row))
    message = str(error.value)
    assert message.startswith(f"README.md:10, small track, row '{row[:20]}")
    assert says in message and "\n" not in message


def test_a_bad_row_of_the_medium_table_is_named_too():
    with pytest.raises(UsageError, match=r"medium track, row '2 \| 25\.95 miles"):
        parse_readme(README.replace("25.95 minutes*", "25.95 miles"))


TABLE = README[README.index("| #") : README.index("1 |")]  # header and rule


@pytest.mark.parametrize(
    "right, wrong, says",
    [
        (
            "Record time | Description",
            "Description | Record time",
            "25, medium track: its columns",
        ),
        ("Date", "**Date**", "25, medium track: its columns must be | # | Record time"),
        ("## Track 2: GPT-2 Medium", "Track 2: Medium\n---", "26, small track: a second table"),
    ],
)
def test_no_table_is_passed_over_or_replaces_another(right, wrong, says):
    place = README.index("## Track 2")
    with pytest.raises(UsageError) as error:
        parse_readme(README[:place] + README[place:].replace(right, wrong, 1))
    assert str(error.value).startswith(f"README.md:{says}")


def test_a_table_may_leave_out_the_bars_at_its_ends():
    bare = "\n".join(line.strip("| ") for line in TABLE.splitlines()) + "\n"
    assert "\n- | -" in bare
    for text in README.replace(TABLE, bare), README.replace(TABLE, bare.replace("-", "---")):
        assert parse_readme(text) == parse_readme(README)


def test_links_and_names_may_hold_brackets_and_entities():
    row = "2 | 30 minutes | a | 06/10/24 | [Log](r/a_(b)/x.log) | [@b](http://x/(y)) &amp; @c"
    lines = [row if line.startswith("2 | 30") else line for line in README.splitlines()]
    found = parse_readme("\n".join(lines))[1]
    assert (found.log, found.who) == ("r/a_(b)", ("@b", "@c"))


def test_an_earlier_record_may_be_timed_again():
    again = "2 | 31 minutes | re-timing of #2 | 09/20/24 | - | -\n"
    records = small(parse_readme(README.replace("4 | 15 min", again + "4 | 15 min")))
    assert [r.record for r in records] == [1, 2, 3, 3, 2, 4, 5, 6, 7, 8]
    assert gains(records)[4] == pytest.approx(math.log(21 / 15))  # from record 3, as timed last
    with pytest.raises(UsageError, match=r"row '3 .*: record 4 was expected here"):
        parse_readme(README.replace("4 | 15 min", again + "3 | 15 min"))


def test_a_readme_without_a_table_says_what_was_looked_for():
    with pytest.raises(UsageError, match=r"no record table.*# \| Record time"):
        parse_readme("# A race\n")


@pytest.mark.parametrize(
    "text, minutes",
    [("1 hour 2 min 30 s", 62.5), ("2m 6s", 2.1), ("90 secs", 1.5), ("1.5 hrs", 90)],
)
def test_times_in_any_units(text, minutes):
    assert parse_minutes(text) == minutes


def test_wrong_requests_end_before_anything_is_written(clone, here, capsys):
    (here / "there").mkdir()
    (here / "text").mkdir()
    bad = Clone(here / "bad")
    (bad.folder / "README.md").write_text(README.replace("15 min ", "15 kg "))
    bad.commit("2025-01-01T00:00:00Z")
    empty = Clone(here / "empty")
    (empty.folder / "README.md").write_text(README)
    empty.commit("2024-01-01T00:00:00Z", other=3, train_gpt_medium=3)
    (here / "empty" / "sub").mkdir()
    url = f"file://{clone.folder}"
    subprocess.run(["git", "clone", "-q", "--depth=1", url, "shallow"], check=True)
    before = set(here.rglob("*"))
    for words, says in [
        (["--out", "there"], "there is there: pass another --out"),
        (["--repo", "text"], "text is no git repository: git clone https://github.com"),
        (["--repo", "nowhere"], "nowhere is no git repository"),
        (["--repo", "shallow"], "shallow is a shallow clone: git -C shallow fetch --unshallow"),
        (["--repo", "bad"], "README.md:13, small track, row '4 | 15 kg"),
        (["--repo", "empty/sub"], "empty/sub is the folder sub/ of a clone: pass the clone's own"),
        (["--repo", "empty"], "empty: no commit has train_gpt.py or train_gpt2.py before the last"),
        (["--repo", str(clone.folder), "--commit", "v9"], "git show: fatal: invalid object name"),
        (["--commit", "f411b3d3"], "--commit is one of a clone: pass --repo too"),
        (["--stars", "stars.csv"], "there is no file stars.csv"),
    ]:
        with pytest.raises(SystemExit) as end:
            main(words)
        error = capsys.readouterr().err
        assert end.value.code == 2
        assert error.startswith("error: ") and says in error and error.count("\n") == 1
    assert set(here.rglob("*")) == before


# ---------------------------------------------------------------------------------------- stars


def test_stars_lie_on_the_line_between_two_days(extracted, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text(
        "Repository,Date,Stars\n"
        "a/b,Sat Jun 01 2024 19:40:04 GMT-0700 (Pacific Daylight Time),100\n"
        "a/b,2024-10-09,2400\n"
        "a/b,Tue Jun 11 2024 00:00:00 GMT-0700 (Pacific Daylight Time),1200\n"
    )
    found = with_stars(extracted, path)
    assert [r.stars for r in small(found)][:3] == [None, 1090, 2020]  # 9 of 10, 82 of 120 days
    assert {r.stars for r in small(found)[5:]} == {None}  # after the last, no guess
    assert found[-1].stars is None  # a record without a date


def test_a_star_history_may_begin_with_a_mark(tmp_path):
    (tmp_path / "stars.csv").write_text("Date,Stars\n2024-06-01,3\n", encoding="utf-8-sig")
    assert read_stars(tmp_path / "stars.csv")[1] == [3]


@pytest.mark.parametrize(
    "text, says",
    [
        ("Date,Stars\n2024-06-01,many\n", "stars.csv:2: '2024-06-01, many' is not a date and a"),
        ("Date,Stars\nJune,3\n", "stars.csv:2: 'June, 3'"),
        ("Day,Stars\n2024-06-01,3\n", "a star history has columns Date and Stars"),
        ("Date,Stars\n\n2024-06-01,nan\n", "stars.csv:3: '2024-06-01, nan' is not a date and a"),
        ("Date,Stars\n2024-06-01,\xe9\n", "stars.csv is no CSV in UTF-8"),
        (
            "Repository,Date,Stars\na/b,2024-06-01,1\na/c,2024-06-02,9\n",
            "2 repositories: keep the rows of one",
        ),
        ("Date,Stars\n", "a star history has columns Date and Stars"),
    ],
)
def test_a_star_history_that_cannot_be_read_is_named(text, says, tmp_path):
    (tmp_path / "stars.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=says):
        read_stars(tmp_path / "stars.csv")


# ----------------------------------------------------------------------------- the shipped table


RECORDS, MEDIUM = read_records(), read_records(track="medium")
UPSTREAM = os.environ.get("MODDED_NANOGPT")
KNOWN = select(RECORDS, 1, 55)


def test_the_known_analysis_is_reproduced():
    exponential, power = fit(KNOWN), fit(KNOWN, "power law")
    assert f"{exponential.r2:.4f} {power.r2:.4f}" == "0.7316 0.7269"
    assert f"{exponential.half_life:.1f}" == "183.2"
    lines = {r.record: r.lines for r in KNOWN}
    assert (lines[1], lines[2], lines[55]) == (None, 446, 1779)
    assert KNOWN[-1].days == 580
    assert f"{KNOWN[0].minutes / round(KNOWN[-1].minutes, 2):.1f}" == "23.4"


def test_all_89_records_and_the_intervals():
    everything = select(RECORDS, 1)
    assert [r.record for r in everything] == list(range(1, 90))
    assert (everything[-1].minutes, everything[-1].days) == (1.23, 780)
    rows = {(row["records"], row["model"]): row for row in all_fits(RECORDS)}
    half_lives = {
        "1-55": ("183.2", "157.0", "219.9"),
        "all": ("198.8", "180.7", "221.0"),
        "1-21": ("55.7", "46.1", "70.3"),
        "22-55": ("355.7", "324.7", "393.2"),
        "56-89": ("356.1", "308.4", "421.4"),
    }
    for name, expected in half_lives.items():
        row = rows[name, "exponential"]
        assert (row["half_life_days"], row["low_95"], row["high_95"]) == expected
    assert rows["all", "exponential"]["r2_log"] == "0.8186"
    assert rows["all, re-timings too", "exponential"]["r2_log"] == "0.8088"
    assert rows["all", "power law"]["half_life_days"] == ""


@pytest.mark.parametrize("last", [55, 89])
def test_which_law_fits_better_flips_without_record_1(last):
    for first, better in (1, "exponential"), (2, "power law"):
        r2 = {m: fit(select(RECORDS, first, last), m).r2 for m in ("exponential", "power law")}
        assert max(r2, key=r2.get) == better
    kept = select(RECORDS, 1, 55, retimings=True)
    assert fit(kept, "power law").r2 > fit(kept).r2  # and with re-timings kept
    assert fit(KNOWN, "power law", offset=30).r2 > fit(KNOWN).r2  # and with another offset


def test_the_shipped_tables_are_whole():
    assert (len(RECORDS), len(MEDIUM), len(read_records(LATER))) == (91, 18, 3)
    new = select(RECORDS, 1)
    assert all(a.date <= b.date for a, b in pairwise(new))
    slower = [b.record for a, b in pairwise(new) if b.minutes >= a.minutes]
    assert slower == [22]
    assert [r.record for r in RECORDS if r.retiming] == [21, 21]
    assert [r.record for r in new if r.lines is None] == [1]
    assert all(r.kinds and set(r.kinds) <= set(KINDS) == set(COLOURS) for r in new[1:])
    assert all(0 < len(r.what) <= 90 for r in [*RECORDS, *MEDIUM, *read_records(LATER)])
    assert [r.record for r in MEDIUM if r.date is None] == [11]


@pytest.mark.parametrize("path", [SHIPPED, LATER], ids=lambda path: path.stem)
def test_a_shipped_table_is_what_the_pipeline_writes(path, tmp_path):
    write_records(tmp_path / "a.csv", [*read_records(path), *read_records(path, "medium")])
    assert (tmp_path / "a.csv").read_bytes() == path.read_bytes()


def test_a_fact_about_a_record_is_in_one_table():
    def header(path):
        return set(path.read_text(encoding="utf-8").splitlines()[0].split(","))

    assert header(SHIPPED) & header(FOLDER / "records.csv") == {"record"}
    (told,) = [row for row in read_table("records") if row["record"] == 12]
    assert (told["date"], told["minutes"], told["who"]) == ("2024-11-19", 5.03, "@KoszarskyB")


@pytest.mark.skipif(not UPSTREAM, reason="MODDED_NANOGPT does not name a clone of upstream")
def test_a_fresh_extraction_equals_the_shipped_table():
    found = with_labels(extract(Path(UPSTREAM), "f411b3d3"), [*RECORDS, *MEDIUM])
    assert small(found) == RECORDS
    uncounted = [replace(r, lines=None, commit="") for r in found if r.track == "medium"]
    assert uncounted == MEDIUM


# ------------------------------------------------------------------------------------- analysis


def on_a_line(count, half_life=100.0, noise=lambda i: 0.0) -> list[Record]:
    """Records every ten days whose time halves in `half_life` days, but for noise."""
    return [
        replace(
            RECORDS[0],
            record=i + 1,
            date=START + timedelta(10 * i),
            minutes=8 * 2 ** (-10 * i / half_life) * math.exp(noise(i)),
        )
        for i in range(count)
    ]


def test_an_exponential_gives_its_half_life_back():
    found = fit(on_a_line(20))
    assert found.half_life == pytest.approx(100) and found.r2 == pytest.approx(1)
    assert found.minutes(200) == pytest.approx(2)
    assert found.half_life_interval() == pytest.approx((100, 100))


def test_a_power_law_gives_its_power_back():
    records = [replace(r, minutes=30 * (r.days + 1) ** -0.7) for r in on_a_line(20)]
    found = fit(records, "power law")
    assert (found.a, found.b) == pytest.approx((30, -0.7))
    assert found.minutes(99) == pytest.approx(30 * 100**-0.7)


def test_an_interval_is_the_textbooks():
    found = fit(on_a_line(12, noise=lambda i: 0.1 * (-1) ** i))
    margin = 2.228139 * found.b_error  # Student's t, 10 degrees of freedom
    ends = -math.log(2) / (found.b - margin), -math.log(2) / (found.b + margin)
    assert found.half_life_interval() == pytest.approx(ends, rel=1e-3)
    assert found.half_life_interval(correlated=True) == found.half_life_interval()  # r < 0


def test_neighbours_that_agree_widen_the_interval():
    found = fit(on_a_line(40, noise=lambda i: 0.3 * math.sin(i / 5)))
    assert found.autocorrelation > 0.8
    low, high = found.half_life_interval()
    wide_low, wide_high = found.half_life_interval(correlated=True)
    assert wide_low < low < 100 < high < wide_high
    flat = fit(on_a_line(10, half_life=1e6, noise=lambda i: 0.3 * math.sin(i)))
    assert flat.half_life_interval()[1] == math.inf


@pytest.mark.parametrize(
    "freedom, t, within", [(5, 2.570582, 3e-3), (10, 2.228139, 2e-4), (53, 2.005746, 1e-6)]
)
def test_students_t(freedom, t, within):
    assert student_t(0.975, freedom) == pytest.approx(t, abs=within)


def test_too_few_records_for_a_fit_is_an_error():
    with pytest.raises(ValueError, match="6 records: a fit with an interval needs 7"):
        fit(on_a_line(6))


def test_a_break_in_pace_is_found():
    fast, slow = on_a_line(20), on_a_line(20, half_life=900)
    assert best_break(fast[:12] + slow[12:]) == (12, pytest.approx(1))


def test_a_retiming_is_nobodys_gain():
    corrected, listed = gains(RECORDS), gains(RECORDS, corrected=False)
    assert corrected[22] == pytest.approx(math.log(3.014 / 2.99))
    assert listed[22] == pytest.approx(math.log(2.933 / 2.99)) and listed[22] < 0
    del corrected[22], listed[22]
    assert corrected == listed and min(corrected.values()) > 0
    assert sorted(corrected) == [*range(2, 22), *range(23, 90)]


def test_what_kinds_bought_adds_up_to_the_whole():
    rows = bought(RECORDS)
    assert {row.kind for row in rows} == set(KINDS)
    assert sum(row.middle for row in rows) == pytest.approx(sum(gains(RECORDS).values()))
    assert all(row.low <= row.middle <= row.high for row in rows)
    parts = [bought(RECORDS, *ends) for ends in ((1, 21), (22, 89))]
    for row in rows:
        halves = [r.middle for part in parts for r in part if r.kind == row.kind]
        assert sum(halves) == pytest.approx(row.middle)
    unlabelled = [replace(RECORDS[0]), replace(RECORDS[1], kinds=())]
    assert [row.kind for row in bought(unlabelled)] == ["unsorted"]


def test_a_bundle_is_shared_out():
    three = [replace(r, minutes=m) for r, m in zip(on_a_line(3), (8, 4, 2), strict=True)]
    three[1] = replace(three[1], kinds=("data",))
    three[2] = replace(three[2], kinds=("data", "kernels"))
    data, kernels = bought(three)
    half = math.log(2)
    assert (data.kind, data.alone, data.bundled) == ("data", 1, 1)
    assert (data.low, data.middle, data.high) == pytest.approx((half, 1.5 * half, 2 * half))
    assert (kernels.low, kernels.middle, kernels.high) == pytest.approx((0, half / 2, half))


def test_lines_added_are_between_counted_records():
    changes = line_changes(RECORDS)
    assert sorted(changes) == list(range(3, 90))
    assert changes[62] == 1884 - 2260 and sum(changes.values()) == 2188 - 446


def test_the_readme_of_the_table_names_every_column():
    text = (SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    header = SHIPPED.read_text(encoding="utf-8").splitlines()[0].split(",")
    assert all(f"`{name}`" in text for name in header)
    assert "f411b3d3" in text
