"""The shared library: build it, load it, call it.

``python -m mlflow_go.lib SOURCE DESTINATION`` builds it from a checkout with the machine's C
compiler. A wheel has it inside.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import runpy
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, final

from mlflow_go import _find, _toolchain
from mlflow_go._version import __version__

if TYPE_CHECKING:
    from cffi import FFI

_DECLARATIONS = """
char *MlflowVersion(void);
int32_t MlflowOpen(const uint8_t *configuration, size_t configuration_size, uint64_t *handle,
                   uint8_t **payload, size_t *payload_size);
int32_t MlflowCall(uint64_t handle, const uint8_t *method, size_t method_size,
                   const uint8_t *request, size_t request_size,
                   uint8_t **payload, size_t *payload_size);
int32_t MlflowClose(uint64_t handle, uint8_t **payload, size_t *payload_size);
void MlflowFree(uint8_t *payload);
"""


class LibraryError(RuntimeError):
    """The shared library can't be loaded, or not be used in this process."""


class CallError(Exception):
    """The library answered with an error.

    Attributes:
        error_code: Name of one of MLflow's error codes.
        message: The text for users.
        fields: Further members of MLflow's error body.
    """

    def __init__(self, payload: bytes) -> None:
        """Read the error from the library's payload."""
        body: dict[str, Any] = json.loads(payload)
        self.error_code: str = body.pop("error_code")
        self.message: str = body.pop("message")
        self.fields = body
        super().__init__(f"{self.error_code}: {self.message}")


class Library:
    """The loaded shared library. Threads may share it; a forked child can't use it."""

    def __init__(self, path: Path) -> None:
        """Load the library.

        Args:
            path: Its file.

        Raises:
            LibraryError: It can't be loaded, or is not the one of this version of mlflow_go.
        """
        from cffi import FFI  # Here, since building needs none.

        self._ffi: FFI = FFI()
        self._ffi.cdef(_DECLARATIONS)
        try:
            self._functions: Any = self._ffi.dlopen(str(path))
        except OSError as error:
            raise LibraryError(f"mlflow-go's shared library can't be loaded: {error}") from error
        try:
            version = self._ffi.string(self._functions.MlflowVersion()).decode()
        except AttributeError:
            raise LibraryError(f"{path} is not mlflow-go's shared library.") from None
        if version != __version__:
            raise LibraryError(
                f"{path} is of mlflow-go {version}, the Python package of {__version__}. Install both "
                "from one wheel; in a checkout, run `pip install -e .` again."
            )
        self._process = os.getpid()

    def open(self, configuration: Mapping[str, str]) -> Session:
        """Open stores, which behave as MLflow's variables say now.

        Args:
            configuration: ``backend_store_uri``, in which a relative path of a SQLite file is taken
                from the working directory of now, and ``default_artifact_root``, absolute.

        Raises:
            CallError: They can't be opened.
        """
        environment = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
        encoded = json.dumps({**configuration, "environment": environment}).encode()
        handle = self._ffi.new("uint64_t *")
        self._run(self._functions.MlflowOpen, encoded, len(encoded), handle)
        return Session(self, handle[0])

    def _call(self, handle: int, method: bytes, request: bytes) -> bytes:
        return self._run(self._functions.MlflowCall, handle, method, len(method), request, len(request))

    def _close(self, handle: int) -> None:
        self._run(self._functions.MlflowClose, handle)

    def _run(self, function: Any, *arguments: Any) -> bytes:
        if os.getpid() != self._process:
            raise LibraryError(
                "mlflow-go's shared library was loaded before this process was forked, and Go's threads "
                "don't survive a fork. Start the process with the 'spawn' method."
            )
        payload = self._ffi.new("uint8_t **")
        size = self._ffi.new("size_t *")
        status = function(*arguments, payload, size)
        answer = self._ffi.buffer(payload[0], size[0])[:] if size[0] else b""
        self._functions.MlflowFree(payload[0])
        if status:
            raise CallError(answer)
        return answer


@final
class Session:
    """Stores that the library has opened."""

    def __init__(self, library: Library, handle: int) -> None:
        """Wrap a handle of the library."""
        self._library = library
        self._handle = handle

    def call(self, method: str, request: bytes) -> bytes:
        """Call a method.

        Args:
            method: Service and procedure, as in ``MlflowService.createRun``.
            request: The request message, serialized.

        Returns:
            The response message, serialized.

        Raises:
            CallError: The method failed.
        """
        return self._library._call(self._handle, method.encode(), request)  # noqa: SLF001

    def close(self) -> None:
        """Wait for the calls under way and close the stores.

        Raises:
            CallError: They are closed already, or closing failed.
        """
        self._library._close(self._handle)  # noqa: SLF001

    def __enter__(self) -> Session:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stores."""
        self.close()


@functools.cache
def load() -> Library:
    """Return the shared library, loaded once in a process.

    Raises:
        mlflow_go._find.NotFoundError: It is nowhere.
        LibraryError: It can't be loaded, or is not the one of this version of mlflow_go.
    """
    return Library(_find.find_library())


def build(source: Path, destination: Path) -> Path:
    """Build the shared library.

    Args:
        source: A checkout of mlflow-go, or its unpacked sdist.
        destination: The directory to put it in.

    Returns:
        The library's path.

    Raises:
        mlflow_go._toolchain.ToolchainError: Go or a C compiler is missing.
        subprocess.CalledProcessError: Go can't build it.
    """
    version = runpy.run_path(str(source / "mlflow_go" / "_version.py"))["__version__"]
    target = _toolchain.development_target()
    output = destination.resolve() / _find.library_name(target.platform)
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["go", "build", "-buildmode=c-shared", "-o", output, "./pkg/lib"],
        cwd=source,
        env=_toolchain.build_environment(source, version, target),
        check=True,
    )
    # cgo's header: lib.py declares the functions itself.
    output.with_suffix(".h").unlink()
    return output


def main() -> None:
    """Build the shared library as the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m mlflow_go.lib", description="Build mlflow-go's shared library."
    )
    parser.add_argument("source", type=Path, help="a checkout of mlflow-go")
    parser.add_argument("destination", type=Path, help="the directory to put the library in")
    arguments = parser.parse_args()
    try:
        print(build(arguments.source, arguments.destination))
    except _toolchain.ToolchainError as error:
        raise SystemExit(str(error)) from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None


if __name__ == "__main__":
    main()
