"""What a finished run leaves behind, and what a run that goes wrong says."""

import csv
import importlib.metadata
import json
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import torch

from data.published import progress_text
from milestones.harness import Run, main
from milestones.harness.curve import COLUMNS, CurveWriter, Row, read_curve
from milestones.harness.injection import ROOT
from milestones.harness.ranks import Ranks
from milestones.harness.run import Options, new_folder
from tests.conftest import STEMS, find_script, untimed

# step:125/6200 val_loss:5.2017 train_time:24564ms step_avg:213.60ms; no average, no number
LOG_LINE = re.compile(
    r"step:\d+/\d+ (val|train)_loss:\d+\.\d{4} train_time:\d+ms step_avg:(\d+\.\d\d|nan)ms"
)


@pytest.fixture(scope="module")
def finished(script, tmp_path_factory):
    """One finished `exact` run a milestone: (script, run folder)."""
    work = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        main(script.__name__, ["exact"])
    (folder,) = (work / "runs").glob("*/*")
    return script, folder


def test_leaves_its_files(finished):
    script, folder = finished
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "log.txt",
        "curve.csv",
        "curve.png",
        "run.json",
        "source/train_gpt.py",
        "checkpoint.pt",
    }
    stem = script.__name__.split(".")[1]
    assert folder.parent.name == stem
    assert re.fullmatch(r"\d{8}-\d{6}-exact", folder.name)
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    source = ROOT / "milestones" / stem / "train_gpt.py"
    assert (folder / "source" / "train_gpt.py").read_bytes() == source.read_bytes()


def test_log_lines_have_the_speedruns_shape(finished):
    script, folder = finished
    args = script.PRESETS["exact"]
    lines = (folder / "log.txt").read_text().splitlines()
    assert not [line for line in lines if not LOG_LINE.fullmatch(line)]
    measured = [line for line in lines if "val_loss" in line]
    assert [int(line[5:].split("/")[0]) for line in measured] == [0, 20, 40]
    trained = [line for line in lines if "train_loss" in line]
    assert [int(line[5:].split("/")[0]) for line in trained] == [*range(1, args.num_iterations + 1)]
    assert "nan" not in measured[-1]


def test_curve_has_a_row_a_step(finished):
    script, folder = finished
    args = script.PRESETS["exact"]
    with (folder / "curve.csv").open(newline="") as file:
        header, *records = csv.reader(file)
    assert header == ["step", "tokens", "train_loss", "val_loss", "train_time_ms"] == COLUMNS
    assert [int(record[0]) for record in records] == [*range(args.num_iterations + 1)]
    tokens_per_step = args.batch_size * args.sequence_length
    assert [int(record[1]) for record in records] == [i * tokens_per_step for i in range(41)]
    assert [int(r[0]) for r in records if r[3]] == [0, 20, 40]
    assert [int(r[0]) for r in records if not r[2]] == [40]  # meets no batch
    times = [float(record[4]) for record in records]
    assert times == sorted(times)
    assert times[args.untimed_steps] == 0 < times[args.untimed_steps + 1]


def test_curve_agrees_with_the_one_in_memory_and_starts_near_ln_v(finished, exact_curve):
    script, folder = finished
    rows = read_curve(folder / "curve.csv")
    assert untimed(rows) == untimed(exact_curve(script))  # twice the same run
    assert abs(rows[0].val_loss - math.log(script.PRESETS["exact"].vocab_size)) < 0.5
    assert rows[-1].val_loss < rows[0].val_loss - 0.5


def test_checkpoint_holds_the_trained_weights(finished):
    script, folder = finished
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    args = script.PRESETS["exact"]
    assert content["step"] == args.num_iterations
    assert content["clock"]["steps"] == args.num_iterations - args.untimed_steps
    model = script.GPT(args).to(torch.float64)
    model.load_state_dict(content["state"]["model"])
    assert all(p.isfinite().all() for p in model.parameters())


