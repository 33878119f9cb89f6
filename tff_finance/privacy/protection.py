"""Which aggregation factories protect what they aggregate.

An algorithm that sends anything besides its update must know: noise on the sum of
updates, or secure aggregation of them, protects nothing of what goes another way.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_federated as tff


class Protecting:
    """Marks a factory that isn't made of one by which `protects` would know it."""


_FACTORIES = (
    tff.aggregators.UnweightedAggregationFactory,
    tff.aggregators.WeightedAggregationFactory,
)
_PROTECTING = (
    Protecting,
    tff.aggregators.DifferentiallyPrivateFactory,
    tff.aggregators.SecureSumFactory,
    tff.aggregators.SecureModularSumFactory,
)


def protects(factory: tff.aggregators.AggregationFactory) -> bool:
    """Whether a factory adds noise or sums securely, or one that it is made of.

    Known are TFF's factories, and those that are marked; other factories around them
    are looked into, at their attributes and at what their `create` refers to. A
    factory that makes such a one in its `create` only isn't seen through: mark it.

    Args:
        factory: Any.

    Returns:
        Whether anything of what it aggregates is to be protected.
    """
    seen: set[int] = set()
    to_see: list[Any] = [factory]
    while to_see:
        one = to_see.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, _PROTECTING):
            return True
        to_see += _made_of(one)
    return False


def _made_of(factory: Any) -> Iterator[Any]:
    """The factories that a factory refers to."""
    held = list(getattr(factory, "__dict__", {}).values())
    create = type(factory).create
    if inspect.isfunction(create):  # TFF has classes inside of functions
        held += inspect.getclosurevars(create).nonlocals.values()
    for value in held:
        several = value.values() if isinstance(value, Mapping) else value
        parts = several if isinstance(value, Mapping | list | tuple) else (value,)
        yield from (part for part in parts if isinstance(part, _FACTORIES))
