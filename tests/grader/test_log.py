"""`python -m grader log`: real runs held against the published curves."""

import json
import shutil
import sys
from dataclasses import asdict, replace

import pytest

from data.published import record_curve
from grader.__main__ import main
from milestones.harness.cli import execute
from milestones.harness.curve import CurveWriter, Row
from milestones.harness.injection import ROOT
from milestones.harness.run import Options
from tests.conftest import find_script

STEM = "milestone01_muon"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder of a `tiny` run of two steps, as the harness leaves it."""
    script = find_script(STEM)
    args = replace(
        script.PRESETS["tiny"],
        train_files=str(ROOT / "data/exact/exact_train.bin"),
        val_files=str(ROOT / "data/exact/exact_val.bin"),
        num_iterations=2,
        warmdown_iters=1,
        val_batches=1,
    )
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    execute(script, "tiny", args, Options(folder=folder, device="cpu", quiet=True))
    return folder


@pytest.fixture
def record_run(tiny, tmp_path):
    """record_run(points, **changed arguments): the folder of a `record` run with that curve.

    It is the tiny run's, with another preset, arguments and curve.
    """

    def make(points: dict[int, float], **changes):
        folder = shutil.copytree(tiny, tmp_path / "record")
        run = json.loads((folder / "run.json").read_text())
        args = replace(find_script(STEM).PRESETS["record"], **changes)
        run |= {"preset": "record", "args": asdict(args)}
        (folder / "run.json").write_text(json.dumps(run))
        rows = [Row(step, step * args.tokens_per_step, 9.9, loss) for step, loss in points.items()]
        CurveWriter(folder / "curve.csv", rows).file.close()
        return folder

    return make


@pytest.fixture
def log_file(tmp_path):
    def make(*lines: str, end: str = "\n"):
        path = tmp_path / "some.log"
        path.write_text("\n".join(lines) + end)
        return path

    return make


@pytest.fixture
def grader_log(monkeypatch, capfd):
    """grader_log(*argv): exit code, stdout, stderr of `python -m grader log ...`."""

    def run(*argv) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["grader", "log", *map(str, argv)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capfd.readouterr()

    return run


def published(record: int, changes: dict[int, float] | None = None) -> dict[int, float]:
    """A record's own points, with something added at some steps."""
    curve, changes = record_curve(record), changes or {}
    pairs = zip(curve.steps.tolist(), curve.val_loss.tolist(), strict=True)
    return {step: loss + changes.get(step, 0.0) for step, loss in pairs}


def llmc(points: dict[int, float]) -> list[str]:
    """llm.c's lines: a validation, then the training loss of the batch that comes next."""
    lines = []
    for step, loss in points.items():
        lines += [f"s:{step} tel:{loss:.4f}", f"s:{step} trl:{loss:.4f} lr:0.000215 norm:0.90"]
    return lines


def speedrun(points: dict[int, float], total: int) -> list[str]:
    lines = ["import os", '    print(f"step:{step}/{args.num_iterations} val_loss:{loss:.4f}")']
    for step, loss in points.items():
        times = f"train_time:{step * 300}ms step_avg:{300.0 if step else float('nan'):.2f}ms"
        lines.append(f"step:{step}/{total} val_loss:{loss:.4f} {times}")
        lines.append(f"step:{step + 1}/{total} train_loss:{loss:.4f} {times}")
    return lines


def refused(outcome: tuple[int, str, str]) -> str:
    """The one line on stderr of a refusal."""
    code, out, err = outcome
    assert (code, out, err.count("\n")) == (2, "", 1), outcome
    assert err.startswith("error: ")
    return err


def test_a_tiny_run_is_refused_in_a_sentence(tiny, grader_log):
    for path in (tiny, tiny / "log.txt", tiny / "curve.csv"):
        said = refused(grader_log(path))
        assert "a `tiny` run has no published curve" in said and "only `record` runs" in said


