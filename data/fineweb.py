"""FineWeb, ready tokenised: download the shards that the records were trained on, and check them.

    python -m data.fineweb --milestone 01           what its published run reads: 33 shards
    python -m data.fineweb --shards 1               the first one, for a try on one GPU
    python -m data.fineweb --milestone 01 --verify  compare what is here with its SHA-256; offline

The files are Keller Jordan's dataset kjj0/fineweb10B-gpt2 on the Hugging Face hub: the sample of
10 B tokens of FineWeb in GPT-2's encoding, 103 training shards of 100 M tokens or 200 MB each, the
last one shorter, and a validation shard, which always comes too.

A shard is fetched under another name and gets its own once its size, header and SHA-256 are right,
so a file of that name is whole.  Run it again after an interruption: what is whole stays.
HF_ENDPOINT names a mirror of the hub, HF_TOKEN an account there.
"""

import hashlib
import math
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import tyro
from filelock import FileLock, Timeout
from huggingface_hub import HfApi, logging
from huggingface_hub.errors import (
    HTTPError,  # of whichever HTTP client the hub's library uses
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)
from tqdm import tqdm

from data.shards import FETCH, FINEWEB, ShardError, read_shard, write_atomically
from milestones.harness.errors import UsageError

if TYPE_CHECKING:
    from milestones.table import Milestone

REPO = "kjj0/fineweb10B-gpt2"
TRAIN_SHARDS = 103
SHARD_TOKENS = 100_000_000  # of all but the last
LAST_BATCHES = 105  # of 524,288 tokens in the last: inferred, as record 1 took one pass over all
SUMS = "SHA256SUMS"  # beside the shards, for `sha256sum -c` as well
INCOMING = ".incoming"  # beside the shards: what is not verified yet
AGAIN = f"run {FETCH} again"  # with the flags it was given, once they are known
PAUSES = (1, 5)  # seconds before a second and a third attempt
FAULTS = (HTTPError, OSError, RuntimeError, ShardError)  # of network, hub, disk and data


class DownloadError(Exception):
    """Some files could not be had.  Each argument is a line that says why and what to do."""


@dataclass(frozen=True)
class Settings:
    milestone: str = ""  # fetch what its published run reads, such as 01
    shards: int = 0  # or so many training shards, 1 to 103
    folder: Path = FINEWEB
    revision: str = "main"  # branch, tag or commit of the dataset
    workers: int = 4  # files at a time
    verify: bool = False  # fetch nothing: compare what is here with its SHA-256


class HubFile(NamedTuple):
    """A file as the hub describes it."""

    name: str
    size: int  # bytes
    sha256: str | None  # None if it is not in Git LFS


def shards_read(milestone: "Milestone") -> int:
    """Training shards that its published run reads: whole batches of each, the tail is dropped."""
    batches_in_shard = (SHARD_TOKENS - 1) // (milestone.tokens // milestone.steps)
    return math.ceil(milestone.steps / batches_in_shard)


def batches_short(milestone: "Milestone") -> int:
    """Batches that its published run needs beyond those of all shards there are.

    The records read on across the end of a shard; ours drop its tail, 190 batches of 190.7 stay.
    """
    batches_in_shard = (SHARD_TOKENS - 1) // (milestone.tokens // milestone.steps)
    return max(0, milestone.steps - (TRAIN_SHARDS - 1) * batches_in_shard - LAST_BATCHES)


def record_command(milestone: "Milestone") -> str:
    """The published run's module, preset and, where all shards are not enough, --allow-repeat."""
    repeat = " --allow-repeat" if batches_short(milestone) else ""
    return f"-m milestones.{milestone.stem}.train_gpt record{repeat}"


def shard_names(shards: int) -> list[str]:
    """The validation shard and the first training shards."""
    train = [f"fineweb_train_{number:06d}.bin" for number in range(1, shards + 1)]
    return ["fineweb_val_000000.bin", *train]


# -------------------------------------------------------------------------------------- checking


