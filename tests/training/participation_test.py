"""Who takes part: drawn independently, dropping out, and enough of them or nobody."""

import collections
import math

import numpy as np
import pytest
import scipy.stats
import tensorflow_federated as tff

from tests.runtime.in_process_test import Refusing, installed
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import ValidationResult
from tff_finance.records.participation import ParticipationConfig
from tff_finance.runtime.in_process import InProcessContext
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.checkpoints import Checkpoints
from tff_finance.training.cohorts import PoissonCohorts, UniformCohorts, cohort_data
from tff_finance.training.loop import TrainingDivergedError, train
from tff_finance.training.participation import (
    Attendance,
    Participation,
    build_participation,
    everyone,
)
from tff_finance.training.progress import StoppingRule

ROUNDS = 2000
POISSON = PoissonCohorts(population=8, sampling_probability=0.3, seed=5)


def test_poisson_cohorts_follow_from_seed_and_round():
    again = PoissonCohorts(population=8, sampling_probability=0.3, seed=5)
    other = PoissonCohorts(population=8, sampling_probability=0.3, seed=6)
    drawn = [POISSON.members(r) for r in range(50)]
    assert drawn == [again.members(r) for r in range(50)]
    assert drawn != [other.members(r) for r in range(50)]
    assert all(m == sorted(set(m)) and set(m) <= set(range(8)) for m in drawn)


def test_poisson_cohorts_are_independent_draws():
    """Sizes are binomial, and pairs join together as often as chance has it."""
    joins = np.zeros([ROUNDS, 8])
    for number in range(ROUNDS):
        joins[number, POISSON.members(number)] = 1
    sizes = np.bincount(joins.sum(axis=1).astype(int), minlength=9)
    expected = ROUNDS * scipy.stats.binom.pmf(range(9), 8, 0.3)
    # The rare sizes together.
    assert (
        scipy.stats.chisquare(
            [*sizes[:5], sizes[5:].sum()], [*expected[:5], expected[5:].sum()]
        ).pvalue
        > 1e-3
    )
    together = (joins.T @ joins / ROUNDS)[np.triu_indices(8, 1)]
    assert np.abs(together - 0.09).max() < 5 * math.sqrt(0.09 * 0.91 / ROUNDS)
    everybody = PoissonCohorts(population=3, sampling_probability=1.0, seed=0)
    assert everybody.members(4) == [0, 1, 2]


def test_poisson_sampling_is_described_in_the_accountants_words():
    assert POISSON.to_mapping() == {
        "sampling": "Poisson",
        "population": 8,
        "sampling_probability": 0.3,
    }


@pytest.mark.parametrize("probability", [0.0, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(probability):
    with pytest.raises(ValueError, match="`sampling_probability` must be"):
        PoissonCohorts(population=3, sampling_probability=probability, seed=0)


def participation(**options):
    cohorts = UniformCohorts(population=10, size=6, seed=1)
    return Participation(**{"cohorts": cohorts, "seed": 1} | options)


def test_dropouts_leave_the_draw_and_do_not_report():
    with_dropouts, reported = participation(dropout_rate=0.25), collections.Counter()
    for number in range(ROUNDS):
        attendance = with_dropouts.attendance(number)
        assert list(attendance.asked) == with_dropouts.cohorts.members(number)
        assert set(attendance.reported) <= set(attendance.asked)
        assert attendance.counted == attendance.reported
        assert with_dropouts.members(number) == list(attendance.counted)
        reported.update(attendance.reported)
    share = sum(reported.values()) / (6 * ROUNDS)
    assert share == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / 6 / ROUNDS))
    assert scipy.stats.chisquare([reported[i] for i in range(10)]).pvalue > 1e-3
    again = participation(dropout_rate=0.25)
    assert again.attendance(7) == with_dropouts.attendance(7)
    other = participation(dropout_rate=0.25, seed=2)
    assert any(other.attendance(r) != again.attendance(r) for r in range(9))


def test_nobody_drops_out_unless_asked_to():
    for number in range(9):
        attendance = participation().attendance(number)
        assert attendance.asked == attendance.reported == attendance.counted


