"""Published latencies of Cortex-M boards: which board, which stack, which shape, and what to say of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.documents.strict_yaml import read_located
from npuexplore.hardware.compose import fragments
from npuexplore.hardware.kernels.product import product_kernel

BOARDS = {
    "F446": "stm32f446",
    "F746": "stm32f746",
    "G0B1": "stm32g0b1",
    "H743": "stm32h743",
    "H7A3": "stm32h7a3",
    "L4R5": "stm32l4r5",
    "L4R9": "stm32l4r9",
    "M467": "numaker-m467",
    "NRF5340": "nrf5340",
    "RA6M4": "ra6m4",
    "RA8D1": "ra8d1",
    "U575": "stm32u575",
    "U585": "stm32u575",
    "CY8CPROTO062": "psoc62",
}
"""Profiles by what the name of a board holds; the STM32U585 is the die of the STM32U575."""

SCORED_STACKS = (r"microTVM \+ CMSIS-NN", r"ONNC \+ CMSIS", r"X-CUBE-AI 7\.")
"""Beginnings of the stacks that run CMSIS-NN's kernels, or kernels close to them."""

WIDTH = r"\b\d{1,6}(?:x\d{1,3})?\b"
"""Outputs of a layer, or of as many layers as stand behind the x."""
CLANG = re.compile(r"LLVM|clang|Arm Compiler", re.IGNORECASE)
STACK_IN_DEVICE = re.compile(r"_(X-CUBE-AI|MICROTVM)-.*$")
VERSION_IN_DEVICE = re.compile(r"X-CUBE-AI-(\d+\.\d+)$")

NOTES = (
    (r"X-CUBE-AI 7\.1", "older kernels: 7.3 takes 15 to 22 % less time on the same boards"),
    (r"X-CUBE-AI 7\.", "ST's kernels, close to CMSIS-NN's"),
    (r"X-CUBE-AI 8", "not 7.x: as fast as 7.3 but for the L4R5"),
    (r"X-CUBE-AI", "not 7.x: kernels of its own, up to a third faster than CMSIS-NN's"),
    (r"CMSIS-NN|ONNC \+ CMSIS", "CMSIS-NN's kernels, built by GCC"),
    (r"native schedules", "TVM's own loops, without CMSIS-NN"),
    (r"Skymizer", "ONNC; the row does not vouch for CMSIS-NN, so that it is not scored"),
    (r"Plumerai", "an engine with kernels of its own, faster with every release"),
    (r"HALE", "code generated for each network, faster than CMSIS-NN's kernels"),
    (r"accelerator", "the board's accelerator does a part of the work"),
    (
        r"LLVM",
        "the stream of weights from flash sets the time (0.96 cycles a byte), not kernels: the profile ra8d1 "
        "has it as the rate of its flash",
    ),
    (r"not stated", "no stack stated; the time is that of CMSIS-NN behind a flash cache"),
)
"""What is said of a stack; the first pattern that is found counts."""


@dataclass(frozen=True)
class SiliconRow:
    """One published latency of a network of fully connected layers."""

    device: str
    core: str
    stack: str
    clock_mhz: float
    workload: str
    measured_ms: float

    @property
    def board(self) -> str:
        """Name of the board's profile, or of the board itself where it has none."""
        return board_of(self.device)

    @property
    def scored(self) -> bool:
        """Whether it runs the kernels that we count."""
        return any(re.match(pattern, self.stack) for pattern in SCORED_STACKS)

    @property
    def note(self) -> str:
        """What there is to know about the stack."""
        return next((note for pattern, note in NOTES if re.search(pattern, self.stack)), "")

    @property
    def zero_wait_ms(self) -> float:
        """Our time with memory without wait states; activations are folded into the kernels' clamps."""
        widths = fc_widths(self.workload)
        cycles = zero_wait_cycles(core_of(self.core), widths, clang=bool(CLANG.search(self.stack)))
        return cycles / (1_000 * self.clock_mhz)

    @property
    def ratio(self) -> float:
        """Cycles on the board divided by ours without wait states."""
        return self.measured_ms / self.zero_wait_ms


def board_of(device: str) -> str:
    """A board by whatever its submitters call it.

    >>> board_of("NUCLEO-L4R5ZI_X-CUBE-AI-7.3"), board_of("NUCLEO_L4R5ZI-zephyr"), board_of("Some Board_int8")
    ('stm32l4r5', 'stm32l4r5', 'SOMEBOARD')
    """
    bare = STACK_IN_DEVICE.sub("", re.sub(r"_int8.*$", "", device))
    letters = re.sub(r"[^A-Z0-9]", "", bare.upper())
    return next((profile for part, profile in BOARDS.items() if part in letters), letters)


def full_stack(stack: str, device: str) -> str:
    """A stack with its version, which some submitters write behind the device.

    >>> full_stack("X-CUBE-AI", "NUCLEO-L4R5ZI_X-CUBE-AI-7.3")
    'X-CUBE-AI 7.3'
    """
    version = VERSION_IN_DEVICE.search(device)
    return f"{stack} {version[1]}" if stack == "X-CUBE-AI" and version else stack


def fc_widths(workload: str) -> tuple[int, ...]:
    """Widths of the layers of a fully connected network, inputs first; empty where none are written.

    >>> fc_widths("an FC autoencoder 640-128x2-8-640, int8")
    (640, 128, 128, 8, 640)
    """
    written = re.search(rf"\bFC\b.*?({WIDTH}(?:-{WIDTH})+)", workload)
    if written is None:
        return ()
    parts = [part.split("x") for part in written[1].split("-")]
    return tuple(int(part[0]) for part in parts for _ in range(int(part[1]) if len(part) > 1 else 1))


def core_of(name: str) -> str:
    """A core in the words of profiles.

    >>> core_of("Cortex-M0+"), core_of("Cortex-M33")
    ('m0plus', 'm33')
    """
    return name.lower().removeprefix("cortex-").replace("+", "plus")


def is_known_core(name: str) -> bool:
    """Whether there is a fragment for the core."""
    return f"parts/cortex-{core_of(name)}" in fragments()


@lru_cache(maxsize=256)
def zero_wait_cycles(core: str, widths: Sequence[int], *, clang: bool) -> float:
    """Cycles of int8 fully connected layers one after the other, without wait states.

    >>> round(zero_wait_cycles("m4", (640, 128), clang=False) / (640 * 128), 1)
    2.3
    """
    engine = read_located(fragments()[f"parts/cortex-{core}"], what="fragment").data["engine"]
    toolchain = "clang22-O3" if clang else str(engine["toolchain"])
    kernel = product_kernel(str(engine["kernels_of"]), toolchain, "fc_s8")
    cycles = product_cycles(kernel, inputs=np.array(widths[:-1]), outputs=np.array(widths[1:]))
    return float(cycles.sum()) * float(engine.get("core_ratio", 1.0))
