"""The round loop: early stopping, divergence, and what reaches the process."""

import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.training.scripted_training import START, CountingProcess, run
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.metrics.validation import ValidationResult
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.loop import TrainingDivergedError, train
from tff_finance.training.progress import StoppingRule


@pytest.mark.parametrize(
    ("losses", "patience", "best_round", "rounds"),
    [
        ([3, 1, 2, 2, 2, 0], 3, 2, 5),  # ended before the last, better one
        ([3, 1, 2, 2, 0, 5, 5, 5, 0], 3, 5, 8),  # patience begins anew
        ([1, 1, 1, 1], 2, 1, 3),  # as good is no better
        ([5, 4, 3, 2], 1, 4, 4),  # always better: all rounds
        ([5, 6, 1], 1, 1, 2),
        ([3, 4, 5], 9, 1, 3),  # the best round need not be the last
        ([7], 1, 1, 1),
    ],
)
def test_early_stopping_keeps_the_best_weights(losses, patience, best_round, rounds):
    trained = run(losses, patience=patience)
    assert trained.best_round == best_round
    assert trained.weights == START + best_round
    assert trained.rounds == rounds
    assert [point.round for point in trained.curve] == list(range(1, rounds + 1))
    assert [point.validation_loss for point in trained.curve] == losses[:rounds]


@pytest.mark.parametrize(
    ("max_rounds", "patience", "validated"),
    [
        (7, 1000, [3, 6, 7]),  # the last round always
        (9, 1000, [3, 6, 9]),
        (2, 1000, [2]),
        (20, 4, [3, 6, 9]),  # patience counts rounds, not validations
        (20, 3, [3, 6]),
    ],
)
def test_validates_every_third_round(max_rounds, patience, validated):
    process = CountingProcess()
    losses = [9.0] * 2 + [1.0] + [2.0] * 17
    trained = run(
        losses,
        process=process,
        max_rounds=max_rounds,
        patience=patience,
        validate_every=3,
    )
    points = [p for p in trained.curve if p.validation_loss is not None]
    assert [point.round for point in points] == validated
    assert trained.rounds == len(process.calls) == validated[-1]
    # Every round leaves its training loss, validated or not.
    assert [p.round for p in trained.curve] == list(range(1, trained.rounds + 1))
    reached = trained.rounds - validated[0] >= patience
    assert trained.stopped_by == ("patience" if reached else "max_rounds")
    assert trained.best_round == validated[0]
    assert trained.weights == START + validated[0]


def test_curve_holds_training_loss_and_validation_of_the_same_round():
    process = CountingProcess(losses=iter([0.9, 0.8, 0.7]))
    point = run([3, 2, 1], process=process).curve[1]
    assert (point.round, point.training_loss) == (2, 0.8)
    assert (point.validation_loss, point.validation_accuracy) == (2, 0.102)


def test_metrics_of_a_single_site_are_not_nested():
    process = CountingProcess(losses=iter([0.25]), nested=False)
    assert run([1], process=process).curve[0].training_loss == 0.25


def test_a_process_that_gives_no_training_loss_away_is_trained():
    curve = run([3, 2], process=CountingProcess(losses=None)).curve
    assert [point.training_loss for point in curve] == [None, None]
    assert [point.validation_loss for point in curve] == [3, 2]


def test_its_divergence_is_found_by_validation():
    with pytest.raises(TrainingDivergedError, match=r"training None, validation nan"):
        run([3, math.nan, 2], process=CountingProcess(losses=None))


def test_without_patience_validation_is_shown_only():
    """All rounds are run and the last weights kept, whatever the losses are."""
    trained = run([1, 2, 3, 4, 5], patience=None)
    assert (trained.rounds, trained.best_round, trained.releases) == (5, 5, 5)
    assert trained.weights == START + 5
    assert trained.stopped_by == "fixed_rounds"
    assert [point.validation_loss for point in trained.curve] == [1, 2, 3, 4, 5]


def test_a_budget_ends_training_before_it_is_exceeded(capsys):
    process = CountingProcess()
    trained = run([1, 2, 3, 4, 5], process=process, patience=None, max_releases=3)
    assert len(process.calls) == trained.rounds == trained.releases == 3
    assert trained.weights == START + 3
    assert trained.stopped_by == "budget"
    assert "seed 5 fed_avg: privacy budget ended after 3 of 5 rounds\n" in (
        capsys.readouterr().err
    )
    # As many as are planned are no end before.
    planned = run([1, 2, 3], patience=None, max_releases=3)
    assert planned.stopped_by == "fixed_rounds"
    assert "budget" not in capsys.readouterr().err


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged_training_loss_is_an_error(bad):
    process = CountingProcess(losses=iter([0.5, bad, 0.5]))
    with pytest.raises(TrainingDivergedError) as raised:
        run([1, 1, 1], process=process)
    assert str(raised.value).startswith(
        "seed 5 fed_avg: loss is not finite after round"
    )
    assert f"round 2 (training {bad}, validation 1)" in str(raised.value)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged_validation_loss_is_an_error(bad):
    with pytest.raises(
        TrainingDivergedError, match=r"seed 5 fed_avg: .* after round 3"
    ):
        run([2, 1, bad])


def test_seed_weights_and_data_reach_the_process():
    process = CountingProcess()
    run([1, 1], process=process)
    (first, data), (second, same_data) = process.calls
    assert first["weights"] == START
    assert first["hparams"]["client_work"] == {"learning_rate": 0.3, "seed": 5}
    assert second["weights"] == START + 1
    assert data == same_data == ["data of bank a", "data of bank b"]


@pytest.mark.parametrize("name", ["max_rounds", "patience", "validate_every"])
def test_stopping_rule_refuses(name):
    options = {"max_rounds": 1, "patience": 1, "validate_every": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        StoppingRule(**options)


def test_one_process_serves_every_seed(tff_context):
    """Seeds and weights are state, so nothing is traced again for another seed."""
    del tff_context
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=60) > 0).astype(np.float32)
    data = [client_dataset(dense_examples(x, y, institution="bank_a"))]

    def build(seed):
        return build_risk_model(3, hidden_units=(4,), seed=seed)

    process = build_fed_avg(
        keras_models.functional_model(lambda: build(0)),
        client_optimizer=tff.learning.optimizers.build_sgdm(0.3),
        batches=LocalEpochs(epochs=1, batch_size=16),
    )

    def weights(*, initial, seed):
        trained = train(
            process,
            data,
            initial_weights=keras_models.initial_weights(lambda: build(initial)),
            seed=seed,
            validate=lambda weights: ValidationResult(loss=1.0, accuracy=0, rows=1),
            stopping=StoppingRule(max_rounds=1, patience=1),
            label="test",
        )
        return np.concatenate([np.ravel(w) for w in trained.weights.trainable])

    first = weights(initial=1, seed=1)
    np.testing.assert_array_equal(weights(initial=1, seed=1), first)
    other_order = weights(initial=1, seed=2)
    assert 1e-6 < np.abs(other_order - first).max() < 0.1
    assert np.abs(weights(initial=2, seed=1) - first).max() > 0.1
