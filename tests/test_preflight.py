"""The preflight: what it refuses, what it warns of, what it forecasts; and the launch file."""

import importlib
import os
import re
import subprocess
import types
from dataclasses import replace

import numpy as np
import pytest
import torch

from data.fineweb import shards_read, verify, write_sums
from data.shards import HEADER_BYTES, ROOT, read_shard, write_shard
from milestones.harness import Run
from milestones.harness.cli import parse
from milestones.harness.preflight import preflight
from milestones.harness.ranks import Ranks
from milestones.harness.run import Options
from milestones.table import find_milestone, milestones
from tests.conftest import STEMS, find_script, hashes

H100 = ("NVIDIA H100 80GB HBM3", 85e9, 9)
DISK = types.SimpleNamespace  # of shutil.disk_usage


@pytest.fixture
def shards(here):
    """FineWeb's two first files, too short for a record run, in ./fineweb."""
    tokens = np.array(read_shard(ROOT / "data" / "exact" / "exact_train.bin"))
    for name in ("train_000001", "val_000000"):
        write_shard(here / "fineweb" / f"fineweb_{name}.bin", tokens)
    return here / "fineweb"


NARROW = [  # a record run that the shards above are enough for
    *("--train-files", "fineweb/fineweb_train_*.bin", "--val-files", "fineweb/fineweb_val_*.bin"),
    *("--batch-size", 4, "--sequence-length", 16, "--num-iterations", 3, "--warmup-iters", 1),
    *("--num-layers", 2, "--num-heads", 2, "--model-dim", 8, "--val-batches", 1),
]


def narrow(script) -> list:
    fields = script.Hyperparameters.__dataclass_fields__
    return NARROW + (["--warmdown-iters", 1] if "warmdown_iters" in fields else [])


@pytest.fixture
def gpus(monkeypatch):
    """gpus(*cards): this machine now has these, each (name, bytes, major compute capability)."""

    def install(*cards):
        properties = [
            types.SimpleNamespace(name=name, total_memory=memory, major=major)
            for name, memory, major in cards
        ]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cards))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
        monkeypatch.setattr(torch.cuda, "get_device_properties", properties.__getitem__)

    return install


@pytest.fixture
def refused(cli, here):
    """refused(script, *argv): the sentence of a refusal that left no trace."""

    def run(script, *argv) -> str:
        before = hashes(here), sorted(here.iterdir())
        code, out, err = cli(script, *argv)
        errors = [line for line in err.splitlines() if not line.startswith("preflight: ")]
        assert (code, out, len(errors)) == (2, "", 1), err
        assert errors[0].startswith("error: ") and len(errors[0]) < 500
        assert (hashes(here), sorted(here.iterdir())) == before
        return errors[0]

    return run


# ------------------------------------------------------------------------------------------- GPUs


@pytest.mark.parametrize("flags", [[], ["--preflight"]], ids=["run", "preflight"])
def test_record_on_a_machine_without_a_gpu(script, refused, gpus, shards, flags):
    gpus()
    err = refused(script, "record", *narrow(script), *flags)
    assert "1, 2, 4 or 8 GPUs" in err and "insist with --device cpu" in err


def test_cpu_if_one_insists(script, cli, gpus, shards):
    gpus()
    flags = ["record", *narrow(script), "--device", "cpu"]
    code, out, err = cli(script, *flags, "--preflight")
    assert (code, out) == (0, "") and "passed; nothing was trained" in err
    assert not list(shards.parent.glob("runs"))
    code, out, err = cli(script, *flags)
    assert code == 0 and out.splitlines()[-2].startswith("val_loss ")
    assert "how long it takes on a CPU is not known" in err
    (log,) = shards.parent.glob("runs/*/*/log.txt")
    assert "preflight: " in log.read_text()


def test_other_presets_have_a_preflight_if_asked(script, cli, here):
    code, _, err = cli(script, "exact", "--preflight")
    assert code == 0 and list(here.iterdir()) == []
    assert "exact_train.bin: all whole, the run reads 1 of 1" in err
    assert "preflight" not in "".join(cli(script, "exact")[1:])


@pytest.fixture
def said(shards, capfd):
    """said(stem, ranks, **changes): what the preflight of a published run on GPUs says."""

    def run(stem=STEMS[-1], ranks=1, price=0.0, **changes) -> str:
        script = find_script(stem)
        small = {"train_files": "fineweb/fineweb_train_*.bin", "allow_repeat": True}
        small["val_files"] = "fineweb/fineweb_val_*.bin"
        tokens = np.zeros(2 * 512 * 1024 + 1, dtype=np.uint16)
        for path in shards.iterdir():
            write_shard(path, tokens)
        args = replace(script.PRESETS["record"], **small | changes)
        options = Options(device="cuda", price_per_hour=price)
        capfd.readouterr()
        preflight(Run(script, "record", args, options, Ranks(0, ranks, torch.device("cuda", 0))))
        return capfd.readouterr().err

    return run


