"""The download against a hub of our own on 127.0.0.1: whatever breaks, a shard is whole or absent.

Twenty-odd faults of network, hub, disk and process are injected; after each, the files under their
final names are byte by byte the hub's, and another run finishes the job.
"""

import errno
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import unquote, urlsplit

import huggingface_hub
import numpy as np
import pytest
from filelock import FileLock
from huggingface_hub import HfApi

from data import fineweb
from data.shards import ROOT, write_shard
from milestones.table import find_milestone, milestones

COMMIT = "0123456789abcdef" * 2 + "deadbeef"
VAL, FIRST, SECOND = fineweb.shard_names(2)
TOKENS = 20_000

# --------------------------------------------------------------------------------- a hub of our own


class Hub(ThreadingHTTPServer):
    """Answers what huggingface_hub asks of the real one: a list of files, and files with Range."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files  # what it sends
        self.listed = dict(files)  # what it says of them
        self.lfs = True  # it gives their SHA-256
        self.fault: Callable[[Answer, str], bool] | None = None  # True: has answered
        self.faults = 0  # answered that way
        self.asked: list[tuple[str, str, str]] = []  # method, file or "", Range

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fetched(self) -> list[str]:
        """Names of the files that were asked for, in order."""
        return [name for method, name, _ in self.asked if method == "GET" and name]

    def handle_error(self, *_) -> None:
        """A client that hangs up is no news."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it waits 40 ms between headers and body
    server: Hub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        listing = re.fullmatch(f"/api/datasets/{fineweb.REPO}/revision/(.+)", path)
        file = re.fullmatch(f"/datasets/{fineweb.REPO}/resolve/([^/]+)/(.+)", path)
        name = file[2] if file else ""
        self.server.asked.append((self.command, name, self.headers.get("Range", "")))
        if self.server.fault and self.server.fault(self, name):
            return
        if not (listing or file):
            self.refuse(404, "RepoNotFound")
        elif (listing or file)[1] not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif listing:
            self.send(200, json.dumps(self.listing()).encode())
        elif name not in self.server.files:
            self.refuse(404, "EntryNotFound")
        else:
            self.send_file(name)

    do_HEAD = do_GET

    def log_message(self, *_) -> None:
        pass

    def listing(self) -> dict:
        siblings = []
        for name, content in self.server.listed.items():
            entry = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
            if self.server.lfs:
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        return {"id": fineweb.REPO, "sha": COMMIT, "siblings": siblings}

    def send(self, status: int, body: bytes, headers: dict | None = None, upto: int = -1) -> None:
        """The whole answer, or of its body only the bytes before `upto`."""
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **(headers or {})}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if upto < 0 else body[:upto])
            self.wfile.flush()

    def refuse(self, status: int, code: str = "") -> None:
        self.send(status, b"", {"X-Error-Code": code} if code else {})

    def send_file(self, name: str, content: bytes | None = None, upto: int = -1) -> None:
        """A file, or `content` in its place, from Range on; `upto` counts from its start."""
        content = self.server.files[name] if content is None else content
        sha256 = hashlib.sha256(self.server.listed[name]).hexdigest()
        headers = {
            "ETag": f'"{sha256}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": len(content),
            "Accept-Ranges": "bytes",
        }
        start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        upto = upto if upto < 0 else max(0, upto - start)
        self.send(206 if start else 200, content[start:], headers, upto)

    def hang_up(self, reset: bool) -> None:
        """End the connection, the polite way or the way of a firewall."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> dict[str, bytes]:
    """Three shards, as bytes by name."""
    folder, rng = tmp_path_factory.mktemp("shards"), np.random.default_rng(0)
    for name in (VAL, FIRST, SECOND):
        write_shard(folder / name, rng.integers(0, 50257, TOKENS))
    return {name: (folder / name).read_bytes() for name in (VAL, FIRST, SECOND)}


@pytest.fixture
def hub(shards, monkeypatch):
    """The hub, at work, and data.fineweb pointed at it; nobody waits between attempts."""
    with Hub(dict(shards)) as hub:
        Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(fineweb, "HfApi", partial(HfApi, endpoint=hub.url, token=False))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 4096)
        sleep = time.sleep
        monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.001)))
        yield hub
        hub.shutdown()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "new" / "fineweb10B"


@pytest.fixture
def run(hub, folder, capsys):
    """run(*argv): exit code, stdout and the lines of stderr but for the progress bar."""

    def run(*argv: str) -> tuple[int, str, list[str]]:
        argv = argv or ("--shards", "2")
        code = 0
        try:
            fineweb.main([*argv, "--folder", str(folder)])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, [line for line in re.split("[\r\n]+", err) if line and "|" not in line]

    return run


def files(folder: Path) -> dict[str, bytes]:
    """What lies there under a final name."""
    return {path.name: path.read_bytes() for path in folder.glob("fineweb_*")}


def assert_complete(folder: Path, shards: dict[str, bytes]) -> None:
    assert files(folder) == shards
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", fineweb.SUMS, *sorted(shards),
    ]  # fmt: skip
    assert fineweb.check_shards(folder, 2, thorough=True) == []


# ------------------------------------------------------------------------------------ all goes well


def test_fetches_verifies_and_says_what_it_will_do(hub, run, folder, shards):
    code, out, err = run()
    assert (code, err) == (0, [])
    first, second, last = out.splitlines()
    assert first == f"{fineweb.REPO} at 0123456789ab: 0 of 3 files are here and whole"
    assert re.fullmatch(r"to fetch: 3, in all 0\.00 GB; free: [\d.]+ GB", second)
    assert last.endswith("2 training shards and the validation shard, all verified")
    assert_complete(folder, shards)
    assert sorted(hub.fetched()) == sorted(shards)


def test_the_plan_comes_before_the_first_byte(hub, run):
    printed = []

    def fault(answer, name):
        printed.append(sys.stdout.getvalue() if name else "")
        return False

    hub.fault = fault
    run()
    assert "to fetch: 3, in all" in printed[1]


def test_what_is_whole_is_not_fetched_again(hub, run, folder, shards):
    run("--shards", "1")
    hub.asked.clear()
    code, out, _ = run()
    assert code == 0 and hub.fetched() == [SECOND]
    assert "2 of 3 files are here and whole\nto fetch: 1, in all" in out
    hub.asked.clear()
    assert run()[0] == 0 and hub.fetched() == []
    assert_complete(folder, shards)


def test_shards_that_another_tool_fetched_are_hashed_and_kept(hub, run, folder, shards):
    folder.mkdir(parents=True)
    for name in (VAL, FIRST):
        (folder / name).write_bytes(shards[name])
    assert run()[0] == 0 and hub.fetched() == [SECOND]
    assert_complete(folder, shards)


@pytest.mark.parametrize("lfs", [True, False])
def test_a_shard_that_has_rotted_is_fetched_again(hub, run, folder, shards, lfs):
    hub.lfs = lfs
    run()
    hub.asked.clear()
    (folder / FIRST).write_bytes(flip(shards[FIRST], 5000))
    assert run()[0] == 0 and hub.fetched() == [FIRST]
    assert_complete(folder, shards)


def test_a_dropped_connection_is_taken_up_where_it_broke(hub, run, folder, shards):
    hub.fault = cut(FIRST, 30_000, times=1)
    assert run()[0] == 0
    ranges = [r for method, name, r in hub.asked if (method, name) == ("GET", FIRST)]
    assert ranges == ["", "bytes=28672-"]  # seven chunks of 4,096 bytes had been written
    assert_complete(folder, shards)


def test_only_what_the_published_run_reads():
    """Shards that the records touched, by their steps of 524,288 tokens: 190 to a shard."""
    assert fineweb.shards_read(find_milestone("00")) == 103
    assert fineweb.shards_read(find_milestone("01")) == 33
    for steps, count in {5100: 27, 4578: 25, 3200: 17, 3242: 18, 3000: 16, 190: 1, 191: 2}.items():
        published = replace(find_milestone("01"), steps=steps, tokens=steps * 524_288)
        assert fineweb.shards_read(published) == count


def test_milestone_00_needs_more_batches_than_there_are(folder, capsys, monkeypatch):
    """102 shards of 190 batches and one of 105, for 19,560; the others have shards to spare."""
    short = [fineweb.batches_short(milestone) for milestone in milestones()]
    assert short == [75] + [0] * (len(short) - 1)
    monkeypatch.setattr(fineweb, "download", lambda *_: None)
    for number, end in ("00", "record --allow-repeat"), ("01", "record"):
        fineweb.main(["--milestone", number])
        assert capsys.readouterr().out.endswith(f".train_gpt {end}\n")


def test_a_milestone_asks_for_its_own_shards(hub, run, monkeypatch):
    monkeypatch.setattr(fineweb, "shards_read", lambda milestone: int(milestone.number) + 1)
    code, out, _ = run("--milestone", "01")
    assert code == 0 and len(hub.fetched()) == 3
    assert "next: torchrun --standalone --nproc_per_node=8 -m milestones.milestone01_muon" in out


def test_a_revision_is_one_commit_for_all_files(hub, run):
    paths = []
    hub.fault = lambda answer, name: paths.append(urlsplit(answer.path).path)
    assert run("--shards", "1", "--revision", "main")[0] == 0
    assert paths[0].endswith("/revision/main")
    assert all(f"/resolve/{COMMIT}/" in path for path in paths[1:])


# ------------------------------------------------------------------------------------------- faults


def flip(content: bytes, at: int) -> bytes:
    """One bit of it wrong."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def fault(name: str, answer: Callable, method: str = "", times: float = np.inf) -> Callable:
    """Answer the first `times` requests for a file, or for the list, named "", in another way."""

    def act(request: Answer, asked: str) -> bool:
        hit = asked == name and method in ("", request.command) and request.server.faults < times
        if hit:
            request.server.faults += 1
            answer(request)
        return hit

    return act


