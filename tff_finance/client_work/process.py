"""What all client work has in common: server state, weights of updates, metrics."""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work import weights as weights_lib
from tff_finance.institutions.examples import ExampleStore, InMemory
from tff_finance.institutions.state import State, StateSpec

ClientResult = tff.learning.templates.ClientResult
Sums = Mapping[str, Any]
NextShared = Callable[[State, State], State]
"""From the shared value and the sum of the institutions' changes to its next value."""
UpdateInstitution = Callable[[Any, Any, Any], tuple[ClientResult, Sums]]
"""From server state, weights and one institution's element."""

_SUMS: tuple[str, ...] = (
    "loss_sum",
    "loss_rows",
    "num_examples",
    "num_institutions",
    "non_finite_updates",
    "shared",
)


def build_initial_state(
    hparams: Mapping[str, Any], shared_spec: StateSpec = ()
) -> tff.Computation:
    """Builds `( -> S)`, `S` being `<round=int32, seed=int32, optimizer=hparams>`.

    The seed and the optimizer's settings are hyperparameters of the client work
    (`get_hparams`, `set_hparams`), so that seeds and schedules of learning rates
    need no rebuilding of the process.

    Args:
        hparams: Settings of the local optimizer; empty if there is none.
        shared_spec: Of a value that institutions form together, such as SCAFFOLD's
            variate at the server: `S` then also has `shared`, zeros at first.

    Returns:
        The computation.
    """
    settings = collections.OrderedDict(hparams)

    @tff.tensorflow.computation
    def initial_state() -> Any:
        state: dict[str, Any] = collections.OrderedDict(
            round=np.int32(0), seed=np.int32(0), optimizer=settings
        )
        if shared_spec:
            state["shared"] = tuple(tf.zeros(s.shape, s.dtype) for s in shared_spec)
        return state

    return initial_state


def client_result(
    update: Any,
    *,
    loss_sum: tf.Tensor | None,
    num_rows: tf.Tensor,
    epochs: int,
    weighting: tff.learning.ClientWeighting,
    shared_change: State = (),
) -> tuple[ClientResult, Sums]:
    """Weighs an update and prepares the round's metrics.

    An institution without rows has weight 0. So has one whose update is not
    finite: it is counted as such and left out of the mean loss.

    Args:
        update: One tensor per trainable weight.
        loss_sum: Sum of losses over rows and epochs, float32[] or float64[]; None if
            it must not leave the institution.
        num_rows: Rows of the institution, int32[].
        epochs: How often each row counts in `loss_sum`.
        weighting: By examples or uniform.
        shared_change: The institution's part in the change of the shared value,
            with the shared value's structure; empty if there is none.

    Returns:
        The client result, and what is summed over institutions: the parts of
        metrics and, if there is one, the change of the shared value.
    """
    finite = weights_lib.all_finite(update)
    weight = tf.where(finite, institution_weight(num_rows, weighting), 0.0)
    update = tf.nest.map_structure(
        lambda u: tf.where(finite, u, tf.zeros_like(u)), update
    )
    sums: dict[str, Any] = collections.OrderedDict()
    if loss_sum is not None:
        rows = tf.cast(num_rows, tf.float64) * epochs
        sums["loss_sum"] = tf.where(finite, tf.cast(loss_sum, tf.float64), 0.0)
        sums["loss_rows"] = tf.where(finite, rows, 0.0)
    sums["num_examples"] = tf.cast(num_rows, tf.int64)
    sums["num_institutions"] = tf.cast(num_rows > 0, tf.int64)
    sums["non_finite_updates"] = tf.cast(~finite, tf.int64)
    if shared_change:
        sums["shared"] = shared_change
    return ClientResult(update, weight), sums


def without_own(
    result: tuple[ClientResult, Sums], num_shared: int
) -> tuple[ClientResult, Sums]:
    """What `client_result` makes, without the update of weights that stay at home."""
    (update, weight), sums = result
    return ClientResult(tuple(update)[:num_shared], weight), sums


def institution_weight(
    num_rows: tf.Tensor, weighting: tff.learning.ClientWeighting
) -> tf.Tensor:
    """Weight of an institution's update, float32[]; 0 without rows.

    Args:
        num_rows: Rows of the institution, int32[].
        weighting: By examples or uniform.

    Returns:
        The number of rows, or 1.
    """
    if weighting is tff.learning.ClientWeighting.NUM_EXAMPLES:
        return tf.cast(num_rows, tf.float32)
    return tf.cast(num_rows > 0, tf.float32)


def build_client_update(
    update_institution: UpdateInstitution,
    *,
    state_type: tff.Type,
    model: tff.learning.models.FunctionalModel,
    store: ExampleStore | None,
    update_group: UpdateInstitution | None = None,
    num_shared: int | None = None,
    gives_loss: bool = True,
) -> tff.Computation:
    """Builds `(<S, W, B*> -> <ClientResult, sums>)`, a client's part of a round.

    Args:
        update_institution: Returns what `client_result` makes.
        state_type: `S`, as in `build_initial_state`.
        model: Gives `W` and the width of the tables.
        store: Gives `B`; defaults to `InMemory`. If it groups institutions, a
            client's members train one after the other, and it reports the mean of
            their updates with the sum of their weights.
        update_group: Does the same for a group in memory, in one call.
        num_shared: How many of the trainable weights, from the first, `W` and the
            updates have; None for all.
        gives_loss: Whether `sums` have the training loss.

    Returns:
        The computation.
    """
    store = store or InMemory()
    element_type = store.element_type(weights_lib.num_features(model))

    @tff.tensorflow.computation(
        state_type,
        weights_lib.weights_type(model, num_shared),
        tff.SequenceType(element_type),
    )
    def client_update(state: Any, weights: Any, dataset: Any) -> Any:
        element = dataset.get_single_element()
        if not store.grouped:
            return update_institution(state, weights, element)
        if update_group and "x" in element:
            return update_group(state, weights, element)
        return _member_by_member(
            element,
            weights_lib.trainable_spec(model)[:num_shared],
            lambda member: update_institution(state, weights, member),
            no_change=tf.nest.map_structure(tf.zeros_like, state.get("shared", ())),
            gives_loss=gives_loss,
        )

    return client_update


