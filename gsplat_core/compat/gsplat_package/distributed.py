"""``gsplat.distributed``: what trainers start themselves with, for the one process that there is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def cli(fn: Callable[..., Any], args: Any, verbose: bool = False) -> bool:
    """Runs ``fn(local_rank, world_rank, world_size, args)`` in this process: rank 0 of 1."""
    del verbose
    fn(0, 0, 1, args)
    return True


def all_gather_int32(world_size: int, value: int | Tensor, device: Any = None) -> list[int | Tensor]:
    """The number of every process: of this one."""
    del device
    return [value] if _alone(world_size) else []


def all_to_all_int32(world_size: int, values: list[Any], device: Any = None) -> list[Any]:
    """What all processes have for this one: what it has for itself."""
    del device
    return list(values) if _alone(world_size) else []


def all_gather_tensor_list(world_size: int, tensor_list: list[Tensor]) -> list[Tensor]:
    """The tensors of all processes: of this one."""
    return list(tensor_list) if _alone(world_size) else []


def all_to_all_tensor_list(
    world_size: int, tensor_list: list[Tensor], splits: list[Any], output_splits: list[Any] | None = None
) -> list[Tensor]:
    """What all processes have for this one: all of its own."""
    del splits, output_splits
    return list(tensor_list) if _alone(world_size) else []


def _alone(world_size: int) -> bool:
    if world_size != 1:
        raise NotImplementedError(
            f"gsplat_core trains in one process; a world of {world_size} is not supported"
        )
    return True