def test_eight_h100s_are_fine(gpus, said):
    gpus(*[H100] * 8)
    err = said(ranks=8)
    assert "preflight: 8 x NVIDIA H100 80GB HBM3 with 79 GiB" in err and "warning" not in err
    params = find_milestone(STEMS[-1]).params
    assert f"{2 * 12 * params / 1e9:.1f} GB" in err  # two checkpoints of 12 bytes a parameter


def test_gpus_that_differ(gpus, said):
    gpus(H100, ("NVIDIA H100 PCIe", 85e9, 9))
    assert "warning: the GPUs differ: NVIDIA H100 80GB HBM3" in said(ranks=2)
    gpus(H100, ("NVIDIA H100 80GB HBM3", 40e9, 9))
    assert "warning: the GPUs differ" in said(ranks=2)


def test_gpus_that_would_stand_idle(gpus, said):
    gpus(*[H100] * 6)
    warning = (
        f"uses 1 of 6 GPUs: torchrun --standalone --nproc_per_node=4 -m milestones.{STEMS[-1]}"
    )
    assert warning in said(ranks=1)
    assert "GPUs:" not in said(ranks=4)


def test_card_that_is_small_or_old(gpus, said):
    gpus(("NVIDIA RTX A5000", 25.3e9, 8))
    err = said()
    assert "64 rows may not fit" in err and "--device-batch-size 16 " in err  # 64 x 25.3 / 80: 20
    assert "may not fit" not in said(device_batch_size=16)
    assert "bfloat16" not in err
    gpus(("Tesla V100", 34e9, 7))
    assert "Tesla V100 lacks bfloat16" in said()


# ----------------------------------------------------------------------------------- time and cost


def test_estimate_is_the_published_time_in_proportion(gpus, said):
    gpus(*[H100] * 8)
    published = find_milestone("milestone01_muon")
    assert published.minutes == 22.3
    assert "about 29 min: 22 min in proportion" in said("milestone01_muon", ranks=8)
    assert "about 29 min, $11.72: " in said("milestone01_muon", ranks=8, price=24.0)
    assert "about 3.1 h, $9.27: " in said("milestone01_muon", ranks=1, price=3.0)  # 185.4 min
    half = said("milestone01_muon", ranks=8, num_iterations=3100)
    assert "about 18 min: 11 min in proportion" in half
    assert "none of it measured" in half


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_price_that_is_none(script, refused, price):
    assert "dollars are needed" in refused(script, "exact", f"--price-per-hour={price}")


# ------------------------------------------------------------------------------------ disk, shards


def test_disk_without_room(script, refused, shards, monkeypatch):
    asked = []

    def usage(path):
        asked.append(path)
        return DISK(free=1000)

    monkeypatch.setattr("shutil.disk_usage", usage)
    flags = [*narrow(script), "--device", "cpu", "--folder", "new/run"]
    err = refused(script, "record", *flags)
    assert "new/run: 0.0 GB free, checkpoints need 0.0 GB: make room" in err
    assert asked == [shards.parent]  # the nearest folder that is there


def test_half_a_shard(script, refused, shards):
    path = shards / "fineweb_train_000001.bin"
    os.truncate(path, HEADER_BYTES + 1000)
    err = refused(script, "record", *narrow(script), "--device", "cpu")
    assert "fineweb/fineweb_train_000001.bin: truncated" in err
    assert f"python -m data.fineweb --shards 1 --folder {shards} fetches 0.2 GB" in err


def test_no_shards(script, refused, here, monkeypatch):
    monkeypatch.setattr("data.shards.ROOT", here)
    for module in "shards", "fineweb":
        monkeypatch.setattr(f"data.{module}.FINEWEB", here / "data" / "fineweb10B")
    err = refused(script, "record", "--device", "cpu")
    milestone = find_milestone(script.__name__.split(".")[1])
    size = f"{(shards_read(milestone) + 1) * 0.2:.1f} GB"  # and the validation shard
    assert f"python -m data.fineweb --milestone {milestone.number} fetches {size}" in err


def test_too_few_shards(script, refused, shards, monkeypatch):
    flags = ["record", *narrow(script), "--device", "cpu", "--num-iterations", 5_000_000]
    err = refused(script, *flags)
    assert "batches of 64 tokens, the run needs 5000000" in err and "--allow-repeat" in err
    assert "--shards 4" in err and "make room" not in err
    monkeypatch.setattr("shutil.disk_usage", lambda path: DISK(free=500_000_000))
    err = refused(script, *flags)
    assert "make room: python -m data.fineweb" in err and "0.5 GB are free" in err


