"""The noise that methods by name really add to the model is the one they account for.

The models of two runs that differ in noise alone are compared: all clients take part,
and learn next to nothing.
"""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from tests.evaluation.methods_test import TRAINING
from tff_finance.evaluation.branch_plans import PLANS
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.institution_privacy_config import InstitutionPrivacyConfig
from tff_finance.runtime import in_process

FEATURES = 300
CLIENTS = 24
CLIP = 0.3
CONFIG = InstitutionPrivacyConfig(
    branches=CLIENTS // 2,
    accept_vacuous_privacy=True,
    cohort=CLIENTS,
    rounds=1,
    passes=1,
    batch_size=4,
    learning_rate=1e-9,
    l2_clip_norm=CLIP,
)
SURE = 1e-9


@pytest.fixture(scope="module", autouse=True)
def context():
    with in_process.execution_context():
        yield


def institution(name, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(CLIENTS, FEATURES))
    examples = dense_examples(x, x[:, 0] > 0, institution=name)
    return TrainingExamples(institution=name, train=examples, validation=examples)


def weights_of(fitted):
    """Of a linear model, from its logits."""
    rows = np.vstack([np.zeros(FEATURES), np.eye(FEATURES)]).astype(np.float32)
    bias, *logits = fitted.scorers["global"](rows).astype(np.float64)
    return np.array(logits) - bias


@pytest.mark.parametrize("name", PLANS)
def test_the_model_has_the_noise_that_is_accounted_for(name):
    training = dataclasses.replace(
        TRAINING, hidden_units=(), institution_privacy=CONFIG
    )
    (method,) = build_methods((name,), FEATURES, training, store=InMemory())
    banks = [institution("bank_a", 1), institution("bank_b", 2)]
    first, second = (method.fit(banks, seed=6) for _ in range(2))
    [promise] = first.promises
    # Sum over clients, divided by their number; it is in both models.
    noise = promise.training.noise_multiplier * CLIP / CLIENTS
    if promise.least_honest is not None:
        # Every client sends a share, of which only some are counted on.
        noise *= (CLIENTS / promise.least_honest) ** 0.5
    if name == "dp_fed_avg_adaptive":
        noise *= sum_over_both(training.institution_privacy, promise.training)
    difference = weights_of(first) - weights_of(second)

    def is_noise_of(stddev):
        square = np.sum((difference / stddev) ** 2) / 2
        tails = scipy.stats.chi2(FEATURES)
        return min(tails.cdf(square), tails.sf(square)) > SURE

    assert is_noise_of(noise)
    assert not is_noise_of(noise * 2 / 3)
    assert not is_noise_of(noise * 3 / 2)


def sum_over_both(config, mechanism):
    """Noise of the sum over that of sum and count together (Andrew et al., 2021)."""
    plan = PLANS["dp_fed_avg_adaptive"](
        config=config, population=CLIENTS, coordinates=FEATURES + 1
    )
    count = 0.05 * CLIENTS / 0.5
    assert plan.description(mechanism.noise_multiplier).count_stddev == 0.05 * CLIENTS
    return (1 - (mechanism.noise_multiplier / count) ** 2) ** -0.5
