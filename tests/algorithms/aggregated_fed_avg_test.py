"""FedAvg with other aggregators than the mean: rounds of each, by NumPy."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.conftest import NUM_FEATURES
from tff_finance.aggregation.coordinate_wise import (
    build_median_factory,
    build_trimmed_mean_factory,
)
from tff_finance.aggregation.geometric_median import build_geometric_median_factory
from tff_finance.aggregation.rejecting import RejectingFactory
from tff_finance.aggregation.tff_quantization import build_tff_quantized_mean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.evaluation.robust_methods import ROBUST_AGGREGATORS
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process

RATE, EPOCHS, BATCH_SIZE = 0.3, 2, 16
ROUNDS = 4  # of rejecting the first only measures
TRIMMED_SHARE, MULTIPLE, BITS = 0.2, 1.2, 3


@pytest.fixture(autouse=True, scope="module")
def context():
    with in_process.execution_context():
        yield


@pytest.fixture(scope="module")
def banks():
    """Rows of five banks; one follows another rule, by large numbers: large steps."""
    rng = np.random.default_rng(5)
    weights = rng.normal(size=NUM_FEATURES)
    result = {}
    for name, rows, sign, scale in (
        ("bank_a", 37, 1, 1),
        ("bank_b", 50, 1, 1),
        ("bank_c", 23, -1, 9),
        ("bank_d", 31, 1, 0.5),
        ("bank_e", 44, 1, 2),
    ):
        x = rng.normal(size=(rows, NUM_FEATURES))
        y = sign * (x @ weights) + rng.normal(size=rows) > 0
        result[name] = (scale * x).astype(np.float32), y.astype(np.float32)
    return result


# Rules in NumPy: from updates [n, d] and rows [n] to one update, and what is measured;
# those that a function makes remember something from round to round.

NOBODY_REJECTED = {"rejected_updates": 0}


def by_rows(updates, rows):
    return np.average(updates, axis=0, weights=rows)


def median(updates, rows):
    del rows
    return np.median(updates, axis=0), NOBODY_REJECTED


def trimmed_mean(updates, rows):
    """One of five from either side."""
    del rows
    return np.sort(updates, axis=0)[1:-1].mean(axis=0), NOBODY_REJECTED


def geometric_median(updates, rows):
    """Weiszfeld's algorithm."""
    point = updates.mean(axis=0)
    for _ in range(3000):
        point = by_rows(updates, rows / np.linalg.norm(updates - point, axis=1))
    return point, NOBODY_REJECTED


def rejecting():
    """By a multiple of the median norm of the round before, 0 before the first."""
    bound = 0.0

    def rule(updates, rows):
        nonlocal bound
        norms = np.linalg.norm(updates, axis=1)
        kept = norms <= bound
        measured = {"rejected_updates": np.sum(~kept), "norm_bound": bound}
        bound = MULTIPLE * np.median(norms)
        if not kept.any():
            return np.zeros(updates.shape[1]), measured
        return by_rows(updates[kept], rows[kept]), measured

    return rule


def clipping():
    """TFF's: zeroes what is out of range, clips to a norm that 4 of 5 are below."""
    largest, norm = 10.0, 1.0

    def rule(updates, rows):
        nonlocal largest, norm
        maxima = np.abs(updates).max(axis=1)
        inside = maxima <= 2 * largest + 1
        updates = updates * inside[:, np.newaxis]
        norms = np.linalg.norm(updates, axis=1)
        factors = norm / np.maximum(norms, norm)
        result = by_rows(updates * factors[:, np.newaxis], rows)
        largest *= np.exp(-np.log(10) * (np.mean(maxima <= largest) - 0.98))
        norm *= np.exp(-0.2 * (np.mean(norms <= norm) - 0.8))
        return result, {}

    return rule


def quantized(updates, rows):
    """Each tensor of rows times update to the nearest of 2**BITS levels."""

    def nearest_levels(tensor):
        step = (tensor.max() - tensor.min()) / (2**BITS - 1)
        levels = np.round((tensor - tensor.min()) / (step or 1.0))
        return tensor.min() + levels * step

    sent = [
        np.concatenate([nearest_levels(u[:-1]), nearest_levels(u[-1:])])
        for u in updates * rows[:, np.newaxis]
    ]
    return np.sum(sent, axis=0) / rows.sum(), {}


CASES = {
    "median": (build_median_factory(), lambda: median),
    "trimmed_mean": (build_trimmed_mean_factory(TRIMMED_SHARE), lambda: trimmed_mean),
    "geometric_median": (build_geometric_median_factory(), lambda: geometric_median),
    "rejecting": (
        RejectingFactory(tff.aggregators.MeanFactory(), median_multiple=MULTIPLE),
        rejecting,
    ),
    "clipping": (ROBUST_AGGREGATORS["fed_avg_clipping"](TrainingConfig()), clipping),
    "tff_compressed": (build_tff_quantized_mean(BITS), lambda: quantized),
}


def updates_of(w, banks):
    """What each bank sends, [n, d]."""
    ends = [
        numpy_logistic.local_steps(
            w, x, y, rate=RATE, steps=numpy_logistic.batches(len(y), BATCH_SIZE, EPOCHS)
        )[0]
        for x, y in banks.values()
    ]
    return w - np.array(ends)


@pytest.mark.parametrize("name", CASES)
def test_equals_numpy(name, logistic_model, banks):
    aggregator, build_rule = CASES[name]
    process = build_fed_avg(
        logistic_model,
        client_optimizer=tff.learning.optimizers.build_sgdm(RATE),
        batches=LocalEpochs(epochs=EPOCHS, batch_size=BATCH_SIZE, shuffle=False),
        aggregator=aggregator,
    )
    data = [
        client_dataset(dense_examples(x, y, institution=bank))
        for bank, (x, y) in banks.items()
    ]
    rows = np.array([len(y) for _, y in banks.values()], np.float64)
    rule, state = build_rule(), process.initialize()
    w = numpy_logistic.vector(process.get_model_weights(state))
    for _ in range(ROUNDS):
        updates = updates_of(w, banks)
        update, measured = rule(updates, rows)
        # Or these numbers couldn't tell the rule from the mean.
        assert np.abs(update - by_rows(updates, rows)).max() > 3e-3
        w = w - update

        state, metrics = process.next(state, data)
        found = numpy_logistic.vector(process.get_model_weights(state))
        np.testing.assert_allclose(found, w, atol=5e-5, rtol=0)
        for key, value in measured.items():
            assert metrics["aggregator"][key] == pytest.approx(value, rel=1e-4)
