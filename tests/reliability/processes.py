"""What the operating system knows of a server: its processes, memory and ports."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

#: An environment variable by which every process of one test's server is found.
MARK = "MLFLOW_GO_TEST_MARK"


def marked(mark: str) -> dict[int, str]:
    """Give the command lines of all live processes that carry the mark, by process id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if f"{MARK}={mark}".encode() in environment and state not in "ZX":
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                found[int(folder.name)] = command
    return found


def peak_memory(pid: int) -> int:
    """Give a process's largest resident size so far, in bytes."""
    return _kilobytes(pid, "status", "VmHWM")


def shared_memory(pid: int) -> int:
    """Give a process's part of the memory that it uses, in bytes: what n share counts an nth."""
    return _kilobytes(pid, "smaps_rollup", "Pss")


def _kilobytes(pid: int, file: str, line: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    values = dict(entry.split(":", 1) for entry in lines if ": " in entry or ":\t" in entry)
    return int(values[line].split()[0]) * 1024


def listening(url: str) -> bool:
    """Tell whether anything accepts connections at a server's address."""
    host, _, port = url.rpartition("/")[2].partition(":")
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def eventually(holds: Callable[[], bool], limit: float, what: str) -> None:
    """Wait until something holds; say what it was when it doesn't in time."""
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
