"""Where computations execute, chosen by name."""

import contextlib

from tff_finance import checks
from tff_finance.records.config import RUNTIMES
from tff_finance.runtime import in_process, local


def execution_context(runtime: str) -> contextlib.AbstractContextManager[None]:
    """Runs TFF computations until the block ends.

    Args:
        runtime: "in_process", the fastest on one machine, or "tff", TFF's worker.

    Returns:
        The context.

    Raises:
        ValueError: If there is no such runtime.
    """
    contexts = dict(
        zip(
            RUNTIMES,
            (in_process.execution_context, local.execution_context),
            strict=True,
        )
    )
    if runtime not in contexts:
        raise ValueError(
            f"`runtime` must be of {', '.join(contexts)}; got {runtime!r}."
        )
    return contexts[runtime]()