def test_below_the_minimum_a_round_is_skipped_or_given_up():
    """Skipped before the model is sent; given up after updates came back."""
    few = Participation(cohorts=POISSON, min_cohort=3, dropout_rate=0.5, seed=5)
    skipped = given_up = counted = 0
    for number in range(200):
        drawn, attendance = POISSON.members(number), few.attendance(number)
        if len(drawn) < 3:
            assert attendance == Attendance(asked=(), reported=(), counted=())
            skipped += 1
        elif len(attendance.reported) < 3:
            assert list(attendance.asked) == drawn
            assert attendance.counted == ()
            given_up += 1
        else:
            assert attendance.counted == attendance.reported
            counted += 1
    assert min(skipped, given_up, counted) > 10
    tally = few.tally(200)
    assert tally.skipped_rounds == skipped + given_up
    assert tally.exchanges == 200 - skipped
    of_rounds = [few.attendance(number) for number in range(200)]
    assert tally.downloads == sum(len(one.asked) for one in of_rounds)
    assert tally.uploads == sum(len(one.reported) for one in of_rounds)
    assert tally.downloads > tally.uploads


def test_everyone_is_a_cohort_without_dropouts():
    config = ParticipationConfig(min_cohort=2)
    built = build_participation(config, population=4, seed=3)
    assert built.members(5) == [0, 1, 2, 3]
    assert built.tally(7) == everyone(4, 7)
    assert ParticipationConfig().everyone
    assert not config.everyone


def test_accounting_takes_cohorts_with_dropouts_but_no_minimum():
    options = {"cohorts": POISSON, "dropout_rate": 0.2, "seed": 0}
    asked = {"noise_multiplier": 1.1, "rounds": 7}
    found = Participation(**options).mechanism(**asked)
    assert found == POISSON.mechanism(**asked)
    with pytest.raises(ValueError, match="`min_cohort` must be 1 for accounting"):
        Participation(min_cohort=2, **options).mechanism(**asked)


