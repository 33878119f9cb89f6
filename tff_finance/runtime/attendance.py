"""Computations that are wrong if an institution is missing.

A round without some institutions is a round; statistics of two passes, of which
the second one lacks a bank, are wrong without a sign of it.
"""

import contextlib
import contextvars
from collections.abc import Iterator

_required: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "required", default=None
)


@contextlib.contextmanager
def everyone_needed(purpose: str) -> Iterator[None]:
    """Lets no runtime leave an institution out until the block ends.

    Args:
        purpose: What needs them all, for messages, such as "the encoder".
    """
    token = _required.set(purpose)
    try:
        yield
    finally:
        _required.reset(token)


def needed_by_all() -> str | None:
    """The purpose for which everyone is needed now; None if there is none."""
    return _required.get()
