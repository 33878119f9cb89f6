"""TFF's TensorFlow computations as functions of this process.

A computation holds a serialized graph and names the tensors that are its
parameter and its result. Imported into the graph that is being traced, it costs
no call, no serialization and no second process.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime.values import tensor_specs

FlatFunction = Callable[[Sequence[tf.Tensor]], list[tf.Tensor]]

_import_numbers = itertools.count()


class NotInProcessError(ValueError):
    """A computation, or an argument of one, that needs TFF's own runtime."""


def flat_function(computation: tff.framework.ConcreteComputation) -> FlatFunction:
    """Makes a function of a `tff.tensorflow.computation`.

    Args:
        computation: Plain TensorFlow, without state of its own.

    Returns:
        From the parameter's leaves to the result's, in the order of their
        types; a sequence is a dataset's variant tensor, scalar. Call it while a
        graph is being traced. As in TFF's runtime, only what the result depends
        on is executed.

    Raises:
        NotInProcessError: If it isn't plain TensorFlow, or needs variables or
            tables initialized before each call.
    """
    proto = tff.framework.ConcreteComputation.get_proto(computation)
    if proto.WhichOneof("computation") != "tensorflow":
        raise NotInProcessError("it is not plain TensorFlow.")
    if proto.tensorflow.initialize_op:
        raise NotInProcessError("its graph has variables or tables to initialize.")
    graph = tf.compat.v1.GraphDef()
    proto.tensorflow.graph_def.Unpack(graph)
    parameters = list(_tensor_names(proto.tensorflow.parameter))
    results = list(_tensor_names(proto.tensorflow.result))
    _rename_library(graph, f"in_process_{next(_import_numbers)}_")

    def imported(*arguments: tf.Tensor) -> list[tf.Tensor]:
        return tf.graph_util.import_graph_def(
            graph,
            input_map=dict(zip(parameters, arguments, strict=True)),
            return_elements=results,
            name="",
        )

    type_spec = computation.type_signature.parameter
    specs = tensor_specs(type_spec) if type_spec is not None else []
    wrapped = tf.compat.v1.wrap_function(imported, specs)
    needed = wrapped.prune(wrapped.inputs, wrapped.outputs)
    return lambda arguments: list(needed(*arguments))


def _tensor_names(binding: Any) -> Iterator[str]:
    """Names of a binding's tensors, in the order of its type's leaves."""
    kind = binding.WhichOneof("binding")
    if kind == "struct":
        for element in binding.struct.element:
            yield from _tensor_names(element)
    elif kind == "tensor":
        yield binding.tensor.tensor_name
    elif kind == "sequence":
        yield binding.sequence.variant_tensor_name


def _rename_library(graph: Any, prefix: str) -> None:
    """Gives a graph's functions names that no other graph's functions have.

    Functions live in one table of the process, and computations traced apart
    may well use one name for different functions.
    """
    names = {
        f.signature.name: prefix + f.signature.name for f in graph.library.function
    }
    for function in graph.library.function:
        function.signature.name = names[function.signature.name]
        _rename_uses(function.node_def, names)
        _rename_attributes(function.attr, names)
    for gradient in graph.library.gradient:
        gradient.function_name = names[gradient.function_name]
        gradient.gradient_func = names.get(
            gradient.gradient_func, gradient.gradient_func
        )
    _rename_uses(graph.node, names)


def _rename_uses(nodes: Any, names: dict[str, str]) -> None:
    for node in nodes:
        # A call may be an operation that is named after its function.
        node.op = names.get(node.op, node.op)
        _rename_attributes(node.attr, names)


def _rename_attributes(attributes: Any, names: dict[str, str]) -> None:
    for value in attributes.values():
        if value.HasField("func"):
            value.func.name = names.get(value.func.name, value.func.name)
            _rename_attributes(value.func.attr, names)
        for function in value.list.func:
            function.name = names.get(function.name, function.name)
            _rename_attributes(function.attr, names)