def cut(name: str, at: int, reset: bool = False, times: float = np.inf) -> Callable:
    """The connection breaks at a byte of a file."""

    def answer(request: Answer) -> None:
        request.send_file(name, upto=at)
        request.hang_up(reset)

    return fault(name, answer, "GET", times)


def spoil(name: str, change: Callable[[bytes], bytes], **kwargs) -> Callable:
    """Another content.  For GET only, it is not what HEAD had promised."""
    return fault(name, lambda r: r.send_file(name, change(r.server.files[name])), **kwargs)


def status(name: str, number: int, code: str = "", **kwargs) -> Callable:
    return fault(name, lambda request: request.refuse(number, code), **kwargs)


SIZE = 1024 + 2 * TOKENS
PLACES = random.Random(20240520).sample(range(1024, SIZE), 6)

# name -> (the fault, exit code of the run, words of its one error)
FAULTS = {
    "cut in the header": (cut(VAL, 100), 1, "cannot reach http://127.0.0.1"),
    "cut at a random byte": (cut(FIRST, PLACES[0]), 1, "cannot reach"),
    "cut at another": (cut(SECOND, PLACES[1]), 1, "cannot reach"),
    "cut before the last byte": (cut(FIRST, SIZE - 1), 1, "cannot reach"),
    "reset at a random byte": (cut(FIRST, PLACES[2], reset=True), 1, "cannot reach"),
    "reset at another": (cut(VAL, PLACES[3], reset=True), 1, "cannot reach"),
    "reset once": (cut(SECOND, PLACES[4], reset=True, times=1), 0, ""),
    "shorter": (spoil(FIRST, lambda c: c[:-2]), 1, f"{FIRST}: truncated, 2 bytes short"),
    "longer": (spoil(FIRST, lambda c: c + b"xx"), 1, f"{FIRST}: 2 bytes too long"),
    "shorter than promised": (spoil(FIRST, lambda c: c[:-2], method="GET"), 1, "Consistency check"),
    "another shard": (spoil(VAL, lambda c: small_shard()), 1, "1026 bytes where the hub has 41024"),
    "wrong magic": (spoil(FIRST, lambda c: flip(c, 0)), 1, f"{FIRST}: wrong magic"),
    "a random bit": (spoil(FIRST, lambda c: flip(c, PLACES[5])), 1, f"{FIRST}: SHA-256 is"),
    "the last byte": (spoil(SECOND, lambda c: flip(c, SIZE - 1)), 1, f"{SECOND}: SHA-256 is"),
    "a bit, once": (spoil(FIRST, lambda c: flip(c, PLACES[5]), method="GET", times=1), 0, ""),
    "a login, for all": (status("", 401), 1, "refuses access (401)"),
    "a login, for a file": (status(FIRST, 401), 1, "refuses access (401)"),
    "gated": (status(FIRST, 403, "GatedRepo"), 1, "accept its terms there, then set HF_TOKEN"),
    "no such dataset": (status("", 404, "RepoNotFound"), 1, "not found (404): check HF_ENDPOINT"),
    "no such file": (status(FIRST, 404, "EntryNotFound"), 1, "not found (404)"),
    "500 for the list, once": (status("", 500, times=1), 0, ""),
    "500 for HEAD, once": (status(FIRST, 500, method="HEAD", times=1), 0, ""),
    "500 for GET, once": (status(FIRST, 500, method="GET", times=1), 0, ""),
    "503 for good": (status(SECOND, 503), 1, "answers 503: wait a little"),
}


