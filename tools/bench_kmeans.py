"""How long k-means takes here: `python tools/bench_kmeans.py [--rows N] [--codes K] [--dim D]`.

Prints seconds, arithmetic throughput and inertia of Lloyd's algorithm, and of mini-batches next to it.
"""

from __future__ import annotations

import argparse
import time

import torch

from gsplat_core.compress.kmeans import inertia, kmeans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--codes", type=int, default=4096)
    parser.add_argument("--dim", type=int, default=45)
    parser.add_argument("--iterations", type=int, default=10)
    options = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    # Correlated columns with heavy tails, as coefficients of spherical harmonics have.
    mix = torch.randn(options.dim, options.dim, generator=generator) / options.dim**0.5
    points = torch.randn(options.rows, options.dim, generator=generator).pow(3) @ mix
    flop = 2.0 * options.rows * options.codes * options.dim * (options.iterations + 1)
    print(f"{options.rows:,} x {options.dim}, {options.codes:,} codes, {torch.get_num_threads()} threads")
    for name, iterations, batch in (
        (f"Lloyd, {options.iterations} iterations", options.iterations, None),
        (
            f"batches of an eighth, {4 * options.iterations} iterations",
            4 * options.iterations,
            options.rows // 8,
        ),
    ):
        start, processor = time.perf_counter(), time.process_time()
        centroids, labels = kmeans(points, options.codes, iterations, batch=batch)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        work = f", {flop / processor / 1e9:.0f} GFLOP/s of a core" if batch is None else ""
        told = f"{seconds:.1f} s ({processor:.1f} s of processor time){work}"
        print(f"{name}: {told}, inertia {inertia(points, centroids, labels):.4f}")


if __name__ == "__main__":
    main()