def weighted(result: ClientResult, sums: Sums) -> Any:
    """What adds up over a group: the weighted update, the weight, the sums."""
    weight = result.update_weight
    return tuple(u * weight for u in result.update), weight, dict(sums)


def group_result(total: Any) -> tuple[ClientResult, Sums]:
    """The mean of a group's updates, the sum of all else.

    Args:
        total: The sum of what `weighted` returns over the members.

    Returns:
        What `client_result` makes, of the whole group.
    """
    update, weight, sums = total
    mean = tuple(tf.math.divide_no_nan(u, weight) for u in update)
    ordered: Sums = collections.OrderedDict(
        (name, sums[name]) for name in _SUMS if name in sums
    )
    return ClientResult(mean, weight), ordered


def _member_by_member(
    group: Any,
    spec: Sequence[tf.TensorSpec],
    update_member: Callable[[Any], tuple[ClientResult, Sums]],
    *,
    no_change: State,
    gives_loss: bool,
) -> tuple[ClientResult, Sums]:
    """Updates the members, one after the other.

    Args:
        group: The members' elements, stacked.
        spec: Of the trainable weights.
        update_member: From a member's element.
        no_change: Zeros with the shared value's structure, if there is one.
        gives_loss: Whether the members' sums have the training loss.

    Returns:
        What `client_result` makes, of the whole group.
    """

    def add_member(number: tf.Tensor, total: Any) -> Any:
        member = tf.nest.map_structure(lambda t: t[number], group)
        return number + 1, tf.nest.map_structure(
            tf.add, total, weighted(*update_member(member))
        )

    nothing = client_result(
        tuple(tf.zeros(leaf.shape, leaf.dtype) for leaf in spec),
        loss_sum=tf.constant(0.0) if gives_loss else None,
        num_rows=tf.constant(0),
        epochs=1,
        weighting=tff.learning.ClientWeighting.NUM_EXAMPLES,
        shared_change=no_change,
    )
    members = tf.size(group["institution"])
    _, total = tf.while_loop(
        lambda number, _: number < members,
        add_member,
        (tf.constant(0), tf.nest.map_structure(tf.zeros_like, weighted(*nothing))),
        parallel_iterations=1,
    )
    return group_result(total)


def build_client_work_process(
    initial_state: tff.Computation,
    client_update: tff.Computation,
    *,
    next_shared: NextShared | None = None,
) -> tff.learning.templates.ClientWorkProcess:
    """Wraps `client_update` for one institution into a client work process.

    Args:
        initial_state: `( -> S)`, `S` as in `build_initial_state`.
        client_update: `(<S, W, B*> -> <ClientResult, sums>)`, `sums` as
            `client_result` makes them.
        next_shared: What the server makes of the shared value and of the sum of
            its changes; needed if `S` has one. The sum is in the clear, whatever
            the aggregator of the updates.

    Returns:
        Client work that broadcasts `S`. Its metrics are `loss` (NaN if no row
        counts) and `loss_rows`, how many it is the mean of, each once an epoch (both
        missing if `sums` don't have them); `num_examples`, `num_institutions`, how
        many have rows, and `non_finite_updates`.
    """
    state_type, weights_type, data_type = client_update.type_signature.parameter
    sums_type = client_update.type_signature.result[1]

    @tff.tensorflow.computation(state_type, sums_type)
    def next_round(state: Any, sums: Any) -> Any:
        following = collections.OrderedDict(state, round=state["round"] + 1)
        if next_shared:
            following["shared"] = next_shared(state["shared"], sums["shared"])
        return following

    @tff.tensorflow.computation(sums_type)
    def finalize_metrics(sums: Any) -> Any:
        metrics: dict[str, Any] = collections.OrderedDict()
        if "loss_sum" in sums:
            metrics["loss"] = sums["loss_sum"] / sums["loss_rows"]
            metrics["loss_rows"] = sums["loss_rows"]
        for name in ("num_examples", "num_institutions", "non_finite_updates"):
            metrics[name] = sums[name]
        return metrics

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(
        tff.FederatedType(state_type, tff.SERVER),
        tff.FederatedType(weights_type, tff.CLIENTS),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def next_fn(state: Any, weights: Any, data: Any) -> Any:
        result, sums = tff.federated_map(
            client_update, (tff.federated_broadcast(state), weights, data)
        )
        total = tff.federated_sum(sums)
        return tff.templates.MeasuredProcessOutput(
            tff.federated_map(next_round, (state, total)),
            result,
            tff.federated_map(finalize_metrics, total),
        )

    @tff.tensorflow.computation(state_type)
    def get_hparams(state: Any) -> Any:
        return collections.OrderedDict(state["optimizer"], seed=state["seed"])

    @tff.tensorflow.computation(state_type, get_hparams.type_signature.result)
    def set_hparams(state: Any, hparams: Any) -> Any:
        settings = collections.OrderedDict(hparams)
        seed = settings.pop("seed")
        return collections.OrderedDict(state, seed=seed, optimizer=settings)

    return tff.learning.templates.ClientWorkProcess(
        initialize, next_fn, get_hparams_fn=get_hparams, set_hparams_fn=set_hparams
    )
