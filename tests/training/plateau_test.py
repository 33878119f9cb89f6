"""Rates reduced on a plateau: when, how far, and the same after a kill."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import tensorflow_federated as tff
from hypothesis import given
from hypothesis import strategies as st

from tests.training.scripted_training import (
    START,
    CountingProcess,
    KilledError,
    scripted,
)
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.metrics.validation import ValidationResult
from tff_finance.runtime import in_process
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.checkpoints import Checkpoints
from tff_finance.training.loop import train
from tff_finance.training.plateau import ReduceOnPlateau
from tff_finance.training.progress import StoppingRule

HALVED = ReduceOnPlateau(rate="client", factor=0.5, patience=2, minimum=0.05)


def run(losses, *rules, folder=None, kill_at=None, validate_every=1, data=("data",)):
    """The rate at which each round of a counting process ran, from 0.4."""
    process = CountingProcess(losses=itertools.repeat(0.5))
    initialize = process.initialize

    def begin():
        state = initialize()
        state["hparams"]["client_work"]["learning_rate"] = 0.4
        return state

    process.initialize = begin

    def validate(weights):
        if weights - START == kill_at:
            raise KilledError
        return scripted(losses)(weights)

    trained = train(
        process,
        data if callable(data) else list(data),
        initial_weights=START,
        seed=5,
        validate=validate,
        stopping=StoppingRule(
            max_rounds=len(losses), patience=1000, validate_every=validate_every
        ),
        label="test",
        plateaus=rules,
        checkpoints=folder and Checkpoints.in_folder(folder, every_seconds=0),
    )
    # What the curve says is what the process was given.
    given_rates = [
        state["hparams"]["client_work"]["learning_rate"] for state, _ in process.calls
    ]
    recorded = [point.client_learning_rate for point in trained.curve]
    assert recorded[len(recorded) - len(given_rates) :] == pytest.approx(given_rates)
    assert {point.server_learning_rate for point in trained.curve} == {None}
    return recorded, trained


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        ([9, 8, 7, 6, 5], [0.4] * 5),
        ([5, 6, 7, 8, 9, 9], [0.4] * 3 + [0.2] * 2 + [0.1]),
        ([5, 5, 5, 4, 4, 4], [0.4] * 3 + [0.2] * 3),  # as good is no better
        ([5, 6, 4, 6, 6, 6], [0.4] * 5 + [0.2]),
        ([1] * 12, [0.4] * 3 + [0.2] * 2 + [0.1] * 2 + [0.05] * 5),  # the minimum
    ],
)
def test_when_and_how_far(losses, rates):
    assert run(losses, HALVED)[0] == pytest.approx(rates)


def test_without_rules_rates_stay_and_are_recorded():
    assert run([1] * 9)[0] == [0.4] * 9


def test_only_validated_rounds_count():
    """Validated: 3, 6, 9 and 12; patience is up at 6, then at 9."""
    recorded, _ = run([1.0] * 12, HALVED, validate_every=3)
    assert recorded == pytest.approx([0.4] * 6 + [0.2] * 3 + [0.1] * 3)


def test_rounds_that_nobody_takes_part_in_do_not_count():
    """Patience is up after three rounds in which somebody did: the first, two more."""
    skipped = {1, 2, 3, 5}
    recorded, trained = run(
        [1.0] * 9, HALVED, data=lambda r: [] if r in skipped else ["data"]
    )
    assert recorded == pytest.approx([0.4] * 7 + [0.2] * 2)
    assert [p.round - 1 for p in trained.curve if not p.counted] == sorted(skipped)


@given(
    st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=20),
    st.integers(1, 4),
)
def test_rates_fall_by_the_factor_and_no_sooner_than_patience(losses, patience):
    rule = dataclasses.replace(HALVED, patience=patience)
    recorded, _ = run(losses, rule)
    falls = [0] + [i for i in range(1, len(losses)) if recorded[i] < recorded[i - 1]]
    for last, now in itertools.pairwise(falls):
        assert now - last >= patience
        assert recorded[now] == pytest.approx(max(recorded[now - 1] / 2, 0.05))
        # None of the rounds since then was better than all before them.
        assert min(losses[now - patience : now]) >= min(losses[: now - patience] or [0])


@pytest.mark.parametrize("kill_at", [2, 3, 4, 5, 6, 7])
def test_a_killed_run_has_the_rates_of_a_whole_one(tmp_path, kill_at):
    losses = [3.0, 3.0, 3.0, 3.0, 2.0, 3.0, 3.0, 3.0]
    expected, whole = run(losses, HALVED, folder=tmp_path / "whole")
    assert len(set(expected)) > 2
    with pytest.raises(KilledError):
        run(losses, HALVED, folder=tmp_path / "killed", kill_at=kill_at)
    recorded, resumed = run(losses, HALVED, folder=tmp_path / "killed")
    assert recorded == expected
    assert resumed.curve == whole.curve


def test_both_rates_of_a_learning_process(tff_context):
    """With the hyperparameters of a real one, and in the process as well."""
    del tff_context
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    data = [client_dataset(dense_examples(x, x[:, 0] > 0, institution="bank_a"))]

    def build():
        return build_risk_model(3, hidden_units=(), seed=1)

    process = build_fed_avg(
        keras_models.functional_model(build),
        client_optimizer=tff.learning.optimizers.build_sgdm(0.3),
        batches=LocalEpochs(epochs=1, batch_size=16),
    )

    def curve(*rules):
        return train(
            process,
            data,
            initial_weights=keras_models.initial_weights(build),
            seed=1,
            validate=lambda weights: ValidationResult(loss=1.0, accuracy=0, rows=1),
            stopping=StoppingRule(max_rounds=5, patience=9),
            label="test",
            plateaus=rules,
        ).curve

    rules = (
        ReduceOnPlateau(rate="client", factor=0.1, patience=1),
        ReduceOnPlateau(rate="server", factor=0.5, patience=2, minimum=0.5),
    )
    points = curve(*rules)
    with in_process.execution_context():
        assert [p.client_learning_rate for p in curve(*rules)] == [
            p.client_learning_rate for p in points
        ]
    assert [p.client_learning_rate for p in points] == pytest.approx(
        [0.3, 0.3, 0.03, 0.003, 0.0003]
    )
    assert [p.server_learning_rate for p in points] == [1.0, 1.0, 1.0, 0.5, 0.5]
    # They take effect: hardly anything moves any more.
    plain = curve()
    falls = [a.training_loss - b.training_loss for a, b in itertools.pairwise(plain)]
    slower = [a.training_loss - b.training_loss for a, b in itertools.pairwise(points)]
    assert slower[0] == falls[0]
    assert abs(slower[3]) < 0.2 * abs(falls[3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "global"}, "`rate` must be one of client, server"),
        ({"factor": 1.0}, "`factor` must be between 0 and 1"),
        ({"factor": math.nan}, "`factor` must be between 0 and 1"),
        ({"patience": 0}, "`patience` must be at least 1"),
        ({"minimum": -1.0}, "`minimum` must be at least 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ReduceOnPlateau(**{"rate": "client"} | options)


def test_rules_that_the_process_can_not_follow_are_refused():
    server = ReduceOnPlateau(rate="server")
    with pytest.raises(ValueError, match=r"'server', which .* it has client\."):
        run([1.0], server)
    with pytest.raises(ValueError, match="at most one for each rate"):
        run([1.0], HALVED, HALVED)
