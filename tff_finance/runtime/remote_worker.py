"""One worker on another machine, or another port: its connection and its pulse.

A worker that was killed ends its calls at once; one that hangs, or whose machine
has gone, doesn't. So a second connection asks a busy worker for a sign of life.
"""

import concurrent.futures
from collections.abc import Sequence
from typing import Any

import grpc
import tensorflow_federated as tff

from tff_finance.runtime.worker_list import WorkerAddress
from tff_finance.runtime.worker_session import (
    CHANNEL_OPTIONS,
    CONNECTION_CODES,
    WorkerSession,
)

# Else gRPC lets the probes wait behind the calls, on one connection for all.
_OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)

# No such method: a living server says so. It also passes any proxy for gRPC.
_PROBE = "/tff_finance.Worker/AreYouThere"

_FAREWELL_SECONDS = 2.0


class RemoteWorker:
    """Runs computations at one worker, one after the other.

    What it holds for this process is in `WorkerSession`.
    """

    def __init__(self, address: WorkerAddress) -> None:
        """Connects when the first computation is submitted."""
        self.address = address
        self.lost: str | None = None
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._session: WorkerSession | None = None
        self._pulse = grpc.insecure_channel(
            address.target, (*CHANNEL_OPTIONS, _OWN_CONNECTION)
        )
        self._sign_of_return: grpc.Future | None = None

    def submit(
        self,
        computation: tff.framework.ConcreteComputation,
        broadcast: Any,
        data: Sequence[Any],
    ) -> concurrent.futures.Future[Any]:
        """Starts a computation.

        Args:
            computation: `<C@SERVER, {D}@CLIENTS> -> A@SERVER`; the same object in
                every round.
            broadcast: Of type `C`.
            data: One value per client, at least one.

        Returns:
            Of the result; raises WorkerLostError if the connection is lost.
        """
        if self._session is None:
            self._session = WorkerSession(self.address.target)
        return self._thread.submit(self._session.run, computation, broadcast, data)

    def ask(self, timeout: float) -> grpc.Future:
        """Asks for a sign of life; `has_answered` judges what comes."""
        call: Any = self._pulse.unary_unary(_PROBE)
        return call.future(b"", timeout=timeout)

    def give_up(self, reason: str) -> None:
        """Ends what runs there, as far as this process waits for it."""
        self.lost = reason
        self._sign_of_return = None
        if self._session:
            self._session.abandon()
            self._session = None

    def has_returned(self, timeout: float) -> bool:
        """Whether a lost worker answers again; doesn't wait for it to answer."""
        if self._sign_of_return is None:
            self._sign_of_return = self.ask(timeout)
        if not self._sign_of_return.done():
            return False
        if not has_answered(self._sign_of_return):
            self._sign_of_return = None
            return False
        self.lost = self._sign_of_return = None
        return True

    def close(self) -> None:
        """Frees what the worker holds, if it lives, and all connections."""
        if self._session:
            # Behind what runs there, if anything does; a worker that hangs, or has
            # long to go, isn't waited for.
            farewell = self._thread.submit(self._session.free)
            concurrent.futures.wait([farewell], _FAREWELL_SECONDS)
            self._session.abandon()
            self._session = None
        self._pulse.close()
        self._thread.shutdown(wait=False, cancel_futures=True)


def has_answered(call: grpc.Future) -> bool:
    """Waits for the end of `RemoteWorker.ask`.

    Returns:
        Whether there was an answer; "unimplemented" is one.
    """
    try:
        error: Any = call.exception()
    except grpc.FutureCancelledError:
        return False
    return error is None or error.code() not in CONNECTION_CODES
