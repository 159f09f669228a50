"""The figures on README and milestone pages, from their sources.

    python -m milestones.pages          rewrite every generated block
    python -m milestones.pages --check  name the pages whose blocks are stale

A page holds blocks between `<!-- name -->` and `<!-- end -->`.  What stands in them comes from
milestones.toml, data/published, the chain, or the committed race (data/measured/race.csv);
tests/test_pages.py refuses a figure that stands anywhere else.
"""

import csv
import importlib
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import torch
import tyro

from data.fineweb import (
    SHARD_TOKENS,
    batches_short,
    record_command,
    shards_read,
)
from data.published import PublishedCurve, published_curve, read_table
from data.shards import write_atomically
from milestones import chain
from milestones.harness import UsageError
from milestones.harness.curve import Row
from milestones.harness.estimates import duration, gigabytes, money
from milestones.harness.injection import ROOT
from milestones.harness.preflight import COMPILE_SECONDS, PUBLISHED_GPUS
from milestones.race import MEASURED, spread, steps_to
from milestones.table import Milestone, milestones

BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
PRICE = 3.0  # dollars a GPU and hour, an example; milestones/launch/README.md lists real ones
TITLES = {  # of the milestones that do not exist yet
    "milestone05_flex_attention": "one packed sequence, document mask, sliding window",
    "milestone06_flash_attention_3": "variable-length attention, value embeddings, FP8 head",
    "milestone07_gradient_communication": "buckets, hooks, reduce-scatter and all-gather",
    "milestone08_async_data": "prefetching, batches that begin with a document, YaRN",
    "milestone09_record": "NorMuon, Polar Express, cautious decay, smear, backout",
}

# ------------------------------------------------------------------------------------- the sources


def records_of(stem: str) -> list[dict]:
    """The rows of data/published/records.csv that a milestone tells."""
    return [row for row in read_table("records") if row["milestone"] == stem]


