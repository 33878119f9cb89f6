"""Programs: TFF computations as single TensorFlow functions of this process.

TFF splits a round into plain TensorFlow graphs, its `MapReduceForm`: `prepare`
at the server, `work` at a client, `zero`, `accumulate` and `report` in between,
`update` at the server. Put together again as one function, with a loop over the
clients inside, a round is a single call, whose clients run side by side. Secure sums
are simulated (`secure_sums`).
"""

import functools
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime import values
from tff_finance.runtime.graph_import import NotInProcessError, flat_function
from tff_finance.runtime.secure_sums import SecureSums

Program = Callable[[Any], Any]
"""From a computation's argument, as TFF packs it, to what TFF would return."""

_PARTS = ("prepare", "work", "zero", "accumulate", "report", "update")

# One more than there are processors, so that none waits for a client to begin;
# each holds a copy of its table while it trains.
_CLIENTS_AT_ONCE = len(os.sched_getaffinity(0)) + 1


def build_program(computation: tff.framework.ConcreteComputation) -> Program:
    """Builds the program of a computation.

    Args:
        computation: Without placements; or `-> X@SERVER`; or of one of the forms
            `<S@SERVER, {D*}@CLIENTS> -> <S@SERVER, X@SERVER>`,
            `<S@SERVER, {D*}@CLIENTS> -> X@SERVER` and `{D*}@CLIENTS -> X@SERVER`.

    Returns:
        The program, traced.

    Raises:
        NotInProcessError: If it has another form, or holds variables. TFF has several
            errors of its own for what it can't split.
    """
    signature = computation.type_signature
    if not tff.types.contains(signature, _is_federated):
        return _plain(computation, signature.result)
    if signature.parameter is None:
        initial = tff.backends.mapreduce.get_state_initialization_computation(
            computation, as_traced()
        )
        # The result's type from before the compilation knows Python's containers.
        return _plain(initial, signature.result)
    if isinstance(signature.parameter, tff.FederatedType):
        run = _round(with_state(computation))
        return lambda argument: run((_NO_STATE, argument))
    return _round(computation)


def _is_federated(type_spec: tff.Type) -> bool:
    return isinstance(type_spec, tff.FederatedType)


def as_traced() -> tf.compat.v1.ConfigProto:
    """Keeps TFF from inlining functions, with which marks for XLA would go."""
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


# To split takes half a second. Few are kept: who asks again does so soon.
@functools.lru_cache(maxsize=8)
def map_reduce_form(
    computation: tff.framework.ConcreteComputation,
) -> tff.backends.mapreduce.MapReduceForm:
    """What a round does at the server and at its clients, graphs as they were traced.

    Args:
        computation: `<S@SERVER, {D*}@CLIENTS> -> <S@SERVER, ...>`.

    Returns:
        Its parts; the same object if it was among the last that were asked for.
    """
    return tff.backends.mapreduce.get_map_reduce_form_for_computation(
        computation, as_traced()
    )


def _plain(
    computation: tff.framework.ConcreteComputation, result_type: tff.Type
) -> Program:
    """A program in one place."""
    parameter = computation.type_signature.parameter
    specs = values.tensor_specs(parameter)
    if any(spec.dtype == tf.variant for spec in (*specs, *_result_specs(computation))):
        raise NotInProcessError("it takes or returns sequences without a placement.")
    function = flat_function(computation)
    # Traced here: TensorFlow takes first calls of several for needless retracing of
    # one, and warns.
    run = tf.function(
        function, input_signature=[specs], autograph=False
    ).get_concrete_function()
    flatten, pack = values.build_flattener(parameter), values.build_packer(result_type)
    return lambda argument: pack(run(flatten(argument)))


def _result_specs(
    computation: tff.framework.ConcreteComputation,
) -> list[tf.TensorSpec]:
    return values.tensor_specs(computation.type_signature.result)


def _round(computation: tff.framework.ConcreteComputation) -> Program:
    """A program of server state and one dataset per client."""
    server, clients = computation.type_signature.parameter
    if not isinstance(clients.member, tff.SequenceType):
        raise NotInProcessError("its clients hold something else than one dataset.")
    result_type = computation.type_signature.result
    # A `MapReduceForm` ends in a state, also where nobody asks for one.
    keeps_state = isinstance(result_type, tff.StructType)
    function = _round_function(
        computation if keeps_state else returning_state(computation)
    )
    first = 0 if keeps_state else len(values.tensor_specs(server))
    flatten, pack = values.build_flattener(server), values.build_packer(result_type)
    to_vector = _build_to_vector(clients.member)

    def run(argument: Any) -> Any:
        state, data = argument
        results = function(flatten(state), to_vector(data))
        return pack(results[first:])

    return run