def small_shard() -> bytes:
    """A good one, of one token."""
    return np.array([20240520, 1, 1, *[0] * 253], "<i4").tobytes() + b"\0\0"


def assert_whole_or_absent(folder: Path, shards: dict[str, bytes]) -> None:
    assert files(folder).items() <= shards.items()


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_a_shard_is_whole_or_absent(hub, run, folder, shards, name):
    hub.fault, want, message = FAULTS[name]
    code, _, err = run()
    assert code == want and message in "".join(err)
    assert len(err) == bool(want) and all(line.startswith("error: ") for line in err)
    assert_whole_or_absent(folder, shards)
    assert not (folder / fineweb.INCOMING).exists()
    hub.fault = None
    assert run()[0] == 0
    assert_complete(folder, shards)


def test_after_a_fault_no_other_file_is_begun(hub, run, folder, shards):
    hub.fault = status(FIRST, 403)
    assert run("--shards", "2", "--workers", "1")[0] == 1
    assert hub.fetched() == [VAL] and files(folder) == {VAL: shards[VAL]}


def test_a_full_disk_while_writing(hub, run, folder, shards, monkeypatch):
    class FullDisk(io.FileIO):
        def write(self, data) -> int:
            if self.tell() + len(data) > PLACES[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    path_open = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "open",
            lambda path, *args, **kwargs: (
                FullDisk(path, "wb")
                if path.name.endswith(".incomplete")
                else path_open(path, *args, **kwargs)
            ),
        )
        code, _, err = run()
    assert code == 1 and len(err) == 1 and "No space left on device: check the disk" in err[0]
    assert files(folder) == {}
    assert len(hub.fetched()) <= 4  # none tried twice
    assert run()[0] == 0
    assert_complete(folder, shards)


