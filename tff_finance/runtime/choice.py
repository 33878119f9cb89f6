"""Where computations execute, chosen by name."""

import contextlib
from collections.abc import Sequence
from typing import Any

from tff_finance import checks
from tff_finance.records.config import RUNTIMES
from tff_finance.runtime import in_process, local, workers
from tff_finance.runtime.worker_list import FailurePolicy, WorkerAddress


def execution_context(
    runtime: str,
    *,
    addresses: Sequence[WorkerAddress] = (),
    policy: FailurePolicy | None = None,
) -> contextlib.AbstractContextManager[Any]:
    """Runs TFF computations until the block ends.

    Args:
        runtime: "in_process", the fastest on one machine, "tff", TFF's worker, or
            "workers", several of them.
        addresses: Of the workers; for "workers" only.
        policy: What to do if a worker is lost; for "workers" only.

    Returns:
        The context; that of "workers" yields their `Crew`, the others None.

    Raises:
        ValueError: If there is no such runtime, or addresses are missing.
    """
    checks.check_one_of("runtime", runtime, RUNTIMES)
    if bool(addresses) != (runtime == "workers"):
        raise ValueError(
            "`addresses` must be given for the runtime workers, and for no other, "
            f"got {len(addresses)} for {runtime}."
        )
    if runtime == "workers":
        return workers.execution_context(addresses, policy=policy)
    if runtime == "tff":
        return local.execution_context()
    return in_process.execution_context()
