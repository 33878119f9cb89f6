"""Execution in this process: no worker, no gRPC, no serialization.

Several times faster than TFF's own runtime, most of all where institutions or
rounds are many; the results are the same up to rounding. What can't run here
runs on TFF's runtime, and the log says so.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime import local
from tff_finance.runtime.graph_import import NotInProcessError
from tff_finance.runtime.programs import Program, build_program


@contextlib.contextmanager
def execution_context() -> Iterator[None]:
    """Runs TFF computations in this process until the block ends.

    Takes the place of `local.execution_context`: processes and evaluations are
    called as ever. The worker of TFF's own runtime is started by the first
    computation that needs it, if any does.
    """
    stack = tff.framework.get_context_stack()
    with local.execution_context(), stack.install(InProcessContext(stack.current)):
        yield


class InProcessContext(tff.framework.SyncContext):
    """Invokes computations as TensorFlow functions of this process.

    Those of `programs.build_program` run here. Random numbers of an institution
    follow from its seeds, as everywhere; updates are summed in the order of the
    clients; XLA compiles what is marked for it.
    """

    def __init__(self, fallback: tff.framework.SyncContext) -> None:
        """Takes the context that invokes all that can't run here."""
        self._fallback = fallback
        # By identity, since to hash a computation TFF serializes it. Kept beside
        # its program, it stays alive, so that no other one gets its identity.
        self._programs: dict[int, tuple[tff.Computation, Program | None]] = {}
        self._said: set[tuple[int, str]] = set()

    def invoke(self, comp: Any, arg: Any) -> Any:
        """Runs a computation; TFF calls this."""
        if id(comp) not in self._programs:
            self._programs[id(comp)] = comp, self._program(comp)
        _, program = self._programs[id(comp)]
        if program is not None:
            try:
                return program(arg)
            except NotInProcessError as error:
                self._say_so(comp, str(error))
            except tf.errors.InvalidArgumentError as error:
                self._say_so(comp, _what_xla_refuses(error))
                self._programs[id(comp)] = comp, None
        return self._fallback.invoke(comp, arg)

    def _program(self, comp: tff.framework.ConcreteComputation) -> Program | None:
        try:
            return build_program(comp)
        except Exception as error:  # whatever TFF says of what it can't split
            self._say_so(comp, str(error))
            return None

    def _say_so(self, comp: tff.framework.ConcreteComputation, reason: str) -> None:
        """Says once of a computation why it runs elsewhere."""
        reason = reason.partition("\n")[0]
        if (id(comp), reason) not in self._said:
            self._said.add((id(comp), reason))
            logging.getLogger(__name__).warning(
                "TFF's own runtime runs a computation of type %s: %s",
                comp.type_signature.compact_representation(),
                reason,
            )


def _what_xla_refuses(error: tf.errors.InvalidArgumentError) -> str:
    """What XLA can't compile, though it is marked for XLA; shown when it runs.

    Args:
        error: Of any operation.

    Returns:
        The line of the message that names XLA. An error that doesn't come from
        XLA is raised again.
    """
    lines = [line for line in error.message.splitlines() if "XLA" in line]
    if not lines:
        raise error
    return lines[0]
