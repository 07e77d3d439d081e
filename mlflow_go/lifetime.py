"""No process outlives the one that started it, however that one ended.

On Linux the kernel tells: a process asks for a signal at its parent's death. Elsewhere a thread
watches for a new parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Looked up once: between fork and exec nothing may be imported or loaded.
_prctl: Callable[..., int] | None = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
# Nobody else's signal: gunicorn, uvicorn and MLflow handle the named ones.
_PARENT_DIED = signal.SIGRTMIN if hasattr(signal, "SIGRTMIN") else signal.SIGTERM
# How often the parent is looked at where the kernel doesn't tell, in seconds.
_POLL_INTERVAL = 0.25


def die_with(parent: int) -> None:
    """End this process when its parent dies. To be called right after the fork.

    Args:
        parent: The parent's process id, read before the fork: it may be gone by now.
    """
    if _prctl is not None:
        signal.signal(_PARENT_DIED, signal.SIG_DFL)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        _watch(parent, lambda: os._exit(1))
    if os.getppid() != parent:
        os._exit(1)


def take_descendants_along() -> None:
    """Kill all descendants and end this process when its parent dies.

    The descendants include those whose own parent is gone, which on Linux become our children.
    """
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        signal.signal(_PARENT_DIED, lambda *_: _leave())
        _prctl(_PR_SET_PDEATHSIG, _PARENT_DIED)
    elif sys.platform != "win32":  # where the server's job object ends us all
        _watch(os.getppid(), _leave)


def kill_descendants() -> None:
    """Kill every process below this one. Where there is no ``/proc``, each watches its parent."""
    while running := set(_descendants(os.getpid())):
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _leave() -> None:
    kill_descendants()
    os._exit(1)


def _watch(parent: int, then: Callable[[], None]) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_INTERVAL)
        then()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _descendants(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    dead = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name) state ppid …", and a name may hold spaces and parentheses.
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue  # It ended while we looked.
        pid = int(path.parent.name)
        children.setdefault(int(parent), []).append(pid)
        if state in "ZX":
            dead.add(pid)
    below = list(children.get(root, ()))
    for pid in below:
        below.extend(children.get(pid, ()))
        if pid not in dead:
            yield pid