def test_run_json(finished):
    script, folder = finished
    args = script.PRESETS["exact"]
    content = json.loads((folder / "run.json").read_text())
    assert content["milestone"] == script.__name__.split(".")[1]
    assert content["preset"] == "exact"
    assert content["args"]["num_iterations"] == 40
    assert set(content["args"]) == set(args.__dataclass_fields__)
    assert content["implementation"] == "" and content["injected"] == []
    assert content["world_size"] == 1 and content["threads"] == 1
    assert content["versions"]["torch"] == torch.__version__
    assert content["versions"]["numpy"] == importlib.metadata.version("numpy")
    summary = content["summary"]
    assert summary["val_loss"] == read_curve(folder / "curve.csv")[-1].val_loss
    model = script.GPT(args)
    assert summary["parameters"] == sum(p.numel() for p in model.parameters())
    assert 0 < summary["cpu_seconds"] < 600
    tokens_per_second = 1000 * args.tokens_per_step / summary["step_avg_ms"]
    assert summary["tokens_per_second"] == pytest.approx(tokens_per_second)


def test_run_that_is_not_quiet_says_where_it_writes(script, cli, here):
    code, out, err = cli(script, "exact", "--folder", "a/b")
    assert (code, err) == (0, "")
    stem = script.__name__.split(".")[1]
    first, *lines, last, sample = out.splitlines()
    assert first == f"{stem} exact, cpu, writing a/b/"
    assert all(LOG_LINE.fullmatch(line) and "val_loss" in line for line in lines)
    assert last.startswith("val_loss ") and last.endswith("curve in a/b/curve.png")
    assert sample.endswith("python -m milestones.sample a/b")
    assert len(read_curve(here / "a/b/curve.csv")) == 41


def test_quiet_run_of_a_learners_file(script, cli, here):
    """Nothing on the terminal; what was injected stands in the log, and the file is kept."""
    stem = script.__name__.split(".")[1]
    (here / "mine").mkdir()
    text = (ROOT / "solutions" / f"{stem}.py").read_text() + "\n# tried at midnight\n"
    (here / "mine" / f"{stem}.py").write_text(text)
    flags = ["--quiet", "--folder", "run", "--implementation", "mine"]
    assert cli(script, "exact", *flags) == (0, "", "")
    log = (here / "run" / "log.txt").read_text()
    assert log.startswith(f"implementation: {here}/mine/{stem}.py: ")
    assert (here / "run" / "source" / f"{stem}.py").read_text() == text
    assert (here / "run" / "source" / "train_gpt.py").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_the_run_with_a_sentence(
    script, cli, here, monkeypatch, value
):
    log_train = Run.log_train

    def break_at_3(run, step, loss):
        log_train(run, step, loss * value if step == 3 else loss)

    monkeypatch.setattr(Run, "log_train", break_at_3)
    code, _, err = cli(script, "exact", "--folder", "run")
    assert (code, err) == (1, f"error: the training loss is {value} at step 3: stopped\n")
    rows = read_curve(here / "run" / "curve.csv")
    assert [math.isfinite(row.train_loss) for row in rows] == [True, True, True, False]
    assert "summary" not in json.loads((here / "run" / "run.json").read_text())


def test_learning_rate_that_blows_the_weights_up(cli):
    """The same without a hand in it."""
    code, _, err = cli(find_script(STEMS[0]), "exact", "--learning-rate", "1e308")
    assert code == 1
    assert re.fullmatch(r"error: the training loss is (nan|inf) at step \d: stopped\n", err)


def test_weights_that_break_in_the_last_step_are_noticed(script, cli, monkeypatch):
    """No training loss follows the last update: the validation loss must be looked at."""
    log_validation = Run.log_validation

    def break_at_40(run, step, val_loss):
        log_validation(run, step, math.nan if step == 40 else val_loss)

    monkeypatch.setattr(Run, "log_validation", break_at_40)
    code, _, err = cli(script, "exact")
    assert (code, err) == (1, "error: the validation loss is nan after the last step\n")


def test_two_runs_that_begin_in_the_same_second_do_not_share_a_folder(tmp_path):
    first = new_folder(tmp_path / "runs" / "m" / "now-exact")
    second = new_folder(tmp_path / "runs" / "m" / "now-exact")
    third = new_folder(tmp_path / "runs" / "m" / "now-exact")
    assert [f.name for f in (first, second, third)] == ["now-exact", "now-exact-2", "now-exact-3"]
    assert all(f.is_dir() for f in (first, second, third))


