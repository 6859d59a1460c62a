"""Measurements as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from trainers.benchmark.ceiling import Ceiling
from trainers.benchmark.measure import Measurement
from trainers.benchmark.step import StepTimes
from trainers.benchmark.work import work_of_step


def rasterizer_table(title: str, measurements: Sequence[Measurement]) -> Table:
    """Times are wall times; rates are billions of contributing pairs per second of processor time."""
    table = _table(
        title, "Gaussians", "image", "sigma\n[px]", "channels", "threads", "isa", "pairs\n[M]", "bin\n[ms]",
        "forward\n[ms]", "backward\n[ms]", "forward\n[G/core-s]", "backward\n[G/core-s]", "memory\n[MiB]",
    )  # fmt: skip
    for m in measurements:
        case = m.case
        table.add_row(
            f"{case.gaussians:,}",
            f"{case.width}x{case.height}",
            f"{case.median_sigma:g}",
            f"{case.channels}",
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
    return table


def ceiling_table(title: str, ceilings: Sequence[Ceiling]) -> Table:
    table = _table(title, "isa", "threads", "multiply-adds\n[Gflop/s]", "triad\n[GB/s]")
    for c in ceilings:
        flops, streamed = f"{c.flops_per_second / 1e9:.0f}", f"{c.bytes_per_second / 1e9:.1f}"
        table.add_row(c.isa, f"{c.threads}", flops, streamed)
    return table


def step_table(title: str, times: StepTimes, pairs: int, ceiling: Ceiling) -> Table:
    """Where the processor time of a step goes, and how far each stage is from what the machine can do."""
    table = _table(title, "stage", "[ms]", "share", "[Gflop/s]", "[GB/s]", "of the ceiling")
    work = work_of_step(times, pairs)
    for stage, seconds in times.stages.items():
        cells = ["", "", ""]
        if stage in work:
            flops, streamed = work[stage].flops / seconds, work[stage].bytes / seconds
            best = max(flops / ceiling.flops_per_second, streamed / ceiling.bytes_per_second)
            cells = [f"{flops / 1e9:.1f}", f"{streamed / 1e9:.1f}", f"{best:.0%}"]
        table.add_row(stage, f"{seconds * 1e3:.2f}", f"{times.share(seconds):.1%}", *cells)
    overhead = times.overhead
    table.add_row("Python and PyTorch", f"{overhead * 1e3:.2f}", f"{times.share(overhead):.1%}", "", "", "")
    table.add_section()
    table.add_row("whole step", f"{times.step.cpu * 1e3:.2f}", "100%", "", "", "")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def as_json(m: Measurement) -> dict[str, Any]:
    """All fields, in seconds and bytes, and the rates in pairs per core-second."""
    fields = {**asdict(m), "forward_rate": m.forward_rate, "backward_rate": m.backward_rate}
    for stage in ("bin", "forward", "backward"):
        seconds = fields.pop(stage)
        fields[f"{stage}_seconds"], fields[f"{stage}_cpu_seconds"] = seconds
    return fields
