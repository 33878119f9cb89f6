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
    checks.check_one_of("runtime", runtime, RUNTIMES)
    if runtime == "tff":
        return local.execution_context()
    return in_process.execution_context()
