"""FedMD: the consensus against NumPy, and what digesting it does.

Source: Li and Wang (2019), Algorithm 1, https://arxiv.org/abs/1910.03581.
"""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from scipy.special import expit

from tests.algorithms import numpy_logistic
from tests.algorithms.conftest import NUM_FEATURES, build_model
from tff_finance.algorithms.fed_md import (
    build_consensus,
    consensus,
    digest_and_revisit,
)
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.runtime import in_process

sgd = tff.learning.optimizers.build_sgdm
RATE = 0.3


@pytest.fixture(autouse=True, scope="module")
def context():
    with in_process.execution_context():
        yield


def with_labels(x, y):
    """Rows with labels that need not be 0 or 1."""
    return tf.data.Dataset.from_tensors(
        collections.OrderedDict(
            x=x,
            y=np.asarray(y, np.float32).reshape(-1, 1),
            institution=np.array(b"bank", np.object_),
        )
    )


def test_the_consensus_is_the_mean_of_the_institutions():
    rng = np.random.default_rng(0)
    scores = {name: rng.random(7).astype(np.float32) for name in ("a", "b", "c")}
    found = consensus(scores)
    assert found.shape == (7,)
    np.testing.assert_allclose(found, np.mean(list(scores.values()), axis=0), rtol=1e-6)


def test_the_consensus_of_one_institution_is_its_own():
    scores = np.linspace(0, 1, 5, dtype=np.float32)
    np.testing.assert_array_equal(consensus({"bank": scores}), scores)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_left_out(broken):
    rng = np.random.default_rng(0)
    scores = {name: rng.random(7).astype(np.float32) for name in ("a", "b", "c")}
    whole = [scores["a"], scores["c"]]
    scores["b"] = np.append(scores["b"][1:], np.float32(broken))
    np.testing.assert_allclose(consensus(scores), np.mean(whole, axis=0), rtol=1e-6)
    assert np.isnan(consensus({"b": scores["b"]})).all()


def test_only_scores_are_sent():
    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(
        tff.federated_computation(
            lambda state, data: (state, build_consensus(11)(data)),
            [
                tff.FederatedType(np.int32, tff.SERVER),
                build_consensus(11).type_signature.parameter,
            ],
        )
    )
    leaves = tff.structure.flatten(form.work.type_signature.result)
    assert sorted(leaf.shape for leaf in leaves) == [(), (11,)]  # and a 1


def test_a_round_is_sgd_towards_the_consensus_then_on_own_rows(logistic_model, tables):
    """In NumPy, for three rounds; labels of the digest are probabilities."""
    process = build_single_site(
        logistic_model,
        optimizer=sgd(RATE),
        batches=LocalEpochs(epochs=1, batch_size=16, shuffle=False),
    )
    x, y = tables["bank_a"]
    reference, _ = tables["bank_b"]
    rng = np.random.default_rng(4)
    state = process.initialize()
    w = numpy_logistic.vector(process.get_model_weights(state))
    for _ in range(3):
        agreed = rng.random(len(reference))
        state, loss = digest_and_revisit(
            process,
            state,
            reference=with_labels(reference, agreed),
            own=client_dataset(dense_examples(x, y, institution="bank_a")),
            digest_epochs=2,
            revisit_epochs=1,
        )
        for rows, labels, epochs in ((reference, agreed, 2), (x, y, 1)):
            w, losses = numpy_logistic.local_steps(
                w,
                rows,
                labels,
                rate=RATE,
                steps=numpy_logistic.batches(len(labels), 16, epochs),
            )
        found = numpy_logistic.vector(process.get_model_weights(state))
        np.testing.assert_allclose(found, w, atol=1e-5)
        sizes = [16, 16, 5]
        assert loss == pytest.approx(np.average(losses, weights=sizes), rel=1e-5)


def logits(trainable, x):
    """The perceptron in NumPy."""
    *hidden, last = zip(trainable[::2], trainable[1::2], strict=True)
    for kernel, bias in hidden:
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = last
    return (x @ kernel + bias)[:, 0]


def test_digesting_brings_models_of_different_shapes_together():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(200, NUM_FEATURES)).astype(np.float32)
    models = [build_model(16), build_model(4, 4, seed=8), build_model(seed=9)]
    processes = [
        build_single_site(
            model, optimizer=sgd(RATE), batches=LocalEpochs(epochs=1, batch_size=20)
        )
        for model in models
    ]
    states = []
    for number, process in enumerate(processes):
        # Each bank knows a rule of its own.
        x = rng.normal(size=(200, NUM_FEATURES)).astype(np.float32)
        own = with_labels(x, x[:, number] > 0)
        state = process.initialize()
        for _ in range(10):
            state, _ = process.next(state, [own])
        states.append(state)

    def scores():
        result = {}
        for number, process in enumerate(processes):
            weights = process.get_model_weights(states[number])
            result[str(number)] = expit(logits(weights.trainable, reference))
        return result

    def disagreement():
        return np.std(list(scores().values()), axis=0).mean()

    before = disagreement()
    for _ in range(3):
        agreed = consensus(scores())
        digest = with_labels(reference, agreed)
        for number, process in enumerate(processes):
            states[number], _ = digest_and_revisit(
                process,
                states[number],
                reference=digest,
                own=digest,
                digest_epochs=5,
                revisit_epochs=0,
            )
    assert disagreement() < 0.5 * before
