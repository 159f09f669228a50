"""Before any work: can this machine carry the run out, how long will it take, what will it cost?

What cannot work is refused in one line; what nobody has measured is only a warning.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data import shards
from data.shards import FETCH, ShardError, find_shards, read_shard
from milestones.harness.errors import UsageError
from milestones.harness.estimates import duration, gigabytes, money
from milestones.harness.run import Run

PUBLISHED_GPUS = 8  # H100s, in each published run
PUBLISHED_MEMORY = 80e9  # bytes of each
COMPILE_SECONDS = 420  # the first compilation, according to upstream's README


def preflight(run: Run) -> None:
    """Check GPUs, shards and disk, estimate time and cost.  Writes nothing.

    UsageError or ShardError, one line with the cure, if the run could not end well.
    """
    check_gpus(run)
    check_shards(run)
    if run.options.thorough and run.rank == 0:
        check_sums(run)
    check_disk(run)
    if run.preset == "record":
        estimate(run)
    if run.options.preflight:
        run.note("preflight: passed; nothing was trained")


# ------------------------------------------------------------------------------------------- GPUs


def check_gpus(run: Run) -> None:
    """Refuse `record` without a GPU unless the CPU was asked for; warn of what looks wrong."""
    if run.device.type == "cpu":
        if run.preset == "record" and run.options.device == "auto":
            build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "a build for CPUs"
            raise UsageError(
                f"record is for 1, 2, 4 or 8 GPUs and torch {torch.__version__}, {build}, finds "
                "none here: rent some (milestones/launch), or insist with --device cpu"
            )
        return
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    used = cards[: run.world_size]
    names = [f"{card.name} with {card.total_memory / 2**30:.0f} GiB" for card in used]
    run.note(f"preflight: {len(used)} x {names[0]}, torch {torch.__version__}")
    if len(set(names)) > 1:
        run.warn(f"the GPUs differ: {', '.join(names)}; the slowest sets the pace")
    most = max(n for n in (1, 2, 4, 8) if n <= len(cards))
    if most > run.world_size:
        run.warn(
            f"this run uses {run.world_size} of {len(cards)} GPUs: "
            f"torchrun --standalone --nproc_per_node={most} -m {run.script.__name__} uses {most}"
        )
    if run.preset == "record":
        check_card(run, min(used, key=lambda card: card.total_memory))


def check_card(run: Run, card: Any) -> None:
    """Warn of a card without bfloat16, or with less memory for a row than the published run had.

    The estimate: memory grows with the rows of a micro-batch, and the published ones fill 80 GB.
    """
    if card.major < 8:
        run.warn(f"{card.name} lacks bfloat16 (compute capability 8.0): slow, not measured")
    published = run.script.PRESETS["record"].device_batch_size
    fit = published * card.total_memory / PUBLISHED_MEMORY
    rows = min(run.args.device_batch_size, run.args.batch_size // run.world_size)
    if rows > fit:
        smaller = max((n for n in range(1, rows) if rows % n == 0 and n <= fit), default=1)
        run.warn(
            f"micro-batches of {rows} rows may not fit: {published} did in 80 GB, in proportion "
            f"--device-batch-size {smaller} does here (not measured; the curve stays the same)"
        )


# ----------------------------------------------------------------------------------------- shards


def check_shards(run: Run) -> None:
    """Refuse shards that are damaged, or too few for this run, with the command that mends it."""
    args = run.args
    wanted = (args.train_files, args.num_iterations), (args.val_files, args.val_batches)
    for files, needed in wanted:
        try:
            tokens = [len(read_shard(path)) for path in find_shards(files)]
        except ShardError as error:
            command = fetch(run, files)
            text = str(error).removesuffix(f": {FETCH}") if command else str(error)
            raise ShardError(f"{text}{command}") from None
        batches = np.cumsum([(n - 1) // args.tokens_per_step for n in tokens])
        if not batches[-1]:
            raise UsageError(
                f"{files}: every shard is shorter than one batch of {args.tokens_per_step:,} "
                "tokens: pass a smaller --batch-size or --sequence-length, or larger shards"
            )
        if batches[-1] < needed and not args.allow_repeat:
            cure = "get more shards, shorten the run, or pass --allow-repeat"
            if has_all_shards(files, len(tokens)):
                cure = "these are all the shards there are: pass --allow-repeat"
            raise UsageError(
                f"{files}: {batches[-1]} batches of {args.tokens_per_step:,} tokens, the run needs "
                f"{needed}: {cure}{fetch(run, files)}"
            )
        reads = min(int(np.searchsorted(batches, needed)) + 1, len(tokens))
        run.note(f"preflight: {files}: all whole, the run reads {reads} of {len(tokens)}")


def fineweb_folder(files: str) -> Path | None:
    """Where the FineWeb shards of a pattern lie or belong; None for other shards."""
    pattern = Path(files)
    if not pattern.name.startswith("fineweb_"):
        return None
    here = Path.cwd() / pattern.parent
    return here if here.is_dir() else shards.ROOT / pattern.parent


def has_all_shards(files: str, number: int) -> bool:
    """Whether a pattern that finds so many shards finds all training shards of FineWeb."""
    from data.fineweb import TRAIN_SHARDS  # here: it takes half a second to import

    return fineweb_folder(files) is not None and number >= TRAIN_SHARDS


def shards_needed(run: Run) -> int:
    """Training shards of FineWeb that this run reads, whole batches of each."""
    from data.fineweb import SHARD_TOKENS, TRAIN_SHARDS

    batches_in_shard = max(1, (SHARD_TOKENS - 1) // run.args.tokens_per_step)
    return min(TRAIN_SHARDS, -(-run.args.num_iterations // batches_in_shard))


def fetch_command(run: Run, folder: Path) -> str:
    """The command that fetches the FineWeb shards this run reads."""
    from data import fineweb
    from milestones.table import find_milestone  # here: it imports the harness

    needed, milestone = shards_needed(run), find_milestone(run.milestone)
    if needed == fineweb.shards_read(milestone):
        return fineweb.command(fineweb.Settings(milestone=milestone.number, folder=folder))
    return fineweb.command(fineweb.Settings(shards=needed, folder=folder))


def fetch(run: Run, files: str) -> str:
    """The command that fetches the FineWeb shards the run lacks, and their size; "" for others."""
    folder = fineweb_folder(files)
    if folder is None:
        return ""
    from data import fineweb

    needed = shards_needed(run)
    lacking = len(fineweb.check_shards(folder, needed))
    if not lacking:
        return ""
    size, free = lacking * 2 * fineweb.SHARD_TOKENS, free_bytes(folder)
    room = "make room: " if free < size else ""
    return (
        f"; {room}{fetch_command(run, folder)} fetches {gigabytes(size)}, "
        f"{gigabytes(free)} are free"
    )


def check_sums(run: Run) -> None:
    """Refuse FineWeb shards whose SHA-256 is not the one recorded when they were fetched."""
    from data.fineweb import AGAIN, check_shards

    folder = fineweb_folder(run.args.train_files)
    if folder is None:
        run.warn("--thorough: only FineWeb shards have a SHA-256 on record")
    elif problems := check_shards(folder, shards_needed(run), thorough=True):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        problem = problems[0].replace(AGAIN, f"run {fetch_command(run, folder)} again")
        raise UsageError(f"{problem}{more}")


# ------------------------------------------------------------------------------- disk, time, cost


def free_bytes(folder: Path) -> int:
    """On the disk where a folder is or will be."""
    folder = folder.absolute()
    return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free


def count_parameters(run: Run) -> int:
    with torch.device("meta"):  # shapes alone
        return sum(p.numel() for p in run.script.GPT(run.args).parameters())


def check_disk(run: Run) -> None:
    """Refuse a disk without room for two checkpoints: the old one stays until the new is whole."""
    folder = run.folder or run.default_folder()
    checkpoint = 3 * 4 * count_parameters(run)  # bytes: weights and at most two moments in float32
    free, need = free_bytes(folder), checkpoint if run.resumed else 2 * checkpoint
    if free < need:
        raise UsageError(
            f"{folder}: {gigabytes(free)} free, checkpoints need {gigabytes(need)}: "
            "make room, or choose a --folder on another disk"
        )
    run.note(f"preflight: {gigabytes(free)} free, checkpoints need {gigabytes(need)}")


def estimate(run: Run) -> None:
    """Note what a `record` run will take and cost: the published time, in proportion."""
    from milestones.table import find_milestone

    if run.device.type == "cpu":
        run.note("preflight: how long it takes on a CPU is not known: --rehearse measures it")
        return
    milestone, price = find_milestone(run.milestone), run.options.price_per_hour
    tokens = (run.args.num_iterations - run.first_step) * run.args.tokens_per_step
    seconds = 60 * milestone.minutes * tokens / milestone.tokens * PUBLISHED_GPUS / run.world_size
    whole = seconds + COMPILE_SECONDS
    cost = f", {money(whole, price)}" if price else ""
    run.note(
        f"preflight: about {duration(whole)}{cost}: {duration(seconds)} in proportion to the "
        f"published {milestone.minutes} min on {PUBLISHED_GPUS} H100s and "
        f"{duration(COMPILE_SECONDS)} to compile, validation not counted; none of it measured "
        "here: --rehearse measures"
    )
