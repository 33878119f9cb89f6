"""A round in three parts, of which the middle one runs at several workers.

TFF's `MapReduceForm` splits a round into plain TensorFlow. Here `prepare` runs
at the coordinator; `work` and `accumulate` at the workers, each over its own
clients; `merge`, `report` and `update` at the coordinator. What a worker sends
is an accumulator: as large for a thousand institutions as for one. Nothing is
padded, so that counts and weights are those of a single machine.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.runtime import programs, values
from tff_finance.runtime.graph_import import NotInProcessError, flat_function

_NO_STATE = 0


class NotOnWorkersError(checks.RunFailedError):
    """A computation that can't be split over several workers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitRound:
    """The parts of a round.

    Attributes:
        arguments: From a computation's argument to server state and clients'
            values; the state is of no account if the computation has none.
        prepare: From server state to what all clients get, `C`.
        client_part: `<C@SERVER, {D}@CLIENTS> -> A@SERVER`, `A` an accumulator.
        finish: From server state and any number of accumulators to the result.
    """

    arguments: Callable[[Any], tuple[Any, Sequence[Any]]]
    prepare: Callable[[Any], Any]
    client_part: tff.framework.ConcreteComputation
    finish: Callable[[Any, Sequence[Any]], Any]


def has_clients(computation: tff.framework.ConcreteComputation) -> bool:
    """Whether a computation takes or returns values of clients."""
    return tff.types.contains(
        computation.type_signature,
        lambda part: (
            isinstance(part, tff.FederatedType) and part.placement is tff.CLIENTS
        ),
    )


def split_round(computation: tff.framework.ConcreteComputation) -> SplitRound:
    """Splits a computation.

    Args:
        computation: Of one of the forms
            `<S@SERVER, {D}@CLIENTS> -> <S@SERVER, X@SERVER>`,
            `<S@SERVER, {D}@CLIENTS> -> X@SERVER` and `{D}@CLIENTS -> X@SERVER`.

    Returns:
        Its parts.

    Raises:
        NotOnWorkersError: If it has another form, aggregates securely, needs one
            aggregate for another one, or keeps variables at the server.
    """
    try:
        return _split(computation)
    except Exception as error:  # whatever TFF says of what it can't split
        reason = str(error).partition("\n")[0]
        raise NotOnWorkersError(
            "A computation of type "
            f"{computation.type_signature.compact_representation()} can't be split "
            f"over several workers: {reason} Use the runtime tff or in_process."
        ) from error


def _split(computation: tff.framework.ConcreteComputation) -> SplitRound:
    with_state, first = computation, 0
    takes_state = isinstance(computation.type_signature.parameter, tff.StructType)
    if not takes_state:
        with_state = programs.with_state(computation)
    result_type = computation.type_signature.result
    server, clients = with_state.type_signature.parameter
    if not isinstance(result_type, tff.StructType):
        # A `MapReduceForm` ends in a state, also where nobody asks for one.
        with_state = programs.returning_state(with_state)
        first = len(values.tensor_specs(server))
    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(
        with_state, programs.as_traced()
    )
    if form.securely_aggregates_tensors:
        raise NotInProcessError("it aggregates securely, which needs a protocol.")
    return SplitRound(
        arguments=tuple if takes_state else lambda data: (_NO_STATE, data),
        prepare=_prepare(form, server),
        client_part=_client_part(form, clients),
        finish=_finish(form, server, result_type, first),
    )


def _prepare(form: Any, server: tff.Type) -> Callable[[Any], Any]:
    flatten = values.build_flattener(server)
    pack = values.build_packer(form.prepare.type_signature.result)
    prepare = _traced(form.prepare)
    return lambda state: pack(prepare(flatten(state)))


def _client_part(
    form: Any, clients: tff.FederatedType
) -> tff.framework.ConcreteComputation:
    accumulator = form.zero.type_signature.result

    @tff.tensorflow.computation(accumulator)
    def unchanged(total: Any) -> Any:
        return total

    @tff.federated_computation(
        tff.FederatedType(form.prepare.type_signature.result, tff.SERVER), clients
    )
    def client_part(broadcast: Any, data: Any) -> Any:
        arguments = (data, tff.federated_broadcast(broadcast))
        # Beside these, `work` has what would be summed securely: nothing.
        updates = tff.federated_map(form.work, arguments)[0]
        return tff.federated_aggregate(
            updates, form.zero(), form.accumulate, form.merge, unchanged
        )

    # Gives graphs their keys in the worker's cache, without which it would build
    # them anew in every round, and inlines their functions.
    return tff.backends.native.desugar_and_transform_to_native(client_part)


def _finish(
    form: Any, server: tff.Type, result_type: tff.Type, first: int
) -> Callable[[Any, Sequence[Any]], Any]:
    flatten, pack = values.build_flattener(server), values.build_packer(result_type)
    flatten_total = values.build_flattener(form.zero.type_signature.result)
    zero, merge = _traced(form.zero), _traced(form.merge)
    report, update = flat_function(form.report), flat_function(form.update)

    specs = [
        values.tensor_specs(server),
        values.tensor_specs(form.zero.type_signature.result),
    ]

    @tf.function(input_signature=specs, autograph=False)
    def end(state: list[tf.Tensor], total: list[tf.Tensor]) -> list[tf.Tensor]:
        return update([*state, *report(total)])

    ended = end.get_concrete_function()

    def finish(state: Any, partials: Sequence[Any]) -> Any:
        # In the order of the workers, so that the same round has the same sum.
        totals = [flatten_total(partial) for partial in partials] or [zero([])]
        total = totals[0]
        for another in totals[1:]:
            total = merge([*total, *another])
        return pack(ended(flatten(state), total)[first:])

    return finish


def _traced(
    computation: tff.framework.ConcreteComputation,
) -> Callable[[list[tf.Tensor]], list[tf.Tensor]]:
    specs = values.tensor_specs(computation.type_signature.parameter)
    # Traced here for the reason that `programs` gives.
    return tf.function(
        flat_function(computation), input_signature=[specs], autograph=False
    ).get_concrete_function()