def test_record_4_is_inside_its_own_band(record_run, grader_log):
    code, out, _ = grader_log(record_run(published(4)))
    assert code == 0
    assert "milestone01_muon held against record 4, 2024-10-10_Muon" in out
    assert "inside the band at all 51 points; the largest deviation is 0.00 bands" in out
    assert "no gross mistake; it makes no record" in out and "p < 0.01" in out
    assert "width of the band: pooled" in out
    assert "published: 216.3 ms on 8xH100; not judged" in out
    assert len(out.splitlines()) < 20  # some of the points


def test_record_1_is_inside_its_own_band(log_file, grader_log):
    code, out, _ = grader_log(log_file(*llmc(published(1))))
    assert code == 0
    assert "milestone00_baseline held against record 1" in out and "at all 80 points" in out
    assert "time a step: unknown; published: 140.0 ms" in out


def test_a_shift_at_step_250_is_outside(record_run, log_file, grader_log):
    for record, path in [
        (4, record_run(published(4, {250: 0.05}))),
        (1, log_file(*llmc(published(1, {250: 0.05})))),
    ]:
        code, out, _ = grader_log(path)
        assert code == 1
        assert "first at step 250: +0.0500, that is 1.24 bands" in out, record
        assert "outside at 1 of" in out and "no gross mistake" not in out
        (row,) = [line for line in out.splitlines() if line.endswith("  outside")]
        assert row.split()[0] == "250" and row.split()[3:] == ["+0.0500", "0.0402", "outside"]


def test_the_worst_point_need_not_be_the_first_outside(record_run, grader_log):
    _, out, _ = grader_log(record_run(published(4, {250: -0.05, 6000: 0.03})))
    assert "first at step 250: -0.0500, that is 1.24 bands" in out
    assert "outside at 2 of 51 points; the largest deviation is 5.00 bands, at step 6000" in out


def test_a_log_in_the_speedruns_shape(log_file, grader_log):
    points = {step: loss for step, loss in published(4).items() if step <= 1000}
    code, out, _ = grader_log(log_file(*speedrun(points, 6200)))
    assert code == 0
    assert "unfinished: judged up to step 1000 of 6200, on 9 of 51 published points" in out
    assert "time a step: 300.0 ms; published: 216.3 ms" in out
    code, out, _ = grader_log(log_file(*speedrun(published(29), 1670)), "--milestone", "00")
    assert code == 2  # not that milestone's number of steps


def test_a_record_with_several_runs_is_not_called_pooled(log_file, grader_log):
    code, out, _ = grader_log(log_file(*speedrun(published(33), 1660)))
    assert code == 0
    assert "the mean of 10 published runs" in out and "pooled" not in out


def test_only_steps_that_were_published_are_judged(record_run, log_file, grader_log):
    between = {step: 9.0 for step in range(50, 6200, 50) if step % 125}
    code, out, _ = grader_log(record_run(published(4) | between, val_loss_every=25))
    assert code == 0 and "at all 51 points" in out
    said = refused(grader_log(log_file(*speedrun(between, 6200))))
    assert "no step of this run was published: those were 0, 125, 250" in said


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"batch_size": 256}, "its batch_size is 256, the published run's 512"),
        ({"num_iterations": 30, "warmdown_iters": 10}, "num_iterations is 30"),
        ({"model_dim": 384, "learning_rate": 1.0}, "its model_dim is 384"),
        ({"train_files": "data/mine/mine_*.bin"}, "train_files is 'data/mine/mine_*.bin'"),
    ],
)
def test_other_arguments_are_refused_by_name(record_run, grader_log, changes, said):
    message = refused(grader_log(record_run(published(4), **changes)))
    assert "no published curve to be held against" in message and said in message


def test_what_does_not_change_the_curve_may_differ(record_run, grader_log):
    free = {"seed": 7, "device_batch_size": 8, "compile": "no", "fused": False}
    elsewhere = {"train_files": "/disk/fineweb_train_*.bin"}
    assert grader_log(record_run(published(4), **free, **elsewhere))[0] == 0


