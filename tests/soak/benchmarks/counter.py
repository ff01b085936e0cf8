"""Counts the instructions of a part of this program under valgrind: ``--tool=callgrind --instr-atstart=no``.

Strategy: callgrind begins to count, and writes down what it counted, when the program says so. A program says it by a
few instructions that do nothing on a bare processor. valgrind.h has them as macros of C; here they are as bytes, called
by ctypes.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

#: For x86-64: the request's address to rax, four rotations of rdi by 128 bits in all, "xchg rbx, rbx", the answer.
_REQUEST = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
#: callgrind.h numbers its requests from here: its letters are "CT".
_FIRST = (ord("C") << 24) + (ord("T") << 16)
_ZERO, _DUMP, _START = _FIRST + 1, _FIRST + 3, _FIRST + 4
COUNTS_HERE = platform.system() == "Linux" and platform.machine() == "x86_64" and shutil.which("valgrind") is not None


class Counter:
    """The counting of this process by callgrind, which leaves a file for each part."""

    def __init__(self) -> None:
        self._code = mmap.mmap(-1, len(_REQUEST), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(_REQUEST)
        where = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._call = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(where)

    def _ask(self, request: int, argument: int = 0) -> None:
        words = (ctypes.c_uint64 * 6)(request, argument)
        self._call(ctypes.addressof(words))

    def start(self) -> None:
        """Have everything counted from here on. What came before ran several times faster."""
        self._ask(_START)

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Count what runs inside, under a name."""
        shown = ctypes.create_string_buffer(name.encode())
        self._ask(_ZERO)
        yield
        self._ask(_DUMP, ctypes.addressof(shown))