def test_read_curve_drops_a_last_line_cut_off_by_a_kill(tmp_path):
    path = tmp_path / "curve.csv"
    rows = [Row(0, 0, 4.25, 4.5, 0.0), Row(1, 384, 4.125, math.nan, 1.5), Row(2, 768)]
    writer = CurveWriter(path, rows[:1])
    writer.append(rows[1])
    writer.append(rows[2])
    assert untimed(read_curve(path)) == untimed(rows)
    assert read_curve(path)[1].train_time_ms == 1.5
    whole = path.read_text()
    for length in range(len(whole)):  # killed at any byte
        path.write_text(whole[:length])
        complete = max(whole[:length].count("\n") - 1, 0)
        assert untimed(read_curve(path)) == untimed(rows[:complete])


def test_curve_writer_keeps_every_digit(tmp_path):
    value = 1 / 3 + 1e-16
    CurveWriter(tmp_path / "curve.csv", [Row(7, 5, value, -0.0, 0.001)])
    (row,) = read_curve(tmp_path / "curve.csv")
    assert (row.train_loss, row.step) == (value, 7)
    assert math.copysign(1, row.val_loss) == -1


# ------------------------------------------------------- what a long run says beside its log lines


def test_forecast_after_twenty_timed_steps(script, cli, here, monkeypatch):
    """Once, in the log too; not in a run that has less than a minute to go."""
    flags = ["exact", "--price-per-hour", 24, "--folder", "run"]
    monkeypatch.setattr("milestones.harness.run.WORTH_A_FORECAST", 0)
    code, _, err = cli(script, *flags)
    assert code == 0
    line = r"\d+\.\d ms a step: done in \d+ s, \w{3} \d\d:\d\d, validation not counted"
    assert re.fullmatch(rf"{line}; \$0\.\d\d so far, \$0\.\d\d then\n", err)
    log = (here / "run" / "log.txt").read_text()
    assert log.index("step:30/40 train_loss") < log.index(err) < log.index("step:31/40 train_loss")


def test_forecast_in_figures(script, tmp_path, capfd):
    options = Options(folder=tmp_path, price_per_hour=30.0)
    run = Run(script, "tiny", script.PRESETS["tiny"], options, Ranks(0, 1, torch.device("cpu")))
    run.clock.milliseconds, run.clock.steps = 4000.0, 20
    run.started -= 360  # seconds ago
    run.forecast(7200)
    end = f"{datetime.now() + timedelta(hours=2):%a %H:}"
    said = capfd.readouterr().err
    assert said.startswith(f"200.0 ms a step: done in 2.0 h, {end}")
    assert said.endswith("; $3.00 so far, $63.00 then\n")
    run.forecast(59)
    assert capfd.readouterr().err == ""


def validate(script, capfd, folder, preset="record", ranks=(0, 1), **changes) -> str:
    """What is printed when a run is at 4.5 nats after the second published validation."""
    args = replace(script.PRESETS[preset], **changes)
    options = Options(folder=folder)
    run = Run(script, preset, args, options, Ranks(*ranks, torch.device("cpu")))
    capfd.readouterr()
    run.log_validation(args.val_loss_every, 4.5)
    return capfd.readouterr().out


FREE = {"device_batch_size": 8, "compile": "no", "fused": False, "seed": 7}
FREE["allow_repeat"] = True  # milestone 00 has to
FREE["train_files"] = "/elsewhere/fineweb_train_*.bin"


@pytest.mark.parametrize("changes", [{}, FREE], ids=["published", "same curve"])
def test_record_run_is_held_against_the_published_curve(script, tmp_path, capfd, changes):
    """On the terminal, in a line of its own: log.txt is for tools."""
    out = validate(script, capfd, tmp_path / "run", **changes).splitlines()
    milestone, args = script.__name__.split(".")[1], script.PRESETS["record"]
    text = progress_text(milestone, args.val_loss_every, 4.5)
    assert text and out[-1] == f"    {text}"
    assert LOG_LINE.fullmatch(out[-2])
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "val_loss:4.5000" in log and "published" not in log
    assert validate(script, capfd, tmp_path / "rank 1", ranks=(1, 2)) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"beta1": 0.5},
        {"val_batches": 1},
        {"train_files": "mine_*.bin"},
        {"preset": "tiny"},
    ],
    ids=str,
)
def test_other_runs_are_not(script, tmp_path, capfd, changes):
    assert "published" not in validate(script, capfd, tmp_path / "run", **changes)


def test_every_milestone_of_the_table_has_a_script(script):
    assert find_script(script.__name__.split(".")[1]) is script
    assert set(script.PRESETS) == {"exact", "tiny", "record"}
