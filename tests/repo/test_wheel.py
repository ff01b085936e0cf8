"""What is published works: the wheel is built, installed where no source tree is, and tested there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .mutations import CODE, ROOT, copied

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1_500)]

#: A part of each room; all of the tests but those of this folder run against it in the workflow.
TESTS = (
    "model", "wire", "guards", "policy/test_limits.py", "policy/test_toml.py", "core/test_flow_rows.py",
    "core/test_statements.py", "signers/test_evm.py", "signers/test_mistaken_keys.py", "schemes/test_exact_evm.py",
    "schemes/test_exact_solana.py", "ledgers/test_conformance.py", "ledgers/redis/test_purchases.py",
    "buyer/test_wallet.py", "adapters/test_paying.py", "cli/test_decode.py", "cli/test_demo.py",
    "sandbox/test_chains.py", "test_pytest_plugin.py",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Installed:
    """The wheel, the Python that has it, and a checkout without the package."""

    wheel: Path
    python: Path
    tree: Path

    def run(self, *words: str) -> str:
        """Run the Python in the checkout; return what it says, which is an error if it fails."""
        return said(str(self.python), *words, cwd=self.tree)


def said(*command: str, cwd: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV_"))}
    done = subprocess.run(
        command, cwd=cwd, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("wheel")
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    with copied() as tree:
        said(sys.executable, "-m", "venv", str(folder / "venv"), cwd=tree)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        said(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".", cwd=tree)
        [wheel] = folder.glob("*.whl")
        shutil.rmtree(tree / CODE)
        said(*pip, "install", "--quiet", "--no-compile", f"{wheel}[test]", cwd=tree)
        yield Installed(wheel, python, tree)


def test_it_has_every_file_of_the_package_and_no_other(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    packed = {name for name in names if ".dist-info/" not in name}
    listed = subprocess.run(["git", "ls-files", "-z", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    there = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    assert packed >= there, "the wheel lacks files"
    examples = {f"{CODE}/manual/examples/{path.name}" for path in (ROOT / "examples").iterdir() if path.is_file()}
    assert packed >= examples, "the wheel lacks examples"
    [page] = [name for name in packed if ".data/data/" in name]
    assert page.endswith("/share/man/man1/x402.1")
    assert all(name.startswith(f"{CODE}/") for name in packed - {page})
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_it_is_what_gets_imported(installed: Installed) -> None:
    assert "site-packages" in installed.run("-c", f"import {CODE}; print({CODE}.__file__)")


def test_its_command_runs(installed: Installed) -> None:
    assert "Never pays." in said(str(installed.python.with_name("x402")), "doctor", "--help", cwd=installed.tree)


def test_the_tests_pass_against_it(installed: Installed) -> None:
    told = installed.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ignore", "tests/repo", *(f"tests/{name}" for name in TESTS)
    )
    found = re.search(r"(\d+) passed", told.splitlines()[-1])
    assert found is not None, told[-3000:]
    assert int(found[1]) > 1_000