def test_participation_is_built_as_asked_for_and_described():
    config = ParticipationConfig(participation_rate=0.5, dropout_rate=0.1, min_cohort=2)
    built = build_participation(config, population=4, seed=3)
    assert built.to_mapping() == {
        "sampling": "Poisson",
        "population": 4,
        "sampling_probability": 0.5,
        "dropout_rate": 0.1,
        "min_cohort": 2,
        "below_minimum": "the model stays, the round counts",
    }
    of_two = build_participation(
        ParticipationConfig(cohort_size=2), population=4, seed=3
    )
    assert len(of_two.members(0)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cohort_size": 2, "participation_rate": 0.5}, "can't both be given"),
        ({"cohort_size": 0}, "`cohort_size` must be at least 1"),
        ({"cohort_size": 2, "min_cohort": 3}, "`min_cohort` must be at most"),
        ({"participation_rate": 0.0}, "`participation_rate` must be"),
        ({"participation_rate": 1.5}, "`participation_rate` must be"),
        ({"dropout_rate": 1.0}, "`dropout_rate` must be"),
        ({"min_cohort": 0}, "`min_cohort` must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ParticipationConfig(**settings)


@pytest.mark.parametrize("settings", [{"cohort_size": 5}, {"min_cohort": 5}])
def test_more_than_there_are_is_refused(settings):
    with pytest.raises(ValueError, match="must be between 1 and 4"):
        build_participation(ParticipationConfig(**settings), population=4, seed=0)


BANKS = 4


@pytest.fixture(scope="module")
def model():
    return keras_models.functional_model(
        lambda: build_risk_model(3, hidden_units=(), seed=1)
    )


@pytest.fixture(scope="module")
def data():
    return [bank(number, rows=11 + 3 * number) for number in range(BANKS)]


def bank(number, *, rows, broken=False):
    x = np.random.default_rng(number).normal(size=(rows, 3))
    examples = dense_examples(x, x[:, 0] > 0, institution=f"bank_{number}")
    if broken:
        examples["x"][0, 0] = np.nan
    return client_dataset(examples)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return InstitutionStateFiles(str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="module")
def process(model, files):
    """SCAFFOLD by rows: the state and the weights must be of those who took part."""
    return build_scaffold(
        model,
        client_learning_rate=0.2,
        batches=LocalEpochs(epochs=1, batch_size=8),
        num_institutions=BANKS,
        state_files=files,
        weighting=tff.learning.ClientWeighting.NUM_EXAMPLES,
    )


@pytest.fixture(scope="module")
def here():
    """In this process; keeps what it has traced."""
    return InProcessContext(Refusing())


def run(process, model, files, client_data, rounds, checkpoints=None):
    return train(
        process,
        client_data,
        initial_weights=tff.learning.models.ModelWeights(*model.initial_weights),
        seed=4,
        validate=lambda _: ValidationResult(loss=1.0, accuracy=0.5, rows=9),
        stopping=StoppingRule(max_rounds=rounds, patience=99),
        label="test",
        institution_state=files,
        checkpoints=checkpoints,
    )


def by_hand(process, model, files, rounds):
    """Rounds over the given lists of datasets; all states."""
    files.drop_after(0)
    state = process.set_model_weights(
        process.initialize(), tff.learning.models.ModelWeights(*model.initial_weights)
    )
    hparams = process.get_hparams(state)
    hparams["client_work"]["seed"] = 4
    states = [process.set_hparams(state, hparams)]
    for of_round in rounds:
        states.append(process.next(states[-1], of_round).state)
    return states


def flat(weights):
    return np.concatenate([np.ravel(leaf) for leaf in weights.trainable])


SOME = Participation(
    cohorts=PoissonCohorts(population=BANKS, sampling_probability=0.5, seed=2),
    dropout_rate=0.3,
    min_cohort=1,
    seed=2,
)


def test_rounds_are_of_those_who_reported(process, model, files, data, here):
    """And nothing but the round moves in one that nobody takes part in."""
    rounds = 8
    members = [SOME.members(r) for r in range(rounds)]
    assert [] in members
    with installed(here):
        trained = run(process, model, files, cohort_data(data, SOME), rounds)
        found = files.fingerprint(rounds)
        states = by_hand(process, model, files, [[data[i] for i in m] for m in members])
    assert files.fingerprint(rounds) == found
    # All rounds are as good, so that the weights of the first one are kept.
    weights = [flat(process.get_model_weights(state)) for state in states]
    np.testing.assert_array_equal(flat(trained.weights), weights[1])
    for number, of_round in enumerate(members):
        moved = np.abs(weights[number + 1] - weights[number]).max()
        assert (moved > 0) == bool(of_round)
        assert (trained.curve[number].training_loss is None) == (not of_round)
        variates = [states[number + n].client_work["shared"] for n in (0, 1)]
        moved = any(np.any(a != b) for a, b in zip(*variates, strict=True))
        assert moved == bool(of_round)
    assert states[-1].client_work["round"] == rounds


def test_a_run_that_was_killed_goes_on_with_the_same_cohorts(
    process, model, files, data, here, tmp_path
):
    of_round = cohort_data(data, SOME)
    with installed(here):
        whole = run(process, model, files, of_round, 7)
        expected = files.fingerprint(7)
        for rounds in (4, 7):
            checkpoints = Checkpoints.in_folder(tmp_path, every_seconds=0)
            again = run(process, model, files, of_round, rounds, checkpoints)
    assert again.curve == whole.curve
    assert files.fingerprint(7) == expected


def test_tffs_runtime_takes_rounds_without_anybody(
    process, model, files, data, tff_context
):
    del tff_context
    states = by_hand(process, model, files, [data[:2], []])
    before, after = (flat(process.get_model_weights(state)) for state in states[1:])
    np.testing.assert_array_equal(before, after)
    assert states[-1].client_work["round"] == 2


def test_a_cohort_of_the_broken_one_is_a_lost_round_but_all_broken_is_divergence(
    process, model, files, data, here
):
    broken = bank(0, rows=9, broken=True)
    with installed(here):
        trained = run(
            process, model, files, lambda r: [broken] if r == 1 else data[1:3], 3
        )
        losses = [point.training_loss for point in trained.curve]
        assert [loss is None for loss in losses] == [False, True, False]
        assert [point.non_finite_updates for point in trained.curve] == [0, 1, 0]
        with pytest.raises(TrainingDivergedError, match="loss is not finite"):
            run(process, model, files, [broken], 3)


def test_a_cohort_of_a_broken_and_an_empty_one_is_a_lost_round(
    process, model, files, data, here
):
    nobody = [bank(0, rows=9, broken=True), bank(3, rows=0)]
    with installed(here):
        trained = run(
            process, model, files, lambda r: nobody if r == 1 else data[1:3], 3
        )
    losses = [point.training_loss for point in trained.curve]
    assert [loss is None for loss in losses] == [False, True, False]
