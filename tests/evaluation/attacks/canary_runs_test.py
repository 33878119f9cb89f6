"""Canaries find out training without noise, and nothing against honest training."""

import numpy as np
import pytest

from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.evaluation.attacks.canaries import epsilon_bound
from tff_finance.evaluation.attacks.canary_runs import (
    SCORES,
    canary_label,
    canary_row,
    canary_scores,
)
from tff_finance.privacy import accounting
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.runtime import in_process
from tff_finance.tasks import keras_models
from tff_finance.tasks.mlp import build_mlp

CLAIM = 1.0
DELTA = 1e-5
ROWS, STEPS, RUNS = 32, 3, 200


@pytest.fixture(scope="module", autouse=True)
def context():
    with in_process.execution_context():
        yield


def build():
    return build_mlp(2, hidden_units=(4,), seed=0)


def scores_of(noise_multiplier, *, batch_size=ROWS, epochs=STEPS, runs=RUNS):
    model = keras_models.functional_model(build)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS - 1, 2)).astype(np.float32)
    return canary_scores(
        model,
        build_private_gradient(
            model,
            l2_clip_norm=1.0,
            noise_multiplier=noise_multiplier,
            keras_model=build(),
        ),
        (x, rng.integers(2, size=ROWS - 1)),
        (canary_row(x), 1.0),
        batches=PoissonBatches(epochs=epochs, batch_size=batch_size),
        learning_rate=0.1,
        runs=runs,
    )


def calibrated_noise(batch_size=ROWS):
    return accounting.noise_multiplier(
        lambda noise: PoissonSampledGaussian.of_training(
            noise_multiplier=noise, population=ROWS, batch_size=batch_size, rounds=STEPS
        ),
        neighbouring="add_or_remove_one",
        epsilon=CLAIM,
        delta=DELTA,
        accountant="rdp",
    )


def test_no_bound_exceeds_a_claim_that_is_kept():
    scores = scores_of(calibrated_noise())
    assert set(scores) == set(SCORES)
    for runs in scores.values():
        assert np.std(runs.inserted) > 0
        assert epsilon_bound(*runs, delta=DELTA).value <= CLAIM


def test_missing_noise_is_found_out():
    for runs in scores_of(0.0).values():
        bound = epsilon_bound(*runs, delta=DELTA)
        assert bound.value > CLAIM
        assert bound.value == bound.largest


def test_too_little_noise_is_found_out():
    # Noise is drawn afresh: of 200 runs every other audit would miss this.
    runs = scores_of(calibrated_noise() / 8, runs=4 * RUNS)["gradient"]
    assert epsilon_bound(*runs, delta=DELTA).value > CLAIM


def test_sampled_training_keeps_a_claim_that_rests_on_sampling():
    runs = scores_of(calibrated_noise(batch_size=2), batch_size=2)["gradient"]
    assert epsilon_bound(*runs, delta=DELTA).value <= CLAIM


def test_missing_sampling_is_found_out():
    # As many steps, each of all rows, with noise for one in sixteen.
    runs = scores_of(calibrated_noise(batch_size=2), epochs=STEPS * ROWS // 2)
    assert epsilon_bound(*runs["gradient"], delta=DELTA).value > CLAIM


def test_the_canarys_label_surprises_the_model():
    row = canary_row(np.random.default_rng(0).normal(size=(100, 30)))
    labels = set()
    for seed in range(6):
        keras_model = build_mlp(30, hidden_units=(32, 16), seed=seed)
        label = canary_label(keras_model, row)
        logit = float(np.ravel(keras_model(row[np.newaxis]))[0])
        assert np.logaddexp(0, logit) - label * logit >= np.log(2)
        labels.add(label)
    assert labels == {0.0, 1.0}


def test_a_wide_model_is_audited_as_well():
    build_wide = lambda: build_mlp(30, hidden_units=(32, 16), seed=1)  # noqa: E731
    model = keras_models.functional_model(build_wide)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS - 1, 30)).astype(np.float32)
    row = canary_row(x)
    runs = canary_scores(
        model,
        build_private_gradient(
            model,
            l2_clip_norm=1.0,
            noise_multiplier=calibrated_noise(batch_size=2),
            keras_model=build_wide(),
        ),
        (x, rng.integers(2, size=ROWS - 1)),
        (row, canary_label(build_wide(), row)),
        batches=PoissonBatches(epochs=STEPS * ROWS // 2, batch_size=ROWS),
        learning_rate=1e-3,
        runs=RUNS,
    )
    # All rows in all steps, with noise for one in sixteen: by both scores.
    for scores in runs.values():
        assert epsilon_bound(*scores, delta=DELTA).value > CLAIM


def test_the_canary_stands_out():
    x = np.random.default_rng(1).normal(3.0, 2.0, size=(100, 4))
    distance = np.abs(canary_row(x) - x.mean(axis=0))
    assert (distance > 10 * x.std(axis=0)).all()