def raced() -> tuple[dict[str, list[list[Row]]], list[int]]:
    """The committed race: curves by milestone ("01 muon"), one a seed, and the seeds."""
    curves = defaultdict(lambda: defaultdict(list))
    with (MEASURED / "race.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            point = Row(int(row["step"]), int(row["tokens"]), val_loss=float(row["val_loss"]))
            curves[row["milestone"]][int(row["seed"])].append(point)
    by_name = {name: list(seeds.values()) for name, seeds in curves.items()}
    return by_name, sorted(next(iter(curves.values())))


# ---------------------------------------------------------------------------------- blocks, README


def ladder() -> str:
    """All ten milestones: the record each re-lives, its time then, what there is here."""
    here = {milestone.stem: milestone for milestone in milestones()}
    lines = ["| | record | time then | what it teaches | here |", "| --- | --- | --- | --- | --- |"]
    for row in read_table("milestones"):
        stem, number = row["milestone"], row["milestone"][9:11]
        first, last = row["first_record"], row["last_record"]
        record = f"{first}" if first == last else f"{first} to {last}"
        minutes = next(r["minutes"] for r in records_of(stem) if r["record"] == last)
        if stem in here:
            milestone = here[stem]
            name, title = f"[{number}](milestones/{stem}/README.md)", milestone.title
            tasks = len(milestone.tasks)
            place = f"[notebook](notebooks/{stem}.ipynb), [script](milestones/{stem}/train_gpt.py)"
            place += f", [{tasks} tasks](exercises/{stem}.py)"
        else:
            name, title, place = number, TITLES[stem], "not yet"
        lines.append(f"| {name} | {record} | {minutes} min | {title} | {place} |")
    order = "The order is the course's, not the calendar's: 07 goes back to records before 06's."
    return "\n".join(lines) + f"\n\n{len(here)} of the ten are here so far. {order}"


def race() -> str:
    """What the picture shows, in words."""
    curves, seeds = raced()
    (first, *others), names = curves.values(), list(curves)
    target = statistics.mean(curve[-1].val_loss for curve in first)
    steps = first[0][-1].step
    lines = [
        f"Validation loss while training on an invented language, mean and range over {len(seeds)} "
        f"seeds. The target, {target:.3f} nats, is where {names[0]} ends after {steps} steps"
    ]
    losses = {name: [[row.val_loss for row in c] for c in runs] for name, runs in curves.items()}
    before, name_before = float(steps), names[0]
    for name, runs in zip(names[1:], others, strict=True):
        there = [steps_to(curve, target) for curve in runs]
        if losses[name] == losses[name_before]:
            as_it_must = "as it must: it changes who computes, not what"
            lines.append(f"; {name} draws the same curve again, {as_it_must}")
            continue
        mean = float("inf") if None in there else statistics.mean(there)
        late = f" never gets there on {there.count(None)} of {len(there)} seeds"
        lines.append(f"; {name}{late if None in there else f' is there after {spread(there, 0)}'}")
        lines.append("" if mean < before else ", not ahead of the one before at this scale")
        before, name_before = mean, name
    return "".join(lines) + "."


def tiny() -> str:
    """What a `tiny` run ends at."""
    curves, seeds = raced()
    ends = [f"{name} {spread([c[-1].val_loss for c in runs], 3)}" for name, runs in curves.items()]
    return f"A `tiny` run ends at (mean ± s.d. over {len(seeds)} seeds): {', '.join(ends)} nats."


def noise() -> str:
    """How far equal runs differ, and the band that follows."""
    lines = ["| part of the training | s.d. of equal runs | band, one run |", "| --- | --- | --- |"]
    for row in read_table("seed_spread")[1:]:
        part = f"{row['after']:.0%} to {row['until']:.0%}"
        median, worst = row["std_median"], row["std_90th"]
        lines.append(f"| {part} | {median:.4f}, at worst {worst:.4f} | ± {3 * worst:.3f} |")
    groups, logs = row["groups"], row["logs"]
    return "\n".join(lines) + f"\n\n({logs} published runs in {groups} groups of one script each.)"


# ------------------------------------------------------------------------- blocks, milestone pages


def published(milestone: Milestone) -> str:
    """The records a milestone tells, as they were published."""
    lines = [
        "| record | date | minutes | steps | tokens | ms a step | val_loss | what |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in records_of(milestone.stem):
        steps = f"{row['steps']:,}" if row["steps"] else ""
        tokens = f"{row['tokens'] / 1e9:.2f} B" if row["tokens"] else ""
        loss = f"{row['val_loss']:.4f}" if row["val_loss"] else ""
        cells = [row["record"], row["date"], row["minutes"], steps, tokens, row["step_avg_ms"]]
        lines.append("| " + " | ".join(map(str, [*cells, loss, row["what"]])) + " |")
    return "\n".join(lines)


def curve(milestone: Milestone) -> str:
    """The published curve that a `record` run is held against, at a few steps, with its band."""
    held = published_curve(milestone.stem)
    shown = [int(held.steps[i]) for i in spaced(len(held.steps), 8)]
    rows = [
        ["step", *shown],
        ["---"] * (len(shown) + 1),
        ["published", *(f"{held.at(step):.4f}" for step in shown)],
        ["band, one run", *(f"± {held.band(step):.3f}" for step in shown)],
    ]
    table = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
    start = "at step 0 the initial weights alone make the band"
    return f"{table}\n\nRecord {held.record}, {runs(held)}; {start}."


def runs(held: PublishedCurve) -> str:
    if held.pooled:
        return "one published run; the width is borrowed from scripts with seven runs or more"
    return f"mean of {held.runs} published runs"


def spaced(count: int, wanted: int) -> list[int]:
    """Indices of a few of `count` points: first, last, and early ones more closely."""
    return sorted({round((count - 1) * (i / (wanted - 1)) ** 2) for i in range(wanted)})


def measured(milestone: Milestone) -> str:
    """The `tiny` race on a laptop."""
    curves, seeds = raced()
    first = next(iter(curves.values()))
    target = statistics.mean(c[-1].val_loss for c in first)
    lines = ["| | final loss | steps to the target |", "| --- | --- | --- |"]
    for name, found in curves.items():
        there = [steps_to(c, target) for c in found]
        steps = f"{first[0][-1].step}" if found is first else spread(there, 0)
        final = spread([c[-1].val_loss for c in found], 3)
        lines.append(f"| {name} | {final} | {steps} |")
        if name == milestone.short:
            break
    return (
        "\n".join(lines) + f"\n\n`make race`, {len(seeds)} seeds not used in tuning, mean ± s.d.; "
        f"the target is 00's final loss, {target:.3f} nats."
    )


def delta(milestone: Milestone) -> str:
    """What changed against the milestone before, from the chain."""
    order = [m.stem for m in milestones()]
    if milestone.stem == order[0]:
        return "Nothing stands before this one: it is the baseline."
    before = chain.script(order[order.index(milestone.stem) - 1], chain.ROOT)
    after = chain.script(milestone.stem, chain.ROOT)
    lines = []
    for kind, names in chain.compare(before, after).items():
        if names:
            lines.append(f"- {kind}: {', '.join(f'`{name}`' for name in names)}")
    number = before.stem[9:11]
    return "\n".join(lines) + (
        f"\n\nThe lesson line by line: `python -m milestones.chain diff {number} "
        f"{milestone.number}`. Unchanged: {chain.share_text(before, after)}."
    )


def commands(milestone: Milestone) -> str:
    """How to run it: on a CPU, one GPU, eight."""
    script, record = f"milestones.{milestone.stem}.train_gpt", record_command(milestone)
    size = gigabytes((shards_read(milestone) + 1) * 2 * SHARD_TOKENS)
    return f"""```
python -m {script} tiny                  # any CPU
```

With one GPU or more:

```
python -m data.fineweb --milestone {milestone.number}    # {size}: the shards for what follows
python {record} --preflight    # is all there?
python {record} --rehearse     # 20 steps, and a resume
python {record}                # one GPU
torchrun --standalone --nproc_per_node=8 {record}
```
{repeats(milestone)}
A card with less memory takes `--device-batch-size 16` or less: the curve stays the same. Renting:
[launch](../launch/README.md). Holding a run against what was published:
`python -m grader log runs/{milestone.stem}/<run>`."""


def repeats(milestone: Milestone) -> str:
    """Why the commands above say --allow-repeat; nothing if they do not."""
    short = batches_short(milestone)
    if not short:
        return ""
    return f"""
`--allow-repeat`, because about {short} batches of {milestone.steps:,} come twice: the published run
took one pass over all tokens there are, and our loader drops the tail of each shard.
"""


def cost(milestone: Milestone) -> str:
    """Time and money of a `record` run, in proportion to the published one."""
    lines = [
        f"| GPUs (H100) | training | with compiling | at ${PRICE:.2f} a GPU and hour |",
        "| --- | --- | --- | --- |",
    ]
    for gpus in (8, 4, 2, 1):
        seconds = 60 * milestone.minutes * PUBLISHED_GPUS / gpus
        whole = seconds + COMPILE_SECONDS
        price = money(whole, PRICE * gpus)
        lines.append(f"| {gpus} | {duration(seconds)} | {duration(whole)} | {price} |")
    shards = shards_read(milestone)
    size = gigabytes((shards + 1) * 2 * SHARD_TOKENS)
    return "\n".join(lines) + (
        f"\n\nAn estimate in proportion to the published {milestone.minutes} minutes; not measured "
        f"here. It reads {shards} training shards and one for validation: {size} to fetch."
    )


def shares(milestone: Milestone) -> str:
    """What a GPU computes, keeps and exchanges in a step of the record, counted from its shapes."""
    script = importlib.import_module(f"milestones.{milestone.stem}.train_gpt")
    args = script.PRESETS["record"]
    with torch.device("meta"):
        model = script.GPT(args)
    _, matrices = script.split_parameters(model)
    owned = defaultdict(list)
    for p, (owner, _, _) in zip(
        matrices, script.flat_layout(matrices, PUBLISHED_GPUS), strict=True
    ):
        owned[owner].append(p)
    most = max(owned.values(), key=newton_schulz_flops)  # whom the others wait for
    gradients = 4 * sum(p.numel() for p in model.parameters())
    updates = sum(p.numel() for p in matrices)
    flops = args.newton_schulz_steps * newton_schulz_flops(matrices) / 1e12
    share = args.newton_schulz_steps * newton_schulz_flops(most) / 1e12
    rows = [
        f"| a step of the record, on each of {PUBLISHED_GPUS} GPUs | before | now |",
        "| --- | --- | --- |",
        f"| matrices orthogonalised | {len(matrices)} | {len(most)} |",
        f"| FLOPs of Newton-Schulz, 10^12 | {flops:.2f} | {share:.2f} |",
        f"| momentum kept, float32 | {4 * updates / 1e6:.0f} MB | "
        f"{4 * sum(p.numel() for p in most) / 1e6:.0f} MB |",
        "| all-reduced: gradients, float32" + f" | {gradients / 1e6:.0f} MB" * 2 + " |",
        f"| all-reduced: updates, {args.newton_schulz_dtype} | none | {2 * updates / 1e6:.0f} MB |",
    ]
    return "\n".join(rows) + "\n\nCounted from the shapes of the model, not measured."


def newton_schulz_flops(matrices: list[torch.Tensor]) -> int:
    """Of one iteration on each: three products on the shorter side, 2 FLOPs a multiplication."""
    return sum(6 * min(p.shape) ** 2 * max(p.shape) for p in matrices)


def tasks(milestone: Milestone) -> str:
    """The exercises, with what they cost."""
    lines = ["| | task | minutes | lines |", "| --- | --- | --- | --- |"]
    for number, task in enumerate(milestone.tasks, 1):
        lines.append(
            f"| {milestone.number}.{number} | `{task.name}` | {task.minutes} | {task.lines} |"
        )
    return "\n".join(lines)


README: dict[str, Callable[[], str]] = {
    "ladder": ladder, "race": race, "tiny": tiny, "noise": noise,
}  # fmt: skip
PAGE: dict[str, Callable[[Milestone], str]] = {
    "delta": delta, "commands": commands, "cost": cost, "published": published, "curve": curve,
    "measured": measured, "shares": shares, "tasks": tasks,
}  # fmt: skip
ONE_PAGE = {"shares": "milestone03_distributed_muon"}  # blocks that no other page has

# ------------------------------------------------------------------------------------------- pages


def blocks_of(milestone: Milestone) -> dict[str, Callable[[Milestone], str]]:
    """The blocks that a milestone's page has."""
    return {n: f for n, f in PAGE.items() if ONE_PAGE.get(n, milestone.stem) == milestone.stem}


def pages() -> dict[Path, Milestone | None]:
    """Every page with generated blocks, and the milestone it is about."""
    found = {ROOT / "README.md": None}
    return found | {ROOT / "milestones" / m.stem / "README.md": m for m in milestones()}


def filled(text: str, milestone: Milestone | None) -> str:
    """The text of a page with its blocks made anew.

    UsageError for a name that nothing makes, and for a block without an end: it would swallow what
    stands between it and the end of another.
    """
    makers = PAGE if milestone else README
    marks = re.findall(r"<!-- (\w+) -->", text)
    for name, end in zip_longest(marks[::2], marks[1::2]):
        if name not in makers:
            raise UsageError(f"<!-- {name} -->: blocks are called {', '.join(makers)}")
        if end != "end":
            raise UsageError(f"<!-- {name} -->: no <!-- end --> follows: put one below the block")

    def fill(found: re.Match) -> str:
        made = makers[found[2]](milestone) if milestone else makers[found[2]]()
        return f"{found[1]}{made}\n{found[3]}"

    return BLOCK.sub(fill, text)


def main(check: bool = False) -> None:
    """Rewrite the generated blocks of README and milestone pages, or name the stale ones.

    Args:
        check: change nothing; exit with 1 if a page is stale.
    """
    stale = {}
    for path, milestone in pages().items():
        name = path.relative_to(ROOT)
        try:
            text = path.read_text(encoding="utf-8")
            if (new := filled(text, milestone)) != text:
                stale[name] = new
        except (UsageError, chain.ChainError) as error:
            sys.exit(f"error: {name}: {error}")
        except OSError as error:
            sys.exit(f"error: {error.filename}: {error.strerror}: put it back")
    for name, new in {} if check else stale.items():  # all of them could be made
        write_atomically(ROOT / name, new.encode())
    if stale:
        print(f"{'stale' if check else 'rewritten'}: {', '.join(map(str, stale))}")
    sys.exit(check and bool(stale))


if __name__ == "__main__":
    tyro.cli(main, prog="python -m milestones.pages")
