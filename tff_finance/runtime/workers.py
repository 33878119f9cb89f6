"""Execution at several workers, each with the clients of its institutions.

The coordinator is this process: it prepares rounds, merges what the workers send
and updates the model. TFF's own context for several workers deals clients out by
their position in the list, and waits for ever for a worker that is gone; this
one knows owners, works in parallel, and says what is to happen then.
"""

import contextlib
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.runtime import in_process, worker_list
from tff_finance.runtime.crew import Crew, Share
from tff_finance.runtime.remote_worker import RemoteWorker
from tff_finance.runtime.split_rounds import SplitRound, has_clients, split_round
from tff_finance.runtime.worker_list import FailurePolicy, WorkerAddress

_NAME = "institution"  # the field of an element that names its institution
_NAMELESS = ("",)


@contextlib.contextmanager
def execution_context(
    workers: Sequence[WorkerAddress], *, policy: FailurePolicy | None = None
) -> Iterator[Crew]:
    """Runs the clients of TFF computations at workers until the block ends.

    Where workers name their institutions, a client is run by the worker that
    owns the institution named in its dataset. Clients of institutions that no
    worker owns, such as the pooled rows of a reference, are run by this process,
    as is all that has no clients. Where they name none, clients are dealt out by
    their position, ceil(rest / workers left) each.

    Args:
        workers: `python -m experiments.worker` runs at each address.
        policy: What to do if one is lost; by default, end with an error.

    Yields:
        The crew, which counts what was missed.

    Raises:
        RunFailedError: If a worker doesn't answer at the start. Computations
            raise it if one is lost and the policy knows no way, and if they can't
            be split over workers.
    """
    crew = Crew([RemoteWorker(address) for address in workers], policy)
    stack = tff.framework.get_context_stack()
    with contextlib.closing(crew), in_process.execution_context():
        crew.await_start()
        with stack.install(WorkersContext(crew, server=stack.current)):
            yield crew


class WorkersContext(tff.framework.SyncContext):
    """Invokes computations of server state and clients in three steps.

    See `split_rounds`. The rest is invoked by another context.
    """

    def __init__(self, crew: Crew, *, server: tff.framework.SyncContext) -> None:
        """Takes the workers, and the context for what has no clients."""
        self._crew = crew
        self._server = server
        # By identity, as in `in_process`.
        self._rounds: dict[int, tuple[tff.Computation, SplitRound]] = {}
        self._names: weakref.WeakKeyDictionary[Any, tuple[str, ...]] = (
            weakref.WeakKeyDictionary()
        )

    def invoke(self, comp: Any, arg: Any) -> Any:
        """Runs a computation; TFF calls this."""
        if not has_clients(comp):
            return self._server.invoke(comp, arg)
        if id(comp) not in self._rounds:
            self._rounds[id(comp)] = comp, split_round(comp)
        _, parts = self._rounds[id(comp)]
        state, data = parts.arguments(arg)
        shares = self._shares(data)
        if shares is None:
            return self._server.invoke(comp, arg)
        partials = self._crew.run(parts.client_part, parts.prepare(state), shares)
        return parts.finish(state, partials)

    def _shares(self, data: Sequence[Any]) -> list[Share] | None:
        """What each worker is to do; None if no client is for a worker."""
        workers = self._crew.workers
        if not any(worker.address.institutions for worker in workers):
            dealt = worker_list.shares(data, len(workers))
            return [
                Share(worker=worker, data=part)
                for worker, part in zip(workers, dealt, strict=True)
                if part
            ]
        owners = {
            name: worker for worker in workers for name in worker.address.institutions
        }
        owner_of = [self._owner(item, owners) for item in data]
        if not any(owner_of):
            return None
        if not all(owner_of):
            strangers = {
                name
                for item, owner in zip(data, owner_of, strict=True)
                for name in self._names_of(item)
                if not owner
            }
            raise checks.RunFailedError(
                f"Institutions that no worker owns ({_quoted(strangers)}) can't be in "
                "one round with those of workers: name them in --workers."
            )
        return [
            Share(worker=worker, data=part)
            for worker in workers
            if (
                part := [
                    item
                    for item, owner in zip(data, owner_of, strict=True)
                    if owner is worker
                ]
            )
        ]

    def _owner(
        self, data: Any, owners: Mapping[str, RemoteWorker]
    ) -> RemoteWorker | None:
        """Whose worker runs a client; None if no worker does."""
        names = self._names_of(data)
        found = {owners.get(name) for name in names}
        if len(found) > 1:
            raise checks.RunFailedError(
                f"Institutions of several workers ({_quoted(names)}) can't be one "
                "client: group those of one worker."
            )
        return found.pop()

    def _names_of(self, data: Any) -> tuple[str, ...]:
        """The institution of a client's dataset, or several of a group."""
        if not isinstance(data, tf.data.Dataset):
            return _NAMELESS
        if data not in self._names:
            self._names[data] = _institutions(data)
        return self._names[data]


def _institutions(data: tf.data.Dataset) -> tuple[str, ...]:
    spec = data.element_spec
    if not isinstance(spec, Mapping) or _NAME not in spec:
        return _NAMELESS
    for element in data.take(1):
        names = np.ravel(element[_NAME].numpy())
        return tuple(name.decode() for name in names) or _NAMELESS
    return _NAMELESS


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
