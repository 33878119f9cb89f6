"""Asynchronous TFF programs called from synchronous code."""

import asyncio
import concurrent.futures
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def wait_for(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Runs a coroutine to its end, also where an event loop runs (a notebook)."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()
