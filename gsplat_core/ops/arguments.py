"""The arguments of operators by the names in their schemas, so that nothing depends on their places.

Places are looked up once, at import.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, TypeVar

import torch

from gsplat_core.errors import StaleLibraryError
from gsplat_core.ops import library as library

Pick = Callable[[tuple[Any, ...]], tuple[Any, ...]]
SETTINGS: tuple[str, ...] = tuple(torch.ops.gsplat_core.settings_fields().split())
"""What the numbers of an argument `settings` are, in their order."""
_F = TypeVar("_F", bound=Callable[..., Any])


def overload(operator: str) -> Any:
    """The operator of this name in the namespace ``gsplat_core``.

    Raises:
        gsplat_core.errors.StaleLibraryError: there is none.
    """
    try:
        return getattr(torch.ops.gsplat_core, operator).default
    except AttributeError:
        raise StaleLibraryError(f"there is no operator {operator}") from None


def argument_names(operator: str) -> list[str]:
    """In the order of its schema."""
    return [argument.name for argument in overload(operator)._schema.arguments]


def pick(operator: str, names: Iterable[str]) -> Pick:
    """A function that takes the values of these arguments out of all arguments of an operator.

    Raises:
        gsplat_core.errors.StaleLibraryError: the operator has no argument of such a name.
    """
    given = argument_names(operator)
    if unknown := [name for name in names if name not in given]:
        raise StaleLibraryError(f"{operator} has no argument {unknown[0]!r}; it has {', '.join(given)}")
    places = [given.index(name) for name in names]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


def fake_kernel(operator: str, further: Iterable[str] = ()) -> Callable[[_F], _F]:
    """Registers a fake kernel: a function of those arguments of the operator that its own are named after.

    Args:
        further: names of more arguments, which the function takes as `*others`.
    """
    defaults = tuple(argument.default_value for argument in overload(operator)._schema.arguments)

    def register(function: _F) -> _F:
        own = inspect.signature(function).parameters.values()
        names = [parameter.name for parameter in own if parameter.kind != parameter.VAR_POSITIONAL]
        needed = pick(operator, [*names, *further])

        @torch.library.register_fake(f"gsplat_core::{operator}")
        def _(*arguments: Any) -> Any:
            # PyTorch leaves out the last ones that have their default values.
            return function(*needed((*arguments, *defaults[len(arguments) :])))

        return function

    return register
