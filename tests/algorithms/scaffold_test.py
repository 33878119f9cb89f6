"""SCAFFOLD: equal to NumPy with whole and sampled cohorts; the server's variate."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, train
from tff_finance.aggregation.secure_mean import SecureMean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.control_variates import ControlVariates
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.privacy.distributed_noise import DistributedNoise
from tff_finance.privacy.institution_level import FixedClipping
from tff_finance.training.communication import traffic_per_round

RATE = 0.3
EPOCHS = 2
BATCH_SIZE = 16
BATCHES = LocalEpochs(epochs=EPOCHS, batch_size=BATCH_SIZE, shuffle=False)
WHOLE = [(0, 1, 2, 3)] * 4
SAMPLED = [(1, 2), (0, 2), (2, 3), (0, 1), (1, 3), (0, 3)]
WEIGHTINGS = {
    "uniform": tff.learning.ClientWeighting.UNIFORM,
    "examples": tff.learning.ClientWeighting.NUM_EXAMPLES,
}
sgd = tff.learning.optimizers.build_sgdm

pytestmark = pytest.mark.usefixtures("tff_context")


@pytest.fixture(scope="module")
def unlike_tables():
    """Institutions that disagree, with 2, 4, 6 and 8 steps a round."""
    rng = np.random.default_rng(5)
    tables = []
    for rows in (13, 30, 48, 61):
        x = rng.normal(size=(rows, 5)).astype(np.float32)
        weights = rng.normal(size=5)
        tables.append((x, (x @ weights > rng.normal()).astype(np.float32)))
    return tables


@pytest.fixture(scope="module")
def data(unlike_tables):
    return [
        client_dataset(dense_examples(x, y, institution=f"bank_{i}"))
        for i, (x, y) in enumerate(unlike_tables)
    ]


def build(model, folder, *, weighting="uniform", number=4, **options):
    return build_scaffold(
        model,
        client_learning_rate=RATE,
        batches=BATCHES,
        num_institutions=number,
        state_files=InstitutionStateFiles(str(folder)),
        weighting=WEIGHTINGS[weighting],
        **options,
    )


def in_numpy(w, tables, cohorts, *, weighting="uniform", server_rate=1.0):
    """As published; by examples the server's variate is weighted as the weights are.

    It is formed anew from all institutions' variates, not from their changes.
    """
    count = np.array(
        [len(y) if weighting == "examples" else 1 for _, y in tables], np.float64
    )
    own = np.zeros([len(tables), len(w)])
    c = np.zeros_like(w)
    seen = set()
    for cohort in cohorts:
        ends, new = {}, own.copy()
        for i in cohort:
            x, y = tables[i]
            steps = numpy_logistic.batches(len(y), BATCH_SIZE, EPOCHS)
            ends[i], _ = numpy_logistic.local_steps(
                w,
                x,
                y,
                rate=RATE,
                steps=steps,
                correct=lambda g, _, shift=c - own[i]: g + shift,
            )
            new[i] = own[i] - c + (w - ends[i]) / (len(steps) * RATE)
        shares = count[list(cohort)] / count[list(cohort)].sum()
        w = w + server_rate * shares @ ([ends[i] for i in cohort] - w)
        own = new
        seen |= set(cohort)
        known = count[sorted(seen)]
        c = count @ own / (known.mean() * len(tables))
    return w, own, c


def run(process, data, cohorts):
    state = process.initialize()
    for cohort in cohorts:
        state = process.next(state, [data[i] for i in cohort]).state
    return state


def vector_of(parts):
    return np.concatenate([np.ravel(part) for part in parts])


def variates(folder, number, round_number):
    files = InstitutionStateFiles(str(folder))
    spec = [tf.TensorSpec([5, 1]), tf.TensorSpec([1]), tf.TensorSpec([])]
    return [
        vector_of(
            files.read(tf.constant(f"bank_{i}"), tf.constant(round_number), spec)[:2]
        )
        for i in range(number)
    ]


@pytest.mark.parametrize("cohorts", [WHOLE, SAMPLED], ids=["whole", "sampled"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_equals_numpy(
    logistic_model, unlike_tables, data, tmp_path, weighting, cohorts
):
    process = build(
        logistic_model, tmp_path, weighting=weighting, server_optimizer=sgd(0.7)
    )
    state = run(process, data, cohorts)
    start = numpy_logistic.vector(process.get_model_weights(process.initialize()))
    expected, own, c = in_numpy(
        start, unlike_tables, cohorts, weighting=weighting, server_rate=0.7
    )
    weights = numpy_logistic.vector(process.get_model_weights(state))
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(
        variates(tmp_path, 4, len(cohorts)), own, atol=1e-5, rtol=0
    )
    shared = state.client_work["shared"]
    np.testing.assert_allclose(vector_of(shared[:2]), c, atol=1e-5, rtol=0)
    assert np.abs(c).max() > 0.05
    if weighting == "uniform":
        np.testing.assert_allclose(vector_of(shared[:2]), own.mean(axis=0), atol=1e-5)


def test_the_numbers_above_tell_variants_apart(unlike_tables):
    start = np.zeros(6)
    ends = [
        in_numpy(start, unlike_tables, cohorts, weighting=weighting)[0]
        for cohorts, weighting in itertools.product((WHOLE, SAMPLED), WEIGHTINGS)
    ]
    for one, other in itertools.combinations(ends, 2):
        assert np.abs(one - other).max() > 0.01


def test_the_first_round_is_fed_avg_and_later_ones_are_not(
    logistic_model, data, tmp_path
):
    scaffold = build(logistic_model, tmp_path)
    fed_avg = build_fed_avg(
        logistic_model,
        client_optimizer=sgd(RATE),
        batches=BATCHES,
        weighting=WEIGHTINGS["uniform"],
    )
    first, expected = (train(p, data, 1)[0] for p in (scaffold, fed_avg))
    assert_same_weights(
        scaffold.get_model_weights(first), fed_avg.get_model_weights(expected)
    )
    second, expected = (
        train(p, data, 1, state=s)[0]
        for p, s in ((scaffold, first), (fed_avg, expected))
    )
    moved = numpy_logistic.vector(scaffold.get_model_weights(second))
    plain = numpy_logistic.vector(fed_avg.get_model_weights(expected))
    assert np.abs(moved - plain).max() > 0.01


def test_ends_where_fed_avg_does_not_at_the_optimum_of_all_rows(
    logistic_model, unlike_tables, data, tmp_path
):
    """What SCAFFOLD is for: unlike institutions and many local steps."""
    x = np.concatenate([x for x, _ in unlike_tables])
    y = np.concatenate([y for _, y in unlike_tables])
    batches = LocalEpochs(epochs=10, batch_size=64, shuffle=False)
    scaffold = build_scaffold(
        logistic_model,
        client_learning_rate=RATE,
        batches=batches,
        num_institutions=4,
        state_files=InstitutionStateFiles(str(tmp_path)),
        weighting=WEIGHTINGS["examples"],
    )
    fed_avg = build_fed_avg(logistic_model, client_optimizer=sgd(RATE), batches=batches)

    def slope(process):
        state, _ = train(process, data, 60)
        w = numpy_logistic.vector(process.get_model_weights(state))
        return np.abs(numpy_logistic.gradient(w, x, y)).max()

    assert slope(scaffold) < 0.1 * slope(fed_avg)


def test_empty_and_broken_institutions_leave_everything(
    logistic_model, unlike_tables, data, empty_client, tmp_path
):
    """Weights, the server's variate, and their own: as if they weren't there."""
    x, y = unlike_tables[2]
    broken = dense_examples(x.copy(), y, institution="bank_2")
    broken["x"][-1, 0] = np.nan
    process = build(logistic_model, tmp_path / "with")
    alone = build(logistic_model, tmp_path / "without")
    states = [run(p, data, WHOLE[:2]) for p in (process, alone)]
    others = [data[i] for i in (0, 1, 3)]
    with_both, metrics = process.next(
        states[0], [data[0], data[1], client_dataset(broken), data[3], empty_client]
    )
    without, _ = alone.next(states[1], others)
    assert metrics["client_work"]["non_finite_updates"] == 1
    assert_same_weights(
        process.get_model_weights(with_both),
        alone.get_model_weights(without),
        atol=1e-7,
    )
    for one, other in zip(
        with_both.client_work["shared"], without.client_work["shared"], strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-7)
    np.testing.assert_array_equal(
        variates(tmp_path / "with", 4, 3)[2], variates(tmp_path / "with", 4, 2)[2]
    )


def test_the_servers_variate_stays_to_the_last_bit_where_nobody_moved():
    """What a weight is multiplied with and divided by again may be another number."""
    rng = np.random.default_rng(3)
    variate = tf.constant(rng.normal(size=500), tf.float32)
    for rows in (37.0, 0.1, 4321.0):
        shared = (variate, tf.constant(rows), tf.constant(3.0))
        unmoved = (tf.zeros_like(variate), tf.constant(0.0), tf.constant(0.0))
        following = ControlVariates(4).next_shared(shared, unmoved)
        for before, after in zip(shared, following, strict=True):
            np.testing.assert_array_equal(before, after)


def test_more_institutions_than_declared_are_an_error(logistic_model, data, tmp_path):
    process = build(logistic_model, tmp_path, number=2)
    state = process.next(process.initialize(), data[:2]).state
    with pytest.raises(Exception, match=r"More institutions .* `num_institutions`, 2"):
        process.next(state, data[1:3])


def test_traffic_is_that_of_weights_and_variates(logistic_model, tmp_path):
    fed_avg = build_fed_avg(logistic_model, client_optimizer=sgd(RATE), batches=BATCHES)
    plain = traffic_per_round(fed_avg.next)
    ours = traffic_per_round(build(logistic_model, tmp_path).next)
    variate_bytes = 4 * (5 + 1) + 4 + 4  # its weights' sum, and who took part
    assert ours.bytes_down - plain.bytes_down == variate_bytes
    assert ours.bytes_up - plain.bytes_up == variate_bytes


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan])
def test_a_learning_rate_that_makes_no_sense_is_refused(logistic_model, rate):
    with pytest.raises(ValueError, match="`client_learning_rate` must be positive"):
        build_scaffold(
            logistic_model,
            client_learning_rate=rate,
            batches=BATCHES,
            num_institutions=2,
            state_files=InstitutionStateFiles("unused"),
        )


PROTECTING = {
    "noise": FixedClipping(l2_clip_norm=1.0, noise_multiplier=1.0, expected_updates=4),
    "distributed noise": DistributedNoise(
        l2_clip_norm=1.0,
        noise_multiplier=1.0,
        expected_updates=4,
        least_honest=2,
        most_updates=4,
    ),
    "secure sums": SecureMean(l2_clip_norm=1.0),
}


@pytest.mark.parametrize("name", PROTECTING)
def test_protection_that_would_leave_out_the_variates_is_refused(
    logistic_model, tmp_path, name
):
    aggregator = PROTECTING[name].aggregator()
    with pytest.raises(ValueError, match="gradients, are summed in the clear"):
        build(logistic_model, tmp_path, aggregator=aggregator)
    # Without variates there is nothing to refuse.
    assert build_fed_avg(
        logistic_model,
        client_optimizer=sgd(RATE),
        batches=BATCHES,
        weighting=WEIGHTINGS["uniform"],
        aggregator=aggregator,
    )


def test_other_aggregators_are_for_scaffold_too(logistic_model, tmp_path):
    robust = tff.learning.robust_aggregator(clipping=False)
    assert build(logistic_model, tmp_path, aggregator=robust)


def test_a_population_of_nobody_is_refused(logistic_model, tmp_path):
    with pytest.raises(ValueError, match="`num_institutions` must be at least 1"):
        build(logistic_model, tmp_path, number=0)
