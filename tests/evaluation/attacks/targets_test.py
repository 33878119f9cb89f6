"""What memorises is found out by membership inference, and privacy is not."""

import numpy as np
import pytest

from tff_finance.evaluation.attacks.lira import Pool, confidence, lira_scores
from tff_finance.evaluation.attacks.lira import shadow_confidences as shadows_of
from tff_finance.evaluation.attacks.membership import membership_metrics
from tff_finance.evaluation.attacks.targets import (
    RecordPrivacy,
    TargetTraining,
    build_target_training,
)
from tff_finance.privacy import accounting
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.runtime import in_process
from tff_finance.tasks.mlp import build_mlp

MEMBERS, ROUNDS, BATCH = 60, 200, 20


@pytest.fixture(scope="module", autouse=True)
def context():
    with in_process.execution_context():
        yield


def build(seed):
    return build_mlp(6, hidden_units=(128,), seed=seed)


def pools():
    """Two institutions, labels half of chance: what can't be learnt is memorised."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2):
        x = rng.normal(size=(2 * MEMBERS, 6)).astype(np.float32)
        y = (x[:, 0] + rng.normal(size=2 * MEMBERS) > 0).astype(np.float32)
        found.append(Pool(x, y, np.arange(2 * MEMBERS) < MEMBERS))
    return found


def auc_of(training, *, shadows=0):
    train = build_target_training(build, training)
    rows = pools()
    models = train([pool.rows(pool.is_member) for pool in rows], 0)
    said = [
        confidence(logits(pool.x), pool.y)
        for pool, logits in zip(rows, models, strict=True)
    ]
    if shadows:
        generator = np.random.default_rng(1)
        found = shadows_of(train, rows, shadows=shadows, generator=generator)
        said = [lira_scores(s, of) for s, of in zip(said, found, strict=True)]
    members = np.concatenate([s[:MEMBERS] for s in said])
    others = np.concatenate([s[MEMBERS:] for s in said])
    return membership_metrics(
        members, others, generator=np.random.default_rng(2), resamples=200
    )["auc"]


def overfitting(**options):
    return TargetTraining(rounds=ROUNDS, batch_size=BATCH, learning_rate=0.5, **options)


def privacy(epsilon):
    noise = accounting.noise_multiplier(
        lambda noise: PoissonSampledGaussian.of_training(
            noise_multiplier=noise,
            population=MEMBERS,
            batch_size=BATCH,
            rounds=ROUNDS,
        ),
        neighbouring="add_or_remove_one",
        epsilon=epsilon,
        delta=1e-5,
        accountant="rdp",
    )
    return RecordPrivacy(l2_clip_norm=1.0, noise_multiplier=noise)


@pytest.mark.parametrize("alone", [False, True])
def test_overfitted_models_tell_who_was_trained_on(alone):
    auc = auc_of(overfitting(alone=alone))
    assert auc.value > 0.7
    assert auc.low > 0.6


def test_private_models_do_not():
    """Their noise is fresh: one model's AUC has a standard deviation of 0.045.

    Of 16 the mean was 0.52, so that the mean of two is 0.65 once in 20,000 times.
    """
    training = overfitting(privacy=privacy(2.0))
    assert np.mean([auc_of(training).value for _ in range(2)]) < 0.65


def test_shadow_models_find_at_least_as_much():
    assert auc_of(overfitting(), shadows=4).value > 0.7


def test_one_model_for_all_or_one_for_each():
    rows = pools()
    tables = [pool.rows(pool.is_member) for pool in rows]
    x = rows[0].x
    short = {"rounds": 2, "batch_size": BATCH, "learning_rate": 0.5}
    train = build_target_training(build, TargetTraining(**short))
    shared = [logits(x) for logits in train(tables, 3)]
    np.testing.assert_array_equal(*shared)
    again = [logits(x) for logits in train(tables, 3)]
    np.testing.assert_array_equal(shared[0], again[0])
    alone = build_target_training(build, TargetTraining(**short, alone=True))
    own = [logits(x) for logits in alone(tables, 3)]
    assert not np.array_equal(*own)
