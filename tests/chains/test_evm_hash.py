"""Keccak-256 stays right when another module is called ``sha3``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from Crypto.Hash import keccak as pycryptodome

from x402_client.chains.evm import keccak

#: Around the ends of one block and of two; a block has 136 bytes.
LENGTHS = (0, 1, 20, 64, 135, 136, 137, 256, 271, 272, 273, 1000)
#: Account of the private key 1, by its public key: what every Ethereum library says.
PUBLIC_KEY = (
    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)
ADDRESS = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"

#: Modules that call themselves sha3 and have no Keccak-256 to offer.
IMPOSTORS = {
    "SHA3-256 of the NIST": "from hashlib import sha3_256 as keccak_256",
    "without the name": "from hashlib import sha3_256",
    "raises ImportError": "raise ImportError('no such library')",
    "raises another error": "raise RuntimeError('not for this machine')",
    "a name that is no function": "keccak_256 = None",
    "right for one block only": """
from Crypto.Hash import keccak
def keccak_256(data):
    return keccak.new(data=data[:135], digest_bits=256)
""",
}

PROGRAM = f"""
import importlib.util
print(importlib.util.find_spec("sha3").origin)
from x402_client.chains.evm import address_of, keccak
print(*(keccak(bytes(i % 251 for i in range(length))).hex() for length in {LENGTHS}))
print(address_of(bytes.fromhex("{PUBLIC_KEY}")))
"""


def expected() -> str:
    texts = (bytes(i % 251 for i in range(length)) for length in LENGTHS)
    return " ".join(pycryptodome.new(data=text, digest_bits=256).hexdigest() for text in texts)


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the modules of ``folder`` before those that are installed."""
    found_first = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": found_first}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("impostor", IMPOSTORS.values(), ids=IMPOSTORS)
def test_another_module_called_sha3_changes_no_hash(impostor: str, tmp_path: Path) -> None:
    (tmp_path / "sha3.py").write_text(impostor)
    ran = run(tmp_path, PROGRAM)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [str(tmp_path / "sha3.py"), expected(), ADDRESS]


def test_a_pycryptodome_that_is_wrong_too_stops_with_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "sha3.py").write_text(IMPOSTORS["SHA3-256 of the NIST"])
    hashes = tmp_path / "Crypto" / "Hash"
    hashes.mkdir(parents=True)
    (tmp_path / "Crypto" / "__init__.py").touch()
    (hashes / "__init__.py").touch()
    (hashes / "keccak.py").write_text("import hashlib\ndef new(data, digest_bits): return hashlib.sha3_256(data)")
    ran = run(tmp_path, "from x402_client.chains.evm import keccak\nkeccak(b'')")
    assert ran.returncode == 1
    assert "ConfigurationError: pycryptodome computes a wrong Keccak-256" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("length", LENGTHS)
def test_the_hash_that_is_chosen_here_agrees_with_pycryptodome(length: int) -> None:
    data = bytes(range(251)) * 4
    assert keccak(data[:length]) == pycryptodome.new(data=data[:length], digest_bits=256).digest()
