"""The published figures: consistent with each other, with milestones.toml, and sourced."""

import subprocess
import sys

import numpy as np
import pytest

from data.published import FOLDER, progress_text, published_curve, read_table, record_curve
from milestones.table import milestones

RECORDS = {row["record"]: row for row in read_table("records")}
WITH_CURVE = sorted({row["record"] for row in read_table("curves")})


@pytest.mark.parametrize("milestone", milestones(), ids=lambda m: m.number)
def test_milestones_toml_states_the_published_run(milestone):
    (row,) = [row for row in RECORDS.values() if row["log"] == milestone.log]
    assert milestone.steps == row["steps"]
    assert milestone.tokens == row["tokens"]
    assert milestone.val_loss == pytest.approx(row["val_loss"], abs=5e-5)
    assert milestone.minutes == pytest.approx(row["log_minutes"], abs=0.05)


def test_every_milestone_has_a_curve_of_a_record():
    names = [row["milestone"] for row in read_table("milestones")]
    assert [name[:11] for name in names] == [f"milestone{n:02d}" for n in range(10)]
    assert {m.stem for m in milestones()} <= set(names)
    for row in read_table("milestones"):
        told = range(row["first_record"], row["last_record"] + 1)
        assert {n for n in RECORDS if RECORDS[n]["milestone"] == row["milestone"]} == set(told)
        assert published_curve(row["milestone"]).record == row["held_against"]
    gradient_communication = published_curve("milestone07_gradient_communication")
    assert gradient_communication is published_curve("milestone06_flash_attention_3")


@pytest.mark.parametrize("record", WITH_CURVE)
def test_a_curve_ends_as_its_record_says(record):
    curve, row = record_curve(record), RECORDS[record]
    assert (curve.total_steps, curve.log, curve.runs) == (row["steps"], row["log"], row["runs"])
    assert curve.tokens[-1] == row["tokens"]
    assert curve.val_loss[-1] == pytest.approx(row["val_loss"], abs=5e-5)
    assert (np.diff(curve.steps) > 0).all()
    assert (np.diff(curve.tokens / np.maximum(curve.steps, 1))[1:] == 0).all()  # constant batch
    assert ((curve.low <= curve.val_loss) & (curve.val_loss <= curve.high)).all()
    assert np.isnan(curve.std).all() == (curve.runs == 1)


@pytest.mark.parametrize("record", [n for n in WITH_CURVE if n not in (1, 2)])
def test_minutes_are_the_time_of_the_curve(record):
    curve, row = record_curve(record), RECORDS[record]
    milliseconds = curve.time_ms[-1]
    untimed = 10 if record <= 21 else 0
    assert row["log_minutes"] == pytest.approx(milliseconds / 60_000, abs=6e-4)
    assert row["step_avg_ms"] == pytest.approx(milliseconds / (row["steps"] - untimed), abs=6e-3)
    assert row["minutes"] == pytest.approx(row["log_minutes"], rel=0.01)
    assert (np.diff(curve.time_ms[np.isfinite(curve.time_ms)]) > 0).all()


@pytest.mark.parametrize(
    "record, step, val_loss",
    [
        (1, 250, 6.1710),
        (1, 8000, 3.4431),
        (1, 19560, 3.2722),
        (2, 4096, 3.5234),
        (4, 125, 5.2017),
        (4, 250, 4.5819),
        (5, 0, 16.006),
        (7, 1000, 3.6837),
        (8, 4578, 3.2762),
        (9, 2500, 3.3795),
        (10, 3242, 3.2781),
        (11, 0, 10.8258),
        (11, 3000, 3.2753),
        (12, 1500, 3.3823),
        (23, 250, 4.1062),
    ],
)
def test_spot_values_of_the_logs(record, step, val_loss):
    assert record_curve(record).at(step) == pytest.approx(val_loss, abs=5e-4)


def test_between_two_points_the_curve_is_straight_and_outside_there_is_none():
    curve = published_curve("milestone01_muon")
    assert curve.at(150) == pytest.approx(0.8 * 5.2017 + 0.2 * 4.5819)
    assert curve.at(-1) is None and curve.at(6201) is None


