"""Hostile institutions send what they are said to; all else stays true."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.hostile import (
    HostileInstitutions,
    build_hostile_work,
    hostile_update,
)
from tff_finance.client_work.local_epochs_work import build_local_epochs_work
from tff_finance.institutions.examples import (
    InMemory,
    InMemoryGroups,
    client_dataset,
    dense_examples,
)

UPDATE = (np.float32([[3.0], [0.0]]), np.float32([-4.0]))
SEED = tf.constant([1, 2])


def hostile(attack, factor=2.0, names=("bank_b",)):
    return HostileInstitutions(names=names, attack=attack, factor=factor)


@pytest.mark.parametrize(("attack", "sign"), [("sign_flip", -1), ("scale", 1)])
def test_flipped_and_scaled(attack, sign):
    kernel, bias = hostile_update(UPDATE, hostile(attack), SEED)
    np.testing.assert_array_equal(kernel, sign * 2 * UPDATE[0])
    np.testing.assert_array_equal(bias, sign * 2 * UPDATE[1])


def test_random_has_the_norm_of_the_true_update_times_the_factor():
    found = hostile_update(UPDATE, hostile("random"), SEED)
    assert [leaf.shape for leaf in found] == [(2, 1), (1,)]
    assert float(tf.linalg.global_norm(found)) == pytest.approx(10.0, rel=1e-5)
    other = hostile_update(UPDATE, hostile("random"), SEED + 1)
    assert np.abs(other[0] - found[0]).max() > 0.1
    again = hostile_update(UPDATE, hostile("random"), SEED)
    np.testing.assert_array_equal(again[0], found[0])


def test_random_points_anywhere():
    """Means over many seeds are 0, and each coordinate has its share of the norm."""
    drawn = np.array(
        [
            np.concatenate(
                [np.ravel(leaf) for leaf in hostile_update(UPDATE, h, [s, 7])]
            )
            for h in [hostile("random", 1.0)]
            for s in range(400)
        ]
    )
    assert np.abs(drawn.mean(axis=0)).max() < 5 * 5 / np.sqrt(3 * 400)
    np.testing.assert_allclose((drawn**2).mean(axis=0), 25 / 3, rtol=0.2)


def test_no_update_is_nothing_to_send():
    zero = tf.nest.map_structure(np.zeros_like, UPDATE)
    for leaf in hostile_update(zero, hostile("random"), SEED):
        np.testing.assert_array_equal(leaf, np.zeros_like(leaf))


def data():
    rng = np.random.default_rng(3)
    return [
        client_dataset(dense_examples(x, x[:, 0] > 0, institution=name))
        for name, x in (
            (name, rng.normal(size=(rows, 2)))
            for name, rows in (("bank_a", 9), ("bank_b", 7), ("bank_c", 5))
        )
    ]


def honest_work(model, store=None):
    return build_local_epochs_work(
        model,
        tff.learning.optimizers.build_sgdm(0.1),
        batches=LocalEpochs(epochs=1, batch_size=4),
        store=store or InMemory(),
    )


def test_only_the_hostile_update_is_another(eager_model, tff_context):
    del tff_context
    work = honest_work(eager_model)
    attacked = build_hostile_work(work, hostile("sign_flip", 3.0))
    weights = [tff.learning.models.ModelWeights(*eager_model.initial_weights)] * 3
    state = attacked.initialize()
    honest, found = (w.next(state, weights, data()) for w in (work, attacked))
    assert found.measurements == honest.measurements
    assert found.state == honest.state
    for number, (sent, true) in enumerate(
        zip(found.result, honest.result, strict=True)
    ):
        assert sent.update_weight == true.update_weight
        factor = -3.0 if number == 1 else 1.0
        for one, other in zip(sent.update, true.update, strict=True):
            np.testing.assert_allclose(one, factor * other, rtol=1e-6)
    hparams = attacked.get_hparams(state)
    hparams["seed"] = 5
    assert attacked.set_hparams(state, hparams)["seed"] == 5


def test_a_random_attack_is_another_one_in_each_round(eager_model, tff_context):
    del tff_context
    attacked = build_hostile_work(honest_work(eager_model), hostile("random"))
    weights = [tff.learning.models.ModelWeights(*eager_model.initial_weights)] * 3
    first = attacked.next(attacked.initialize(), weights, data())
    again = attacked.next(attacked.initialize(), weights, data())
    second = attacked.next(first.state, weights, data())
    sent = [output.result[1].update[0] for output in (first, again, second)]
    np.testing.assert_array_equal(sent[0], sent[1])
    cosine = (
        np.sum(sent[0] * sent[2]) / np.linalg.norm(sent[0]) / np.linalg.norm(sent[2])
    )
    assert cosine < 0.999


def test_groups_and_other_client_work_are_refused(eager_model):
    work = honest_work(eager_model, InMemoryGroups())
    with pytest.raises(ValueError, match="can't be in groups"):
        build_hostile_work(work, hostile("scale"))
    others = tff.learning.templates.build_functional_model_delta_client_work(
        model=eager_model,
        optimizer=tff.learning.optimizers.build_sgdm(0.1),
        client_weighting=tff.learning.ClientWeighting.NUM_EXAMPLES,
    )
    with pytest.raises(ValueError, match="must have a state with `round`"):
        build_hostile_work(others, hostile("scale"))


def test_attacks_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="`attack` must be one of"):
        hostile("magic")
    with pytest.raises(ValueError, match="`factor` must be positive"):
        hostile("scale", 0.0)
    with pytest.raises(ValueError, match="`names` must name one"):
        hostile("scale", names=())
