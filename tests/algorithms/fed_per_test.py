"""FedPer against NumPy, its limits, and what travels.

Source: Arivazhagan et al. (2019), Algorithms 1 and 2, https://arxiv.org/abs/1912.00818.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.conftest import NUM_FEATURES, WEIGHTINGS, build_model
from tests.algorithms.learning import assert_same_weights, train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_per import (
    build_fed_per,
    build_fed_per_validation,
    local_head,
)
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.local_head import LocalHead
from tff_finance.institutions.examples import (
    client_dataset,
    dense_examples,
    examples_type,
)
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import (
    build_federated_validation,
    validation_result,
)
from tff_finance.runtime import in_process
from tff_finance.training.communication import traffic_per_round

RATE = 0.3
BATCHES = LocalEpochs(epochs=2, batch_size=16, shuffle=False)
sgd = tff.learning.optimizers.build_sgdm


@pytest.fixture(autouse=True, scope="module")
def context():
    """The contract's tests compare with TFF's own runtime."""
    with in_process.execution_context():
        yield


def build(model, folder, *, num_local=1, batches=BATCHES, **options):
    return build_fed_per(
        model,
        num_local=num_local,
        client_optimizer=sgd(RATE),
        batches=batches,
        state_files=InstitutionStateFiles(str(folder)),
        **options,
    )


def head_of(model, folder, institution, round_number=99):
    head = local_head(model, 1)
    files = InstitutionStateFiles(str(folder))
    (bias,) = head.read(files, tf.constant(institution), round_number)
    return bias.numpy()


# The cohort of each round, by position; bank_a misses one.
COHORTS = ([0, 1, 2], [1, 2], [0, 1, 2], [0, 2])


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_follows_the_algorithm(logistic_model, tables, tmp_path, weighting):
    """In NumPy: the kernel is averaged, each institution has a bias of its own."""
    data = [
        client_dataset(dense_examples(x, y, institution=name))
        for name, (x, y) in tables.items()
    ]
    process = build(logistic_model, tmp_path, weighting=WEIGHTINGS[weighting])
    state = process.initialize()
    kernel, bias = (
        np.ravel(w).astype(float) for w in logistic_model.initial_weights[0]
    )
    # Unlike the model's, which are all 0.
    heads = dict.fromkeys(tables, bias)
    local_head(logistic_model, 1).begin(
        InstitutionStateFiles(str(tmp_path)), "bank_b", [np.array([0.7])]
    )
    heads["bank_b"] = np.array([0.7])
    for cohort in COHORTS:
        state, _ = process.next(state, [data[i] for i in cohort])
        ends, shares = [], []
        for name in [list(tables)[i] for i in cohort]:
            x, y = tables[name]
            w, _ = numpy_logistic.local_steps(
                np.concatenate([kernel, heads[name]]),
                x,
                y,
                rate=RATE,
                steps=numpy_logistic.batches(len(y), 16, epochs=2),
            )
            ends.append(w[:-1])
            heads[name] = w[-1:]
            shares.append(len(y) if weighting == "examples" else 1)
        kernel = np.average(ends, axis=0, weights=shares)
        (found,) = process.get_model_weights(state).trainable
        np.testing.assert_allclose(found[:, 0], kernel, atol=1e-5)
        for name, expected in heads.items():
            np.testing.assert_allclose(
                head_of(logistic_model, tmp_path, name), expected, atol=1e-5
            )
    spread = np.ptp([float(head[0]) for head in heads.values()])
    assert spread > 0.1  # they are not one head


def test_without_local_weights_it_is_fed_avg_to_the_last_bit(
    model, client_data, tmp_path
):
    process = build(model, tmp_path, num_local=0)
    fed_avg = build_fed_avg(model, client_optimizer=sgd(RATE), batches=BATCHES)
    state, metrics = train(process, client_data, 3)
    expected, expected_metrics = train(fed_avg, client_data, 3)
    tf.nest.assert_same_structure(state, expected)
    for one, other in zip(
        tf.nest.flatten(state), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert metrics["client_work"] == expected_metrics["client_work"]
    assert list(tmp_path.iterdir()) == []


def test_without_shared_weights_each_trains_alone(model, client_data, tables, tmp_path):
    """As at a single site, rounds being its epochs."""
    batches = LocalEpochs(epochs=1, batch_size=16)
    number = len(model.initial_weights[0])
    process = build(model, tmp_path, num_local=number, batches=batches)
    train(process, client_data, 3)
    alone = build_single_site(model, optimizer=sgd(RATE), batches=batches)
    head = local_head(model, number)
    for name, data in zip(tables, client_data, strict=True):
        state, _ = train(alone, [data], 3)
        own = head.read(InstitutionStateFiles(str(tmp_path)), tf.constant(name))
        assert_same_weights(
            tff.learning.models.ModelWeights(own, ()),
            alone.get_model_weights(state),
            atol=1e-6,
        )


def test_one_institution_is_fed_avg_of_one(model, client_data, tmp_path):
    process = build(model, tmp_path, num_local=2)
    fed_avg = build_fed_avg(model, client_optimizer=sgd(RATE), batches=BATCHES)
    state, _ = train(process, client_data[:1], 3)
    expected, _ = train(fed_avg, client_data[:1], 3)
    own = local_head(model, 2).read(
        InstitutionStateFiles(str(tmp_path)), tf.constant("bank_a")
    )
    weights = process.get_model_weights(state)
    assert_same_weights(
        tff.learning.models.ModelWeights((*weights.trainable, *own), ()),
        fed_avg.get_model_weights(expected),
        atol=1e-6,
    )


def test_only_the_trunk_travels(model, tmp_path):
    """The head of this model: a kernel of 4 and a bias."""
    fed_avg = build_fed_avg(model, client_optimizer=sgd(RATE), batches=BATCHES)
    whole = traffic_per_round(fed_avg.next)
    ours = traffic_per_round(build(model, tmp_path, num_local=2).next)
    assert whole.bytes_down - ours.bytes_down == 4 * (4 + 1)
    assert whole.bytes_up - ours.bytes_up == 4 * (4 + 1)


def test_validation_has_every_institution_use_its_own_head(
    logistic_model, client_data, tables, tmp_path
):
    process = build(logistic_model, tmp_path)
    validation = build_fed_per_validation(
        logistic_model, num_local=1, state_files=InstitutionStateFiles(str(tmp_path))
    )
    state, _ = train(process, client_data, 3)
    trunk = process.get_model_weights(state)
    found = validation_result(validation(trunk, client_data))
    losses, rows = [], []
    for name, (x, y) in tables.items():
        bias = head_of(logistic_model, tmp_path, name)
        w = np.concatenate([trunk.trainable[0][:, 0], bias])
        losses.append(numpy_logistic.loss(w, x, y))
        rows.append(len(y))
    assert found.rows == sum(rows)
    assert found.loss == pytest.approx(np.average(losses, weights=rows), rel=1e-5)
    # The newest heads, not those that validation read before.
    before = found.loss
    state, _ = train(process, client_data, 3, state=state)
    after = validation_result(validation(trunk, client_data))
    assert after.loss != before


def test_heads_after_a_round_stay_readable(logistic_model, client_data, tmp_path):
    process = build(logistic_model, tmp_path)
    state, _ = train(process, client_data, 1)
    first = head_of(logistic_model, tmp_path, "bank_a")
    train(process, client_data, 2, state=state)
    assert head_of(logistic_model, tmp_path, "bank_a", 1) == first
    assert head_of(logistic_model, tmp_path, "bank_a", 3) != first
    assert head_of(logistic_model, tmp_path, "bank_a", 0) == 0  # the initial one


def whole_validation(model):
    return build_federated_validation(
        model,
        weights_type=weights_lib.weights_type(model),
        element_type=examples_type(NUM_FEATURES),
    )


def test_institutions_with_opposite_labels_share_a_trunk(tmp_path):
    """Multi-task learning: what FedAvg can't represent, heads can."""
    rng = np.random.default_rng(2)
    model = build_model(8)
    x = rng.normal(size=(400, NUM_FEATURES)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.float32)
    data = [
        client_dataset(dense_examples(x[half], labels[half], institution=name))
        for name, labels, half in (
            ("default", y, slice(200)),
            ("repayment", 1 - y, slice(200, None)),
        )
    ]
    fed_per = build(model, tmp_path, num_local=2)
    fed_avg = build_fed_avg(model, client_optimizer=sgd(RATE), batches=BATCHES)
    validation = build_fed_per_validation(
        model, num_local=2, state_files=InstitutionStateFiles(str(tmp_path))
    )
    judged = {}
    for name, process, judge in (
        ("fed_per", fed_per, validation),
        ("fed_avg", fed_avg, whole_validation(model)),
    ):
        state, _ = train(process, data, 20)
        weights = process.get_model_weights(state)
        judged[name] = validation_result(judge(weights, data))
    assert judged["fed_per"].accuracy > 0.9
    assert judged["fed_avg"].accuracy < 0.6


@pytest.mark.parametrize("number", [-1, 3])
def test_more_local_weights_than_there_are_is_refused(logistic_model, tmp_path, number):
    with pytest.raises(ValueError, match="`num_local` must be between 0 and 2"):
        build(logistic_model, tmp_path, num_local=number)


def test_a_head_without_weights_is_refused():
    with pytest.raises(ValueError, match="`initial` must have a weight"):
        LocalHead(())