def test_the_milestone_is_recognised_only_where_it_is_unambiguous(log_file, grader_log):
    path = log_file(*speedrun(published(6), 5100))
    said = refused(grader_log(path))
    assert "milestone02_modern_arch and milestone03_distributed_muon" in said
    assert "--milestone" in said
    path = log_file(*speedrun(published(4), 600))
    assert "600 steps fit no milestone" in refused(grader_log(path))
    path = log_file(*llmc({step: loss for step, loss in published(1).items() if step < 4000}))
    assert "3750 steps fit no milestone" in refused(grader_log(path))
    assert grader_log(path, "--milestone", "00")[0] == 0


def test_the_milestone_asked_for_must_be_that_of_the_run(record_run, log_file, grader_log):
    folder = record_run(published(4))
    assert grader_log(folder, "--milestone", STEM)[0] == 0
    assert "a run of milestone01_muon" in refused(grader_log(folder, "--milestone", "00"))
    assert "there is no milestone 77" in refused(grader_log(folder, "--milestone", "77"))
    path = log_file(*speedrun(published(4), 6200))
    assert "milestone00_baseline has 19560" in refused(grader_log(path, "--milestone", "00"))


@pytest.mark.parametrize(
    "line, said",
    [
        ("step:250/6200 val_loss:4.5x19 train_time:1ms step_avg:1.00ms", "line 2: 'step:250/6200"),
        ("step:250/6200 val_loss:4.5819 train_time:1ms", "is not like `step:125/6200"),
        ("step:250/6200", "line 2"),
        ("s:250 tel:", "line 2: 's:250 tel:'"),
        ("step:250/5100 val_loss:4.5819 train_time:1ms step_avg:1.00ms", "of 5100 and 6200 steps"),
    ],
)
def test_a_malformed_line_is_named(log_file, grader_log, line, said):
    first, last = speedrun({0: 10.9, 500: 4.0}, 6200)[2::2]
    assert said in refused(grader_log(log_file(first, line, last)))


def test_a_last_line_that_was_cut_off_is_left_out(log_file, grader_log):
    lines = speedrun({0: 10.9264, 125: 5.2017}, 6200)[2::2]
    for rest in ("step:250/6200 val_loss:4.", "step:250/6200 val_loss:4.5819 train_time:5", "s:2"):
        code, out, _ = grader_log(log_file(*lines, rest, end=""))
        assert code == 0 and "up to step 125" in out


@pytest.mark.parametrize("text", ["", "\n\n", "import torch\nnothing of the kind\n"])
def test_a_log_without_a_validation_is_refused(log_file, grader_log, text):
    assert "no validation in it; expected lines like" in refused(grader_log(log_file(text, end="")))


def test_a_run_without_a_validation_yet_is_refused(record_run, grader_log):
    assert "there is no validation loss in it yet" in refused(grader_log(record_run({})))


@pytest.mark.parametrize("record, shape", [(1, llmc), (4, lambda p: speedrun(p, 6200))])
def test_a_loss_that_is_not_a_number_is_outside(log_file, grader_log, record, shape):
    code, out, _ = grader_log(log_file(*shape(published(record, {500: float("nan")}))))
    assert (code, out) == (1, "outside the band: the validation loss is nan at step 500\n")


def test_what_is_no_run_is_refused(tiny, tmp_path, grader_log):
    assert "there is no such run folder or log" in refused(grader_log(tmp_path / "nowhere"))
    assert "no run.json: not a run folder" in refused(grader_log(tmp_path))
    folder = shutil.copytree(tiny, tmp_path / "damaged")
    (folder / "curve.csv").write_text("step,tokens,train_loss,val_loss,train_time_ms\n0,0,x,,\n")
    assert "is damaged" in refused(grader_log(folder))
    (folder / "curve.csv").unlink()
    assert "no curve.csv" in refused(grader_log(folder))
    (folder / "run.json").write_text("{")
    assert "is damaged" in refused(grader_log(folder))
