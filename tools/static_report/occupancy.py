"""How many warps of a kernel a multiprocessor can hold, of those that it has room for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Multiprocessor:
    """Limits per multiprocessor (CUDA C++ Programming Guide, "Compute Capabilities")."""

    warps: int
    blocks: int
    shared: int  # bytes
    registers: int = 65536


MULTIPROCESSORS = {
    "80": Multiprocessor(warps=64, blocks=32, shared=164 << 10),
    "90": Multiprocessor(warps=64, blocks=32, shared=228 << 10),
    "120": Multiprocessor(warps=48, blocks=24, shared=100 << 10),
}
_REGISTERS_AT_A_TIME = 256  # per warp
_SYSTEM_SHARED = 1 << 10  # bytes per block that the system takes
_SHARED_AT_A_TIME = 128


def occupancy(architecture: str, registers: int, shared: int, threads: int) -> float:
    """The share of the warps, for blocks of so many threads."""
    limits = MULTIPROCESSORS[architecture]
    warps = -(-threads // 32)
    per_warp = _round_up(registers * 32, _REGISTERS_AT_A_TIME)
    # Registers are allotted in four partitions, each with a quarter of them.
    warps_by_registers = limits.registers // 4 // per_warp * 4
    blocks = min(
        limits.warps // warps,
        limits.blocks,
        warps_by_registers // warps,
        limits.shared // _round_up(shared + _SYSTEM_SHARED, _SHARED_AT_A_TIME),
    )
    return blocks * warps / limits.warps


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