def test_there_are_no_more_shards_than_all(script, refused, shards, monkeypatch):
    monkeypatch.setattr("data.fineweb.TRAIN_SHARDS", 1)
    flags = ["record", *narrow(script), "--device", "cpu", "--num-iterations", 5_000_000]
    err = refused(script, *flags)
    assert "the run needs 5000000: these are all the shards there are: pass --allow-repeat" in err
    assert "more shards" not in err and "--shards 4" not in err


def test_shards_of_ones_own_get_no_download(script, refused, shards):
    (shards / "fineweb_train_000001.bin").rename(shards / "mine.bin")
    flags = [*narrow(script), "--device", "cpu", "--train-files", "fineweb/mine.bin"]
    err = refused(script, "record", *flags, "--num-iterations", 5_000_000)
    assert "fineweb/mine.bin" in err and "data.fineweb" not in err


def test_sha256_is_compared_if_asked(script, cli, refused, shards):
    paths = list(shards.iterdir())
    sums = {path.name: verify(path, None) for path in paths}
    write_sums(shards, sums)
    flags = ["record", *narrow(script), "--device", "cpu", "--preflight"]
    assert cli(script, *flags, "--thorough")[0] == 0
    write_sums(shards, sums | {"fineweb_train_000001.bin": "0" * 64})
    assert cli(script, *flags)[0] == 0
    code, _, err = cli(script, *flags, "--thorough")
    last = err.splitlines()[-1]
    assert code == 2 and "fineweb_train_000001.bin: SHA-256 is" in last
    assert last.endswith(f": run python -m data.fineweb --shards 1 --folder {shards} again")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--thorough", "add --preflight"),
        ("--rehearse --preflight", "pass one of them"),
        ("--rehearse --resume run", "pass one of them"),
    ],
)
def test_flags_that_do_not_go_together(script, refused, flags, words):
    assert words in refused(script, "exact", *flags.split())


def test_full_memory_gets_a_sentence(script, cli, monkeypatch):
    def train(args, run):
        raise torch.OutOfMemoryError("Tried to allocate 20.00 MiB")

    monkeypatch.setattr(script, "train", train)
    code, _, err = cli(script, "exact")
    assert code == 1
    assert err == "error: the GPU's memory is full: pass a smaller --device-batch-size\n"


# ------------------------------------------------------------------------------------- launching

LAUNCH = ROOT / "milestones" / "launch"
RUN_LINE = re.compile(r"-m (milestones\.\w+\.train_gpt) ([^>&|#\n]+)")


def test_commands_of_the_page_are_ones_the_scripts_take():
    text = (LAUNCH / "README.md").read_text()
    commands = RUN_LINE.findall(text)
    assert len(commands) >= 4
    for module, words in commands:
        parse(importlib.import_module(module), words.split())


@pytest.fixture
def launch():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())


def test_launch_file_gives_the_machine_back(launch):
    assert set(launch) <= {"name", "workdir", "resources", "envs", "setup", "run"}
    assert launch["resources"]["accelerators"] == "H100:8"
    assert launch["resources"]["autostop"]["down"] is True
    assert launch["resources"]["autostop"]["idle_minutes"] <= 15
    for part in ("setup", "run"):
        assert subprocess.run(["bash", "-n", "-c", launch[part]]).returncode == 0
    assert 'data.fineweb --milestone "$MILESTONE"' in launch["setup"]


@pytest.mark.parametrize("gpus", [1, 8])
@pytest.mark.parametrize("milestone", milestones(), ids=lambda m: m.stem)
def test_launch_file_runs_any_milestone_on_any_number_of_gpus(launch, here, milestone, gpus):
    """Its `run` part, with python replaced by something that prints what it was given."""
    (here / ".venv" / "bin").mkdir(parents=True)
    for name in (".venv/bin/python", "nvidia-smi"):
        (here / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (here / name).chmod(0o755)
    own = {
        "MILESTONE": milestone.stem,
        "FLAGS": "--rehearse",
        "SKYPILOT_NUM_GPUS_PER_NODE": str(gpus),
    }
    environment = {"PATH": f"{here}:{os.environ['PATH']}"} | launch["envs"] | own
    environment = {name: str(value) for name, value in environment.items()}
    done = subprocess.run(
        ["bash", "-c", launch["run"]], env=environment, capture_output=True, text=True, check=True
    )
    words = done.stdout.splitlines()
    assert f"--nproc_per_node={gpus}" in words
    module, *argv = words[words.index("--standalone") + 3 :]
    preset, args, options = parse(importlib.import_module(module), argv)
    record = find_script(milestone.stem).PRESETS["record"]
    assert preset == "record" and args == replace(record, allow_repeat=milestone.number == "00")
    assert options.rehearse and options.save_every


def test_launch_file_is_one_for_skypilot():
    sky = pytest.importorskip("sky", reason="SkyPilot is not installed")
    task = sky.Task.from_yaml(str(LAUNCH / "skypilot.yaml"))
    (resources,) = task.resources
    assert resources.accelerators == {"H100": 8}
    assert resources.autostop_config.down