def check_shards(folder: Path, shards: int, thorough: bool = False) -> list[str]:
    """What is wrong with the validation shard and the first training shards.  Needs no network.

    One line a bad file, with the cure.  Compares sizes with headers, in no time; `thorough` reads
    all of it and compares with the SHA-256 recorded when it was fetched.
    """
    names, sums = shard_names(shards), read_sums(folder)

    def problem(name: str) -> str | None:
        try:
            read_shard(folder / name)
            if thorough and name not in sums:
                return f"{folder / name}: not in {SUMS}, so not verified yet: {AGAIN}"
            if thorough:
                verify(folder / name, sums[name])
        except (OSError, ShardError) as error:
            return str(error)
        return None

    with ThreadPoolExecutor() as pool:
        found = tqdm(pool.map(problem, names), SUMS, len(names), unit="file", disable=not thorough)
        return [line for line in found if line]


def verify(path: Path, sha256: str | None, size: int | None = None) -> str:
    """SHA-256 of a shard.  ShardError if its header, size in bytes or SHA-256 is not the right one.

    None stands for not known.
    """
    read_shard(path)
    if size not in (None, path.stat().st_size):
        raise ShardError(f"{path}: {path.stat().st_size} bytes where the hub has {size}: {AGAIN}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 not in (None, found):
        raise ShardError(f"{path}: SHA-256 is {found[:8]}... and not {sha256[:8]}...: {AGAIN}")
    return found


def read_sums(folder: Path) -> dict[str, str]:
    """SHA-256 by name of the shards verified so far."""
    path = folder / SUMS
    text = path.read_text() if path.is_file() else ""
    return {name: digest for digest, name in re.findall(r"^([0-9a-f]{64}) [ *](.+)$", text, re.M)}


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    write_atomically(folder / SUMS, "".join(lines).encode())


# ----------------------------------------------------------------------------------- downloading


def download(shards: int, folder: Path, revision: str = "main", workers: int = 4) -> None:
    """Fetch the validation shard and the first training shards, those that are not here and whole.

    Says first how much that is.  UsageError, before anything is fetched, if there is no room for
    it; DownloadError if some of it cannot be had.  What has been fetched stays.
    """
    api = HfApi()
    try:
        commit, files = patiently(lambda: list_files(api, revision, shard_names(shards)))
    except FAULTS as error:
        raise DownloadError(explain(error, api, revision)) from error
    whole = find_whole(folder, files)
    missing = [file for file in files if file.name not in whole]
    size = sum(file.size for file in missing)
    place = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    print(f"{REPO} at {commit[:12]}: {len(whole)} of {len(files)} files are here and whole")
    print(f"to fetch: {len(missing)}, in all {size / 1e9:.2f} GB; free: {free / 1e9:.2f} GB")
    if size > free:
        raise UsageError(f"{folder}: no room for that: free some, or pass another --folder")
    try:
        with staging(folder) as incoming:
            if whole:
                write_sums(folder, read_sums(folder) | whole)
            errors = fetch_all(api, commit, missing, incoming, workers)
    except OSError as error:
        errors = [error]
    if errors:
        lines = [explain(error, api, revision) for error in errors]
        raise DownloadError(*dict.fromkeys(lines))


def list_files(api: HfApi, revision: str, names: list[str]) -> tuple[str, list[HubFile]]:
    """The commit that a revision stands for, and what the hub says of these files there."""
    info = api.dataset_info(REPO, revision=revision, files_metadata=True, timeout=30)
    known = {file.rfilename: file for file in info.siblings}
    if absent := [name for name in names if name not in known]:
        raise DownloadError(f"{absent[0]}: not in {REPO} at {revision}: pass another --revision")
    lfs = {name: known[name].lfs for name in names}
    return info.sha, [
        HubFile(name, known[name].size, lfs[name].sha256 if lfs[name] else None) for name in names
    ]


def find_whole(folder: Path, files: list[HubFile]) -> dict[str, str]:
    """SHA-256 by name of those files that are here and as the hub, or the record, has them."""
    sums = read_sums(folder)
    here = [file for file in files if (folder / file.name).exists()]

    def digest(file: HubFile) -> str | None:
        try:
            return verify(folder / file.name, file.sha256 or sums.get(file.name), file.size)
        except (OSError, ShardError):
            return None

    with ThreadPoolExecutor() as pool:
        found = tqdm(pool.map(digest, here), "here", len(here), unit="file", disable=not here)
        return {file.name: sha256 for file, sha256 in zip(here, found, strict=True) if sha256}


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A place on the same disk for files not yet verified; a killed run's remains are removed."""
    incoming, lock = folder / INCOMING, FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
    except Timeout:
        raise UsageError(f"{folder}: another download is at work there: wait for it") from None
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}: pass a --folder to write to") from error
    try:
        yield incoming
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
        lock.release()


