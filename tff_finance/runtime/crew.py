"""The workers of a run: parallel work, and what to do when one of them is lost."""

import collections
import concurrent.futures
import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import Any

import grpc
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.runtime import attendance
from tff_finance.runtime.remote_worker import RemoteWorker, has_answered
from tff_finance.runtime.worker_list import FailurePolicy
from tff_finance.runtime.worker_session import WorkerLostError, in_one_line

_POLL_SECONDS = 0.2
# What ends every worker that tries it, as by its size, isn't tried for ever.
_MOST_LOSSES = 5
_REMEDY = "Start it again, then this run with the same flags: it goes on where it was."

Running = dict["concurrent.futures.Future[Any]", int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """A worker's part of a round: its clients' values, at least one."""

    worker: RemoteWorker
    data: Sequence[Any]


class WorkerFailedError(checks.RunFailedError):
    """A worker couldn't do its part, and the policy knows no way to go on."""


class Crew:
    """Workers that do their shares of a round side by side."""

    def __init__(
        self, workers: Sequence[RemoteWorker], policy: FailurePolicy | None = None
    ) -> None:
        """Takes the workers, which it closes, and what to do if one is lost."""
        self.workers = tuple(workers)
        self.missed = {worker.address.target: 0 for worker in self.workers}
        self._policy = policy or FailurePolicy()
        self._told: set[RemoteWorker] = set()  # whose loss has been said

    def await_start(self) -> None:
        """Waits until every worker has answered.

        Raises:
            WorkerFailedError: If one hasn't in `start_seconds`.
        """
        deadline = time.monotonic() + self._policy.start_seconds
        for worker in self.workers:
            while not has_answered(worker.ask(self._policy.probe_timeout)):
                if time.monotonic() > deadline:
                    raise WorkerFailedError(
                        f"Worker {worker.address} doesn't answer: start it there with "
                        f"python -m experiments.worker --port={worker.address.port}, "
                        "and see whether a firewall lets this machine in."
                    )
                time.sleep(_POLL_SECONDS)

    def run(
        self,
        computation: tff.framework.ConcreteComputation,
        broadcast: Any,
        shares: Sequence[Share],
    ) -> list[Any]:
        """Runs a computation at every worker that has a share.

        Args:
            computation: `<C@SERVER, {D}@CLIENTS> -> A@SERVER`.
            broadcast: Of type `C`.
            shares: At most one for each worker.

        Returns:
            Results in the order of the shares; fewer of them where some were
            skipped.

        Raises:
            WorkerFailedError: If a worker is lost and its share can neither be
                skipped nor done again, if the share was the loss of several, or
                if the computation fails.
        """
        results: dict[int, Any] = {}
        left = dict(enumerate(shares))
        losses: collections.Counter[int] = collections.Counter()
        while left := self._assign(left):
            running: Running = {
                share.worker.submit(computation, broadcast, share.data): number
                for number, share in left.items()
            }
            results |= self._collect(running, left)
            left = {n: share for n, share in left.items() if n not in results}
            losses.update(left.keys())
            for number, share in left.items():
                if losses[number] >= _MOST_LOSSES:
                    raise WorkerFailedError(
                        f"{_obituary(share.worker)}. One part of a round has ended "
                        f"{losses[number]} workers: see what does, such as its memory. "
                        f"{_REMEDY}"
                    )
        if shares and not results:
            raise WorkerFailedError(
                "No worker is left that could do any part of the round: "
                f"{'; '.join(_obituary(share.worker) for share in shares)}."
            )
        return [results[number] for number in sorted(results)]

    def close(self) -> None:
        """Closes all connections."""
        for worker in self.workers:
            worker.close()

    def _assign(self, shares: dict[int, Share]) -> dict[int, Share]:
        """The shares that are to be done, by workers that live."""
        assigned = {}
        for number, share in shares.items():
            worker = share.worker
            if worker.lost and worker.has_returned(self._policy.probe_timeout):
                self._welcome(worker)
            if worker.lost:
                worker = self._substitute(share, number)
            if worker:
                assigned[number] = dataclasses.replace(share, worker=worker)
        return assigned

    def _substitute(self, share: Share, number: int) -> RemoteWorker | None:
        """Who does a lost worker's share; None if nobody does."""
        worker, policy = share.worker, self._policy
        self._check_may_go_on(worker)
        if policy.on_failure == "skip":
            self._tell(worker, "goes on without its institutions")
            self.missed[worker.address.target] += 1
            return None
        living = [other for other in self.workers if not other.lost]
        if policy.shared_storage and living:
            substitute = living[number % len(living)]
            self._tell(worker, f"{substitute.address} does its part")
            return substitute
        self._await_return(worker)
        return worker

    def _check_may_go_on(self, worker: RemoteWorker) -> None:
        """Raises WorkerFailedError if the loss of a worker ends the run."""
        purpose = attendance.needed_by_all()
        skips = self._policy.on_failure == "skip"
        if self._policy.on_failure == "retry" or (skips and not purpose):
            return
        needs = f" {purpose} can't do without its institutions." if skips else ""
        raise WorkerFailedError(f"{_obituary(worker)}.{needs} {_REMEDY}")

    def _await_return(self, worker: RemoteWorker) -> None:
        policy, reason = self._policy, _obituary(worker)
        _log(f"{reason}; waits up to {policy.retry_seconds:g} s for it to come back")
        deadline = time.monotonic() + policy.retry_seconds
        while not worker.has_returned(policy.probe_timeout):
            if time.monotonic() > deadline:
                raise WorkerFailedError(
                    f"{reason}, and wasn't back in {policy.retry_seconds:g} s. "
                    f"{_REMEDY}"
                )
            time.sleep(_POLL_SECONDS)
        self._welcome(worker)

    def _welcome(self, worker: RemoteWorker) -> None:
        self._told.discard(worker)
        _log(f"worker {worker.address} is back")

    def _tell(self, worker: RemoteWorker, what_now: str) -> None:
        """Says once of a loss what follows, however many rounds do."""
        if worker not in self._told:
            self._told.add(worker)
            _log(f"{_obituary(worker)}; {what_now}")

    def _collect(self, running: Running, shares: dict[int, Share]) -> dict[int, Any]:
        """Waits for the end of all that runs; the results of those that lived."""
        results = {}
        next_probe = time.monotonic() + self._policy.probe_every
        while running:
            patience = max(0.0, next_probe - time.monotonic())
            done, _ = concurrent.futures.wait(
                running, patience, concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                number = running.pop(future)
                try:
                    results[number] = future.result()
                except WorkerLostError as error:
                    worker = shares[number].worker
                    worker.give_up(worker.lost or str(error))
                    # Said at once, however long the others will take.
                    self._check_may_go_on(worker)
                except grpc.RpcError as error:
                    raise WorkerFailedError(
                        f"Worker {shares[number].worker.address} can't do its part: "
                        f"{in_one_line(error)}"
                    ) from error
            if running and time.monotonic() >= next_probe:
                self._probe({shares[number].worker for number in running.values()})
                next_probe = time.monotonic() + self._policy.probe_every
        return results

    def _probe(self, workers: set[RemoteWorker]) -> None:
        """Gives up those that show no sign of life, which ends their calls."""
        silent = workers
        for _ in range(2):  # once may be the network
            asked = {
                worker: worker.ask(self._policy.probe_timeout) for worker in silent
            }
            silent = {
                worker for worker, call in asked.items() if not has_answered(call)
            }
        for worker in silent:
            if not worker.lost:
                worker.give_up("it shows no sign of life")


def _obituary(worker: RemoteWorker) -> str:
    return f"worker {worker.address} was lost: {worker.lost}"


def _log(message: str) -> None:
    logging.getLogger(__name__).warning("%s", message)