@pytest.mark.parametrize(
    "record, step, band",
    [
        (4, 1, 3 * 0.0134),
        (4, 620, 3 * 0.0134),
        (4, 621, 3 * 0.0176),
        (4, 1241, 3 * 0.0165),
        (4, 4340, 3 * 0.0065),
        (4, 5890, 3 * 0.0026),
        (4, 6200, 3 * 0.0020),
        (12, 1, 3 * 0.0134),
        (12, 1875, 3 * 0.005),  # its own spread is wider
        (29, 1670, 3 * 0.0020),  # its own is narrower, of seven runs
        (11, 0, 0.0005),  # tells ln 50304 from ln 50257
        (4, 0, 0.1485),
    ],
)
def test_the_band_is_three_pooled_standard_deviations(record, step, band):
    assert record_curve(record).band(step) == pytest.approx(band, abs=1e-5)


def test_equal_runs_lie_within_each_others_band():
    for record in (29, 33, 41, 43):
        curve = record_curve(record)
        assert not curve.pooled
        for step, low, mean, high in zip(
            curve.steps, curve.low, curve.val_loss, curve.high, strict=True
        ):
            assert max(mean - low, high - mean) < curve.band(step), (record, step)
    same_training = [record_curve(record) for record in (5, 6, 7)]
    for a in same_training:
        assert a.pooled
        for b in same_training:
            assert all(abs(a.at(step) - b.at(step)) < a.band(step) for step in a.steps)


def test_the_ladder_goes_from_a_shorter_record_8_to_record_9():
    ladder = read_table("ablation_ladder")
    losses = [row["val_loss"] for row in ladder]
    assert (losses[0], losses[-1]) == (3.3274, RECORDS[9]["val_loss"])
    gains = [row["gain"] for row in ladder]
    assert gains[0] is None and gains[1:] == pytest.approx(-np.diff(losses), abs=1e-9)
    assert ladder[-1]["step_avg_ms"] == RECORDS[9]["step_avg_ms"]
    assert {row["steps"] for row in ladder} == {RECORDS[9]["steps"]}


def test_optimizers_were_compared_over_the_steps_of_record_7():
    rows = read_table("optimizers")
    assert {row["steps"] for row in rows} == {RECORDS[7]["steps"]}
    assert min(rows, key=lambda row: row["val_loss"])["optimizer"] == "SOAP"
    assert min(rows, key=lambda row: row["step_avg_ms"])["optimizer"] == "Adam"


def test_every_table_has_a_source():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "f411b3d3" in readme
    for path in FOLDER.glob("*.csv"):
        (line,) = [line for line in readme.splitlines() if line.startswith(f"| `{path.name}`")]
        assert len(line.split("|")[3].strip()) > 10, path.name
        for row in read_table(path.stem):
            if "log" in row and row.get("record") != 3:
                assert row["log"] is not None, row


def test_a_line_beside_a_validation():
    stem = "milestone01_muon"
    assert progress_text(stem, 250, 4.5939) == "published 4.5819, +0.012 (band 0.040)"
    assert progress_text(stem, 6200, 3.2755) == "published 3.2785, -0.003 (band 0.006)"
    assert progress_text(stem, 251, 4.5939) == ""
    assert progress_text(stem, 6325, 3.2) == ""
    assert progress_text("milestone99_fusion", 250, 4.5939) == ""


@pytest.mark.parametrize(
    "ask, names",
    [
        (lambda: published_curve("milestone99_fusion"), "milestone00_baseline, milestone01_muon"),
        (lambda: record_curve(3), "choose from 1, 2, 4"),
        (lambda: read_table("prices"), "ablation_ladder, curves"),
    ],
)
def test_what_was_not_published_is_an_error_that_names_the_choices(ask, names):
    with pytest.raises(ValueError, match=names):
        ask()


def test_reading_needs_no_torch():
    code = "import sys, data.published as p; p.published_curve('milestone09_record'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
