"""Settings of the whole test suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# Idle worker threads sleep instead of spinning. Tests run thousands of small operators, and on a busy machine
# a spinning thread takes the processor from the one that has work. OpenMP reads this when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from backends import BACKENDS, KERNELS, parameters


@pytest.fixture(params=parameters(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once with the kernels of each backend."""
    with BACKENDS[request.param]():
        yield request.param


@pytest.fixture(params=parameters(KERNELS))
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once for each instruction set of the CPU, and once with those of each other backend."""
    with KERNELS[request.param]():
        yield request.param