def test_a_disk_too_small_is_refused_before_any_download(hub, run, folder, shards, monkeypatch):
    run("--shards", "1")
    before, hub.asked = files(folder), []
    usage = shutil.disk_usage(folder)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=SIZE - 1))
        code, out, err = run()
    assert code == 2 and "to fetch: 1, in all" in out and len(err) == 1
    assert "no room for that" in err[0]
    assert hub.fetched() == [] and files(folder) == before
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=SIZE))
        assert run()[0] == 0  # what is here already needs no room
    assert_complete(folder, shards)


@pytest.mark.parametrize(
    ("number", "code", "name", "at"),
    [
        (signal.SIGKILL, -signal.SIGKILL, SECOND, PLACES[0]),
        (signal.SIGINT, 130, FIRST, PLACES[1]),
    ],
)
def test_ended_by_a_signal(hub, run, folder, shards, number, code, name, at):
    reached, released = Event(), Event()

    def answer(request: Answer) -> None:
        request.send_file(name, upto=at)
        reached.set()
        released.wait(60)

    hub.fault = fault(name, answer, "GET")
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background
    process = subprocess.Popen(  # inherits that Ctrl-C is ignored, and so would the child
        [sys.executable, *f"-m data.fineweb --shards 2 --workers 1 --folder {folder}".split()],
        env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, ours)
    try:
        assert reached.wait(60), process.stderr.read()
        assert list((folder / fineweb.INCOMING).rglob("*.incomplete"))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        released.set()
    assert process.returncode == code and "Traceback" not in err
    assert_whole_or_absent(folder, shards)
    assert sorted(files(folder)) == sorted([VAL, FIRST] if name == SECOND else [VAL])
    hub.fault = None
    assert run()[0] == 0
    assert_complete(folder, shards)


