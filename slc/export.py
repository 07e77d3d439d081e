"""Make the script-language container in which UDFs of an Exasol database can use mlflow-go.

Runs in the environment of slc/requirements.txt; ``mage slc:export`` and ``mage slc:prepare`` see to
that and to the wheel. Everything but the export itself works without Docker.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exasol.python_extension_common.deployment.language_container_builder import LanguageContainerBuilder

NAME = "mlflow_go"
# Of the template in the flavour's Dockerfile, on which the test of the flavour keeps an eye.
PYTHON_VERSION = "3.12"
PLATFORM = "x86_64-manylinux_2_28"


@contextmanager
def language_container(wheel: Path) -> Iterator[LanguageContainerBuilder]:
    """Prepare a container with mlflow-go in it: Exasol's flavour, a package list and the wheel.

    Args:
        wheel: mlflow-go's, for Linux on x86_64.

    Yields:
        Exasol's builder, ready for ``export``; its folder is gone afterwards.
    """
    if "manylinux" not in wheel.name or not wheel.name.endswith("x86_64.whl"):
        raise SystemExit(f"{wheel.name} is not for Linux on x86_64, as script-language containers are")
    with LanguageContainerBuilder(NAME) as builder:
        # prepare_flavor would ask Poetry, with which this project isn't built.
        builder.requirements_file.write_text(packages(wheel))
        builder.wheel_target.mkdir(parents=True)
        shutil.copy(wheel, builder.wheel_target)
        yield builder


def packages(wheel: Path) -> str:
    """Give the requirements.txt of all that the wheel needs with its extra, each in one version."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--python-version", PYTHON_VERSION, "--python-platform", PLATFORM, "--only-binary", ":all:"),
        *("--no-emit-package", "mlflow-go", "-"),
    ]
    wanted = f"mlflow-go[exasol] @ {wheel.resolve().as_uri()}\n"
    return subprocess.run(command, check=True, input=wanted, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Write the flavour, and unless told otherwise the container, into a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheel", type=Path, required=True, help="mlflow-go's")
    parser.add_argument("--output", type=Path, required=True, help="where flavor/ and the container go")
    parser.add_argument("--prepare-only", action="store_true", help="stop where Docker would be needed")
    arguments = parser.parse_args()
    with language_container(arguments.wheel) as builder:
        flavor = arguments.output / "flavor"
        shutil.rmtree(flavor, ignore_errors=True)
        shutil.copytree(builder.flavor_path, flavor)
        print(f"prepared {flavor}")
        if not arguments.prepare_only:
            builder.export(arguments.output.resolve())
            print(*arguments.output.glob("*.tar.gz"))


if __name__ == "__main__":
    main()