def fetch_all(
    api: HfApi, commit: str, files: list[HubFile], incoming: Path, workers: int
) -> list[Exception]:
    """Fetch some files at a time; after an error, begin no other.  Returns the errors."""
    folder, errors, stop = incoming.parent, [], Event()
    sums = read_sums(folder)
    total = sum(file.size for file in files)
    pool = ThreadPoolExecutor(workers)  # in a `with`, Ctrl-C would wait for the files begun
    with tqdm(total=total, unit="B", unit_scale=True, disable=not files) as bar:

        def fetch(file: HubFile) -> str | None:
            if stop.is_set():
                return None
            try:
                return patiently(lambda: fetch_shard(api, commit, file, incoming, Meter(bar)))
            except FAULTS:
                stop.set()
                raise

        futures = {pool.submit(fetch, file): file.name for file in files}
        for future in as_completed(futures):
            try:
                if sha256 := future.result():
                    sums[futures[future]] = sha256
                    write_sums(folder, sums)
            except FAULTS as error:
                errors.append(error)
    return errors


def fetch_shard(api: HfApi, commit: str, file: HubFile, incoming: Path, meter: "Meter") -> str:
    """Fetch a file, verify it, and only then give it its name.  Returns its SHA-256."""
    fetched = incoming / file.name
    try:
        api.hf_hub_download(
            REPO,
            file.name,
            repo_type="dataset",
            revision=commit,
            local_dir=incoming,
            tqdm_class=meter,
        )
        sha256 = verify(fetched, file.sha256, file.size)
        fetched.replace(incoming.parent / file.name)
    except FAULTS:
        fetched.unlink(missing_ok=True)
        meter.update(-meter.n)
        raise
    return sha256


class Meter:
    """One file's share of a bar for all.  The hub's library opens it as if it were a tqdm class."""

    def __init__(self, bar: tqdm):
        self.bar, self.n = bar, 0

    def __call__(self, *args, **kwargs) -> "Meter":
        return self

    def __enter__(self) -> "Meter":
        return self

    def update(self, n: float = 1) -> None:
        self.n += n
        self.bar.update(n)

    def ignore(self, *args, **kwargs) -> None:
        """What else a bar is told: its end, its speed, bytes on the wire before unpacking."""

    __exit__ = close = set_postfix_str = update_transfer = set_transfer_postfix_str = ignore


def patiently(action: Callable):
    """action(), tried again after a fault that may pass."""
    for pause in PAUSES:
        try:
            return action()
        except FAULTS as error:
            if may_pass(error):
                time.sleep(pause)
            else:
                raise
    return action()


def may_pass(error: Exception) -> bool:
    """Whether it is worth another attempt: not what the hub refuses, nor what the disk does."""
    status = http_status(error)
    if status:
        return status >= 500 or status in (408, 429)
    return not isinstance(error, OfflineModeIsEnabled) and getattr(error, "errno", None) is None


