"""Hostile institutions, in simulation: they send something else than their update.

What a defence is worth is seen only with an attack. One wraps any client work of this
package, so that it goes with any algorithm, aggregator and store.

Sources: sign-flipping and Gaussian updates, Li et al. (2019),
https://arxiv.org/abs/1811.03761; scaled ones, Bagdasaryan et al. (2020),
https://arxiv.org/abs/1807.00459.
"""

import dataclasses
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.client_work.batches import institution_round_seed

_ATTACKS = ("sign_flip", "scale", "random")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostileInstitutions:
    """Who is hostile, and how.

    With u the true update and f the factor they send: "sign_flip", -f u, which goes up
    the loss; "scale", f u, which makes theirs the only update that counts; "random",
    a Gaussian vector scaled to the norm f |u|, another one in every round.

    Attributes:
        names: Of the institutions.
        attack: One of these three.
        factor: f, positive.
    """

    names: tuple[str, ...]
    attack: str
    factor: float = 1.0

    def __post_init__(self) -> None:
        """Refuses an unknown attack and nobody to make it."""
        checks.check_one_of("attack", self.attack, _ATTACKS)
        checks.check_positive("factor", self.factor)
        if not self.names:
            raise ValueError("`names` must name one institution at least.")


def build_hostile_work(
    work: tff.learning.templates.ClientWorkProcess, hostile: HostileInstitutions
) -> tff.learning.templates.ClientWorkProcess:
    """Wraps client work: hostile institutions send another update than theirs.

    Only the update is another: they train as the others do, their weight and metrics
    are true, and a shared value, as SCAFFOLD's, changes by what they have computed.
    Round and seed are broadcast once more for it, 8 bytes.

    Args:
        work: Client work as `process.build_client_work_process` makes it, with a state
            that has `round` and `seed`, and elements that name one `institution`.
        hostile: Who is, and how.

    Returns:
        Client work of the same type.

    Raises:
        ValueError: If `work` has no such state, or clients that are groups.
    """
    state_type, weights_type, data_type = work.next.type_signature.parameter
    result_type = work.next.type_signature.result.result
    _check_types(state_type.member, data_type.member.element)

    @tff.tensorflow.computation(state_type.member)
    def round_and_seed(state: Any) -> Any:
        return state["round"], state["seed"]

    seeds_type = round_and_seed.type_signature.result

    @tff.tensorflow.computation(seeds_type, result_type.member, data_type.member)
    @tf.function
    def attack(seeds: Any, result: Any, dataset: Any) -> Any:
        institution = dataset.get_single_element()["institution"]
        number, run_seed = seeds
        seed = institution_round_seed(run_seed, number, institution)
        is_hostile = tf.reduce_any(tf.equal(institution, list(hostile.names)))
        update = tf.nest.map_structure(
            lambda sent, true: tf.where(is_hostile, sent, true),
            hostile_update(result.update, hostile, seed),
            result.update,
        )
        return tff.learning.templates.ClientResult(update, result.update_weight)

    @tff.federated_computation(state_type, weights_type, data_type)
    def next_fn(state: Any, weights: Any, data: Any) -> Any:
        output = work.next(state, weights, data)
        seeds = tff.federated_map(round_and_seed, state)
        sent = tff.federated_map(
            attack, (tff.federated_broadcast(seeds), output.result, data)
        )
        return tff.templates.MeasuredProcessOutput(
            output.state, sent, output.measurements
        )

    return tff.learning.templates.ClientWorkProcess(
        work.initialize,
        next_fn,
        get_hparams_fn=work.get_hparams,
        set_hparams_fn=work.set_hparams,
    )


def hostile_update(update: Any, hostile: HostileInstitutions, seed: tf.Tensor) -> Any:
    """What is sent instead of an update.

    Args:
        update: A structure of floating-point tensors.
        hostile: Attack and factor.
        seed: Of a random attack, int32[2].

    Returns:
        An update of the same structure.
    """
    factor = hostile.factor
    if hostile.attack == "random":
        leaves = [tf.convert_to_tensor(leaf) for leaf in tf.nest.flatten(update)]
        sizes = [leaf.shape.num_elements() for leaf in leaves]
        noise = tf.random.stateless_normal([sum(sizes)], seed)
        scale = factor * tf.linalg.global_norm(leaves) / tf.norm(noise)
        parts = [
            tf.reshape(tf.cast(scale * part, leaf.dtype), leaf.shape)
            for part, leaf in zip(tf.split(noise, sizes), leaves, strict=True)
        ]
        return tf.nest.pack_sequence_as(update, parts)
    sign = -1 if hostile.attack == "sign_flip" else 1
    return tf.nest.map_structure(lambda leaf: sign * factor * leaf, update)


def _check_types(state_type: Any, element_type: Any) -> None:
    for name, type_spec in (("round", state_type), ("seed", state_type)):
        if not _has(type_spec, name):
            raise ValueError(
                f"`work` must have a state with `{name}`, as client work of "
                f"tff_finance has; got {type_spec}."
            )
    institution = _has(element_type, "institution") and element_type["institution"]
    if not institution or institution.shape:
        raise ValueError(
            "`work` must have elements that name one `institution`, got "
            f"{element_type}: hostile institutions can't be in groups."
        )


def _has(type_spec: Any, name: str) -> bool:
    return isinstance(type_spec, tff.StructType) and tff.structure.has_field(
        type_spec, name
    )
