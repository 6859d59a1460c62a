"""Measurements as lines of a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from trainers.benchmark.measure import Measurement

# Title, unit and width of each column.
COLUMNS = (
    ("gaussians", "", 9),
    ("image", "", 10),
    ("threads", "", 8),
    ("isa", "", 8),
    ("pairs", "[M]", 7),
    ("bin", "[ms]", 8),
    ("forward", "[ms]", 9),
    ("backward", "[ms]", 10),
    ("forward", "[G/core-s]", 11),
    ("backward", "[G/core-s]", 11),
    ("memory", "[MiB]", 8),
)
HEADER = "\n".join("".join(f"{column[i]:>{column[2]}}" for column in COLUMNS) for i in (0, 1))


def row(m: Measurement) -> str:
    """One line under `HEADER`. Times are wall times; rates are billions of pairs per core-second."""
    case = m.case
    cells = (
        f"{case.gaussians:,}",
        f"{case.width}x{case.height}",
        f"{case.threads}",
        m.isa,
        f"{m.pairs / 1e6:.1f}",
        f"{m.bin.wall * 1e3:.1f}",
        f"{m.forward.wall * 1e3:.1f}",
        f"{m.backward.wall * 1e3:.1f}",
        f"{m.forward_rate / 1e9:.3f}",
        f"{m.backward_rate / 1e9:.3f}",
        "?" if m.memory_bytes is None else f"{m.memory_bytes / 2**20:.0f}",
    )
    return "".join(f"{cell:>{width}}" for cell, (_, _, width) in zip(cells, COLUMNS, strict=True))


def as_json(m: Measurement) -> dict[str, Any]:
    """All fields, in seconds and bytes, and the rates in pairs per core-second."""
    fields = {**asdict(m), "forward_rate": m.forward_rate, "backward_rate": m.backward_rate}
    for stage in ("bin", "forward", "backward"):
        seconds = fields.pop(stage)
        fields[f"{stage}_seconds"], fields[f"{stage}_cpu_seconds"] = seconds
    return fields