_NO_STATE = np.int32(0)


def with_state(
    computation: tff.framework.ConcreteComputation,
) -> tff.framework.ConcreteComputation:
    """`{D*}@CLIENTS -> X@SERVER` with a server state that it doesn't use."""
    state_type = tff.FederatedType(np.int32, tff.SERVER)

    @tff.federated_computation(state_type, computation.type_signature.parameter)
    def with_state(state: Any, data: Any) -> Any:
        del state
        return computation(data)

    return with_state


def returning_state(
    computation: tff.framework.ConcreteComputation,
) -> tff.framework.ConcreteComputation:
    """`<S@SERVER, {D*}@CLIENTS> -> X@SERVER`, which also returns its state."""

    @tff.federated_computation(*computation.type_signature.parameter)
    def returning_state(state: Any, data: Any) -> Any:
        return state, computation(state, data)

    return returning_state


def _round_function(
    computation: tff.framework.ConcreteComputation,
) -> Callable[[Sequence[tf.Tensor], tf.Tensor], list[tf.Tensor]]:
    """From the leaves of the state, and all datasets, to the result's leaves."""
    form = map_reduce_form(computation)
    secure_sums = SecureSums(form)
    prepare, work, zero, accumulate, report, update = (
        flat_function(getattr(form, part)) for part in _PARTS
    )
    server, _ = computation.type_signature.parameter

    def run(state: list[tf.Tensor], datasets: tf.Tensor) -> list[tf.Tensor]:
        broadcast = prepare(state)

        def add_client(
            number: tf.Tensor, total: list[tf.Tensor], secret: list[tf.Tensor]
        ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
            update = work([tf.gather(datasets, number), *broadcast])
            plain, masked = secure_sums.split(update)
            return (
                number + 1,
                accumulate([*total, *plain]),
                secure_sums.add(secret, masked),
            )

        # Clients work side by side, but are added up in the order of the list, so
        # that the same round always has the same sum.
        _, total, secret = tf.while_loop(
            lambda number, *_: number < tf.shape(datasets)[0],
            add_client,
            (tf.constant(0), zero([]), secure_sums.zero()),
            parallel_iterations=_CLIENTS_AT_ONCE,
        )
        return update([*state, *report(total), *secret])

    signature = [values.tensor_specs(server), tf.TensorSpec([None], tf.variant)]
    # Traced here for the reason that `_plain` gives.
    return tf.function(
        run, input_signature=signature, autograph=False
    ).get_concrete_function()


def _build_to_vector(
    type_spec: tff.SequenceType,
) -> Callable[[Sequence[Any]], tf.Tensor]:
    """From the clients' datasets to a vector of variants, which may be empty."""
    # To look at a dataset's type takes as long as some institutions train.
    known: weakref.WeakKeyDictionary[Any, tf.Tensor] = weakref.WeakKeyDictionary()
    accepted: list[Any] = [None]  # the spec met last; most are alike

    def to_variant(data: Any) -> tf.Tensor:
        if not isinstance(data, tf.data.Dataset):
            raise NotInProcessError("a client's data are no tf.data.Dataset.")
        if data not in known:
            if data.element_spec != accepted[0]:
                _check_element_type(data, type_spec.element)
                accepted[0] = data.element_spec
            known[data] = tf.data.experimental.to_variant(data)
        return known[data]

    def to_vector(data: Sequence[Any]) -> tf.Tensor:
        if data:
            return tf.stack([to_variant(dataset) for dataset in data])
        nobodys = tf.data.experimental.to_variant(tf.data.Dataset.range(0))
        return tf.stack([nobodys])[:0]

    return to_vector


def _check_element_type(data: tf.data.Dataset, expected: tff.Type) -> None:
    """Refuses, as TFF's runtime does, also the same fields in another order."""
    found = tff.types.tensorflow_to_type(data.element_spec)
    if not expected.is_assignable_from(found):
        raise TypeError(
            f"A client's dataset must have elements of type {expected}, got {found}."
        )