# ------------------------------------------------------------------------------------- bad requests


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "pass either --milestone, such as 01, or --shards, such as 1"),
        (["--milestone", "01", "--shards", "1"], 2, "pass either"),
        (["--milestone", "77"], 2, "there is no milestone 77: choose from milestone00"),
        (["--shards", "-1"], 2, "--shards -1: there are 1 to 103"),
        (["--shards", "104"], 2, "--shards 104: there are 1 to 103"),
        (["--shards", "1", "--workers", "0"], 2, "--workers 0: at least one is needed"),
        (["--shards", "1", "--revision", "v9"], 1, "has no revision v9: pass main, or"),
        (["--shards", "3"], 1, "fineweb_train_000003.bin: not in kjj0/fineweb10B-gpt2 at main"),
        (["--shards", "1", "--verify"], 1, "error: 2 of 2 missing in "),
    ],
)
def test_bad_requests(hub, run, folder, argv, code, message):
    found, _, err = run(*argv) if argv else run("--shards", "0")
    assert found == code and message in err[0]
    assert len(err) == 1
    assert hub.fetched() == [] and not folder.exists()


def test_no_network(hub, run, folder, monkeypatch):
    monkeypatch.setattr(fineweb, "HfApi", partial(HfApi, endpoint="http://127.0.0.1:9"))
    code, _, err = run()
    assert code == 1 and len(err) == 1
    assert err[0].startswith("error: cannot reach http://127.0.0.1:9 (")
    assert "check the network, or name a mirror in HF_ENDPOINT" in err[0]
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    code, _, err = run()
    assert code == 1 and err == ["error: HF_HUB_OFFLINE is set: unset it to download"]
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_to(hub, run, folder):
    folder.parent.write_text("a file where the folder should be")
    code, _, err = run()
    assert code == 2 and len(err) == 1 and "pass a --folder to write to" in err[0]
    assert hub.fetched() == []


def test_one_download_at_a_time(hub, run, folder, shards):
    run("--shards", "1")
    with FileLock(folder / ".lock"):
        code, _, err = run()
    assert code == 2 and "another download is at work there" in err[0] and len(err) == 1
    assert run()[0] == 0
    assert_complete(folder, shards)


# ------------------------------------------------------------------------------------------- checks


def test_check_shards(hub, run, folder, shards):
    run()
    assert fineweb.check_shards(folder, 2) == fineweb.check_shards(folder, 2, thorough=True) == []
    (folder / FIRST).write_bytes(flip(shards[FIRST], 2000))
    assert fineweb.check_shards(folder, 2) == []  # size and header do not show it
    (line,) = fineweb.check_shards(folder, 2, thorough=True)
    assert line.startswith(f"{folder / FIRST}: SHA-256 is ") and line.endswith(fineweb.AGAIN)
    os.truncate(folder / SECOND, 5000)
    (folder / VAL).unlink()
    lines = fineweb.check_shards(folder, 2)
    assert "no such file" in lines[0] and "truncated" in lines[1] and len(lines) == 2
    assert len(fineweb.check_shards(folder, 2, thorough=True)) == 3
    assert len(fineweb.check_shards(folder, 1)) == 1


def test_a_shard_nobody_verified_is_no_match(folder):
    for name in (VAL, FIRST):
        write_shard(folder / name, [1, 2, 3])
    assert fineweb.check_shards(folder, 1) == []
    lines = fineweb.check_shards(folder, 1, thorough=True)
    assert len(lines) == 2 and all("not in SHA256SUMS" in line for line in lines)


def test_verify_needs_no_network(hub, run, folder, shards, monkeypatch):
    run()
    monkeypatch.setattr(fineweb, "HfApi", None)
    code, out, err = run("--shards", "2", "--verify")
    assert (code, err) == (0, []) and "all verified" in out
    (folder / VAL).write_bytes(flip(shards[VAL], 1024))
    code, _, err = run("--shards", "2", "--verify")
    assert code == 1 and len(err) == 1 and f"{VAL}: SHA-256 is" in err[0]
    again = f"python -m data.fineweb --shards 2 --folder {folder}"
    assert err[0].endswith(f": run {again} again")
    (folder / FIRST).unlink()
    code, _, err = run("--shards", "2", "--verify")
    assert code == 1 and f"{VAL}: SHA-256 is" in err[0]
    assert err[1:] == [f"error: 1 of 3 missing in {folder}: {again}"]


def test_the_command_to_fetch_says_what_was_asked_for():
    settings = fineweb.Settings(milestone="01")
    assert fineweb.command(settings) == "python -m data.fineweb --milestone 01"


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum here")
def test_sha256sum_reads_the_record(hub, run, folder):
    run()
    check = ["sha256sum", "--check", "--strict", fineweb.SUMS]
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 0
