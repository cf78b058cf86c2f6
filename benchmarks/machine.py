"""What the benchmarks were run on, in a line: processor, cores, the vectors of our kernels, and who compiled them."""

import functools
import os
import platform
import re
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types

from hmoe_stats.compiling import Compiler

REGISTERS = {"zmm": 512, "ymm": 256, "xmm": 128}  # of x86, widest first, and their bits


@functools.cache
def machine():
    """One line about this machine, as it stands in the column ``machine`` of the tables."""
    name = processor() or platform.processor() or platform.machine()
    bits = vector_bits()
    return "; ".join(
        [
            f"{name} ({llvm.get_host_cpu_name()})",  # makers' names of servers seldom tell the generation, LLVM's does
            f"{os.cpu_count()} cores",
            f"{bits}-bit vectors" if bits else "vectors of unknown width",
            f"numba {numba.__version__}",
            f"LLVM {'.'.join(map(str, llvm.llvm_version_info))}",
            f"numpy {np.__version__}",
        ]
    )


def processor():
    """Vendor and model as Linux tells them, "" elsewhere."""
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.exists() else ""
    found = (re.search(rf"^{field}\s*: (.*)$", text, re.MULTILINE) for field in ("vendor_id", "model name"))
    return " ".join(match[1].strip() for match in found if match)


def vector_bits():
    """Bits of the vectors in a loop that is compiled as our kernels are; 0 if they cannot be told."""
    array = types.float64[::1]

    @numba.njit((array, array), pipeline_class=Compiler)
    def add(x, y):
        for s in range(x.size):
            y[s] += x[s]

    (assembly,) = add.inspect_asm().values()
    return next((bits for name, bits in REGISTERS.items() if f"%{name}" in assembly), 0)