def http_status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def explain(error: Exception, api: HfApi, revision: str) -> str:
    """One line: what happened, and what to do."""
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__  # "cannot be found locally" after whatever kept it from the hub
    where, status = f"{api.endpoint}/datasets/{REPO}", http_status(error)
    reason = str(error).strip().split("\n")[0]
    if isinstance(error, RevisionNotFoundError):
        return f"{where} has no revision {revision}: pass main, or one of its commits"
    if status in (401, 403):
        return f"{where} refuses access ({status}): accept its terms there, then set HF_TOKEN"
    if status == 404:
        return f"{where}: not found (404): check HF_ENDPOINT and --revision"
    if status:
        return f"{where} answers {status}: wait a little, then {AGAIN}"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set: unset it to download"
    if isinstance(error, HTTPError):
        cure = "check the network, or name a mirror in HF_ENDPOINT"
        return f"cannot reach {api.endpoint} ({reason}): {cure}; then {AGAIN}"
    if getattr(error, "errno", None):
        cure = "check the disk, or pass another --folder"
        return f"{os.strerror(error.errno)}: {cure}; then {AGAIN}"
    if isinstance(error, ShardError):
        return reason.replace(f"{INCOMING}{os.sep}", "")
    return f"{reason}: {AGAIN}"


# ---------------------------------------------------------------------------------- command line


def command(settings: Settings) -> str:
    """The command line that fetches what was asked for."""
    named = [("milestone", settings.milestone), ("shards", settings.shards)]
    if settings.folder != FINEWEB:
        named.append(("folder", settings.folder))
    flags = [f" --{name} {shlex.quote(str(value))}" for name, value in named if value]
    return FETCH + "".join(flags)


def run(settings: Settings) -> None:
    """Carry out a command line."""
    from milestones.table import find_milestone  # late, so that the harness may import this module

    if bool(settings.milestone) == bool(settings.shards):
        raise UsageError("pass either --milestone, such as 01, or --shards, such as 1")
    milestone = find_milestone(settings.milestone) if settings.milestone else None
    shards = shards_read(milestone) if milestone else settings.shards
    if not 1 <= shards <= TRAIN_SHARDS:
        raise UsageError(f"--shards {shards}: there are 1 to {TRAIN_SHARDS}")
    if settings.workers < 1:
        raise UsageError(f"--workers {settings.workers}: at least one is needed")
    if settings.verify:
        problems = check_shards(settings.folder, shards, thorough=True)
        names = shard_names(shards)
        missing = [name for name in names if not (settings.folder / name).is_file()]
        if missing:  # one line for all of them
            problems = [line for line in problems if ": no such file: " not in line]
            lack = f"{len(missing)} of {len(names)} missing in {settings.folder}"
            problems.append(f"{lack}: {command(settings)}")
        if problems:
            raise DownloadError(*problems)
    else:
        download(shards, settings.folder, settings.revision, settings.workers)
    print(f"{settings.folder}: {shards} training shards and the validation shard, all verified")
    if milestone:
        script = record_command(milestone)
        if settings.folder != FINEWEB:
            for flag, kind in ("--train-files", "train"), ("--val-files", "val"):
                script += f" {flag} {shlex.quote(f'{settings.folder}/fineweb_{kind}_*.bin')}"
        print(f"next: torchrun --standalone --nproc_per_node=8 {script}")


def main(argv: Sequence[str] | None = None) -> None:
    """Exit codes: 0 done, 1 something could not be had, 2 bad request, 130 stopped by Ctrl-C."""
    settings = tyro.cli(Settings, prog="python -m data.fineweb", description=__doc__, args=argv)
    logging.set_verbosity_error()  # attempts that fail are ours to tell of
    try:
        run(settings)
    except (UsageError, DownloadError) as error:
        for line in error.args:
            line = line.replace(AGAIN, f"run {command(settings)} again")
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        print(f"stopped; to go on, run {command(settings)} again", file=sys.stderr, flush=True)
        os._exit(130)  # without waiting for the threads that still fetch


if __name__ == "__main__":
    main()
