"""Write the descriptors of MLflow's services, as its wheel carries them, to standard output.

Usage: ``python -c "$(cat descriptors.py)" service.proto …``

The output is a serialized ``google.protobuf.FileDescriptorSet``, dependencies first. MLflow
itself is not imported (that costs seconds): its ``*_pb2`` modules are loaded below an empty
``mlflow`` package that only knows where they are.
"""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor


def stub_packages() -> None:
    """Register empty ``mlflow`` and ``mlflow.protos`` packages at the places of the real ones."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        raise SystemExit(f"mlflow is not installed for {sys.executable}")
    root = Path(spec.origin).parent
    for name, path in (("mlflow", root), ("mlflow.protos", root / "protos")):
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package


def collect(file: FileDescriptor, found: dict[str, bytes]) -> None:
    """Add a file to ``found``, after the files that it imports."""
    if file.name in found:
        return
    for dependency in file.dependencies:
        collect(dependency, found)
    found[file.name] = file.serialized_pb


def main() -> None:
    """Print the descriptors of the files named on the command line."""
    stub_packages()
    found: dict[str, bytes] = {}
    for service in sys.argv[1:]:
        module = importlib.import_module(f"mlflow.protos.{service.removesuffix('.proto')}_pb2")
        collect(module.DESCRIPTOR, found)
    files = descriptor_pb2.FileDescriptorSet()
    for serialized in found.values():
        files.file.add().ParseFromString(serialized)
    sys.stdout.buffer.write(files.SerializeToString())


if __name__ == "__main__":
    main()
