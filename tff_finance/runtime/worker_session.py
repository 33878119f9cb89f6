"""What a worker holds for this process, as long as the connection lasts.

Computations and clients' datasets are sent once, so that a round in which the
same clients take part sends the model alone.
"""

import asyncio
import collections
import contextlib
import weakref
from collections.abc import Sequence
from typing import Any

import grpc
import tensorflow_federated as tff

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # gRPC sends even what is for localhost to the proxy that http_proxy names.
    ("grpc.enable_http_proxy", 0),
)

CONNECTION_CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    # Of an executor that is gone, since the worker was started again.
    grpc.StatusCode.FAILED_PRECONDITION,
)

# Those of rounds and those of validations; sampled cohorts differ in every round.
_SETS_OF_DATA = 2
_NUMBERS_OF_CLIENTS = 8


class WorkerLostError(Exception):
    """A worker that has died, hangs or can't be reached; the message says which."""


class WorkerSession:
    """A connection, used by one thread; `abandon` may be called by another one."""

    def __init__(self, target: str) -> None:
        """Connects to `host:port` when the first computation is run."""
        self._channel = grpc.insecure_channel(target, CHANNEL_OPTIONS)
        self._stub = _Stub(self._channel)
        # TFF has an executor for each number of clients.
        self._rooms: collections.OrderedDict[int, _Room] = collections.OrderedDict()

    def run(self, computation: Any, broadcast: Any, data: Sequence[Any]) -> Any:
        """Runs a computation to its end.

        Args:
            computation: `<C@SERVER, {D}@CLIENTS> -> A@SERVER`.
            broadcast: Of type `C`.
            data: One value per client, at least one.

        Returns:
            The result.

        Raises:
            WorkerLostError: If the connection is lost.
            RpcError: If the computation fails.
            RetryableError: Never; what TFF would try again is a lost connection.
            ValueError: If TFF refuses an argument.
        """
        try:
            return asyncio.run(self._room(len(data)).run(computation, broadcast, data))
        except (grpc.RpcError, tff.framework.RetryableError) as error:
            call: Any = error
            if call.code() not in CONNECTION_CODES:
                raise
            raise WorkerLostError(in_one_line(call)) from error
        except ValueError as error:
            if "closed channel" in str(error):  # `abandon` came first
                raise WorkerLostError("the connection was given up") from error
            raise

    def free(self) -> None:
        """Has the worker forget what it holds."""
        for room in self._rooms.values():
            room.close()

    def abandon(self) -> None:
        """Ends running calls; tells the worker nothing, which may not answer."""
        self._stub.silent = True
        self._channel.close()

    def _room(self, clients: int) -> "_Room":
        if clients not in self._rooms:
            self._rooms[clients] = _Room(self._stub, clients)
        self._rooms.move_to_end(clients)
        if len(self._rooms) > _NUMBERS_OF_CLIENTS:
            _, longest_unused = self._rooms.popitem(last=False)
            longest_unused.close()
        return self._rooms[clients]


class _Room:
    """The worker's executor for one number of clients, and the values there."""

    def __init__(self, stub: Any, clients: int) -> None:
        self._executor = tff.framework.RemoteExecutor(stub)
        self._executor.set_cardinalities({tff.CLIENTS: clients})
        # The computation beside its value, so that no other gets its id.
        self._functions: dict[int, tuple[Any, Any]] = {}
        self._data: collections.OrderedDict[tuple[weakref.ref[Any], ...], Any] = (
            collections.OrderedDict()
        )

    async def run(self, computation: Any, broadcast: Any, data: Sequence[Any]) -> Any:
        executor, signature = self._executor, computation.type_signature
        if id(computation) not in self._functions:
            function = await executor.create_value(computation, signature)
            self._functions[id(computation)] = computation, function
        _, function = self._functions[id(computation)]
        broadcast_type, data_type = signature.parameter
        argument = await executor.create_struct(
            [
                await executor.create_value(broadcast, broadcast_type),
                await self._sent(data, data_type),
            ]
        )
        result = await executor.create_call(function, argument)
        return await result.compute()

    def close(self) -> None:
        self._executor.close()

    async def _sent(self, data: Sequence[Any], data_type: tff.Type) -> Any:
        """The clients' values at the worker, sent unless they are there already."""
        for key in list(self._data):
            if any(reference() is None for reference in key):
                del self._data[key]
        try:
            # Datasets are compared by identity, and so are references to them.
            key = tuple(weakref.ref(item) for item in data)
        except TypeError:  # numbers and lists aren't kept
            return await self._executor.create_value(list(data), data_type)
        if key not in self._data:
            value = await self._executor.create_value(list(data), data_type)
            self._data[key] = value
        self._data.move_to_end(key)
        if len(self._data) > _SETS_OF_DATA:
            self._data.popitem(last=False)
        return self._data[key]


class _Stub(tff.framework.RemoteExecutorGrpcStub):
    """Doesn't fail where only memory would be freed at a worker that is gone."""

    silent = False

    def dispose(self, request: Any) -> Any:
        return self._free(super().dispose, request)

    def dispose_executor(self, request: Any) -> Any:
        return self._free(super().dispose_executor, request)

    def _free(self, call: Any, request: Any) -> Any:
        if self.silent:
            return None
        with contextlib.suppress(
            grpc.RpcError, tff.framework.RetryableError, ValueError
        ):
            return call(request)
        return None


def in_one_line(call: Any) -> str:
    """Status and details of a failed call, for messages."""
    details = (call.details() or "").partition("\n")[0]
    return f"{call.code().name}: {details}"
