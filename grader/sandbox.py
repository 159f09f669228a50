"""A process for code that nobody has read: limits, and on Linux a namespace of its own.

    python -m grader.sandbox FOLDER HIDDEN ... -- COMMAND ...

Inside there is no network but a loopback of its own, no other process can be reached, everything
but FOLDER is read-only, the hidden folders are empty, and all that was started ends with the first
process.  It takes no rights where the kernel lets users make namespaces; elsewhere there are limits
alone.
"""

import ctypes
import fcntl
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ENTER = (
    "unshare", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child",
)  # fmt: skip
DROP = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
FILE_BYTES = 64 << 20  # the largest file that may be written
SHARED = "/dev/shm"  # locks and memory that processes share

# from linux/mount.h, asm-generic/unistd.h, linux/fcntl.h, linux/sockios.h and linux/if.h
MOUNT_ATTR_RDONLY = 1
SYS_MOUNT_SETATTR = 442  # Linux 5.12, the same number on every architecture
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def limit(seconds: float, memory: float) -> None:
    """From here on: CPU seconds, GB of memory above what is in use now, and the size of files.

    Memory is address space, a process; only Linux can tell what is in use, so only there.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
    statm = Path("/proc/self/statm")
    if statm.exists():
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        most = used + int(memory * 1e9)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def inside(folder: Path, hidden: list[Path], command: list[str]) -> list[str]:
    """The command that runs `command` in a namespace, where only `folder` can be written to.

    hidden: folders that are empty there, those that hold `folder` apart from it.
    """
    words = [str(path) for path in (folder, *hidden)]
    return [*ENTER, sys.executable, "-m", "grader.sandbox", *words, "--", *DROP, *command]


@cache
def namespaces() -> bool:
    """Whether this machine lets us make them."""
    with tempfile.TemporaryDirectory() as folder:
        command = inside(Path(folder), [], [sys.executable, "-c", ""])
        root = Path(__file__).parents[1]
        try:
            return subprocess.run(command, cwd=root, capture_output=True).returncode == 0
        except OSError:
            return False


def set_read_only(path: str, on: bool, flags: int = 0) -> None:
    """Of a mount; with AT_RECURSIVE of all below it too.  OSError if the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack(
        "QQQQ", *((MOUNT_ATTR_RDONLY, 0) if on else (0, MOUNT_ATTR_RDONLY)), 0, 0
    )
    arguments = (AT_FDCWD, path.encode(), flags, attributes, len(attributes))
    if libc.syscall(SYS_MOUNT_SETATTR, *arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def empty(path: str) -> None:
    """Put a new empty folder, in memory, over this one."""
    mount("-t", "tmpfs", "-o", f"mode=755,size={FILE_BYTES}", "tmpfs", path)


def close(folder: str, hidden: list[str]) -> None:
    """Of a new namespace, as its root: all that stands above."""
    empty(SHARED)
    shelter = Path(SHARED, "folder")
    shelter.mkdir()
    mount("--bind", folder, str(shelter))
    for path in hidden:
        empty(path)
    Path(folder).mkdir(parents=True, exist_ok=True)
    mount("--move", str(shelter), folder)
    shelter.rmdir()
    set_read_only("/", True, AT_RECURSIVE)
    for path in (folder, SHARED):
        set_read_only(path, False)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def main(words: list[str]) -> None:
    """Close the namespace, then become the command, without the rights to open it again."""
    end = words.index("--")
    folder, *hidden = words[:end]
    close(folder, hidden)
    os.chdir(folder)
    os.execvp(words[end + 1], words[end + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
