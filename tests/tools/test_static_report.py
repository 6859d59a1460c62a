"""tools/static_report: occupancy, and the instructions of a loop, from a kernel as nvcc compiled it."""

from __future__ import annotations

import pytest

from tools.static_report.loops import Loop, blending_loop, count_instructions
from tools.static_report.occupancy import occupancy


@pytest.mark.parametrize(
    ("registers", "shared", "threads", "sm_90", "sm_120"),
    [
        (32, 7168, 256, 1.0, 1.0),
        (40, 7168, 256, 0.75, 1.0),
        (48, 10240, 256, 0.625, 40 / 48),
        (64, 0, 128, 0.5, 32 / 48),
        (255, 0, 128, 0.125, 8 / 48),
        (16, 100 << 10, 128, 8 / 64, 0.0),  # more shared memory than sm_120 has
        (16, 0, 32, 0.5, 0.5),  # as many blocks as there can be
    ],
)
def test_occupancy(registers: int, shared: int, threads: int, sm_90: float, sm_120: float) -> None:
    assert occupancy("90", registers, shared, threads) == sm_90
    assert occupancy("120", registers, shared, threads) == pytest.approx(sm_120)


def listing(*lines: str) -> list[str]:
    """A listing as nvdisasm writes it: labels as they are, instructions with addresses."""
    written = []
    for i, line in enumerate(lines):
        written.append(f"{line}:" if line.startswith(".L") else f"        /*{16 * i:04x}*/    {line} ;")
    return written


# Two rows of pixels, each jumped over when the splat does not touch it; in a row, one over the blending.
# Around the loop over splats there is one over batches of splats.
KERNEL = listing(
    "MOV R1, c[0x0][0x28]",
    ".L_x_0",
    "BAR.SYNC 0x0",
    ".L_x_1",
    "LDS R2, [R3]",
    "@!P0 BRA `(.L_x_3)",
    "FFMA R4, R2, R2, R5",
    "MUFU.EX2 R4, R4",
    "@P1 BRA `(.L_x_2)",
    "FADD R6, R6, R4",
    ".L_x_2",
    "FADD R7, R7, R4",
    ".L_x_3",
    "@!P2 BRA `(.L_x_4)",
    "FFMA R8, R2, R2, R5",
    "MUFU.EX2 R8, R8",
    "FADD R9, R9, R8",
    ".L_x_4",
    "ISETP.NE.AND P3, PT, R3, RZ, PT",
    "@P3 BRA `(.L_x_1)",
    "@P4 BRA `(.L_x_0)",
    "EXIT",
    ".L_x_5",
    "BRA `(.L_x_5)",
    "NOP",
)


def test_a_loop_is_split_into_what_every_visit_costs_and_what_a_row_does() -> None:
    # LDS, two jumps over rows, comparison and jump back; five instructions in one row, three in the other.
    assert blending_loop(KERNEL) == Loop(visit=5, row=4.0, rows=2)
    assert Loop(visit=5, row=4.0, rows=2).per_32_pairs == 6.5


def test_a_kernel_without_exponentials_has_no_blending_loop() -> None:
    assert blending_loop([line for line in KERNEL if "MUFU" not in line]) is None


def test_instructions_are_counted_without_those_that_fill_up_the_end() -> None:
    assert count_instructions(KERNEL) == 18
