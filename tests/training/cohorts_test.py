"""Sampled cohorts: uniform, reproducible, and flat in memory."""

import collections
import functools
import gc

import numpy as np
import psutil
import pytest
import scipy.stats
import tensorflow_federated as tff

from tests.runtime.in_process_test import Refusing, installed
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.institutions.shards import ShardFiles
from tff_finance.metrics.validation import (
    build_federated_validation,
    validation_result,
)
from tff_finance.privacy.mechanisms import (
    FixedSizeCohorts,
    FullParticipation,
    PoissonSampledGaussian,
)
from tff_finance.runtime.in_process import InProcessContext
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.cohorts import (
    PoissonCohorts,
    ShuffledCohorts,
    UniformCohorts,
    cohort_data,
)
from tff_finance.training.loop import train
from tff_finance.training.progress import StoppingRule

FEATURES = 4


def test_cohorts_are_distinct_institutions_and_follow_from_seed_and_round():
    cohorts = UniformCohorts(population=50, size=8, seed=3)
    members = cohorts.members(4)
    assert (
        members
        == sorted(set(members))
        == UniformCohorts(population=50, size=8, seed=3).members(4)
    )
    assert len(members) == 8
    assert 0 <= min(members) <= max(members) < 50
    assert members != cohorts.members(5)
    assert members != UniformCohorts(population=50, size=8, seed=4).members(4)


def test_every_institution_is_as_likely_as_the_others():
    cohorts = UniformCohorts(population=20, size=5, seed=0)
    drawn = collections.Counter(i for r in range(2000) for i in cohorts.members(r))
    assert scipy.stats.chisquare([drawn[i] for i in range(20)]).pvalue > 1e-3


def test_all_is_a_cohort_too():
    assert UniformCohorts(population=3, size=3, seed=0).members(9) == [0, 1, 2]


def test_everybody_has_one_turn_in_a_pass():
    cohorts = ShuffledCohorts(population=11, size=3, seed=5)
    assert cohorts.rounds_per_pass == 3
    passes = [
        [i for turn in range(3) for i in cohorts.members(3 * number + turn)]
        for number in range(2)
    ]
    for members in passes:
        assert len(set(members)) == 9  # two sit out
    assert passes[0] != passes[1]
    assert cohorts.members(4) == cohorts.members(4)


def test_cohorts_say_what_rounds_release():
    options = {"noise_multiplier": 1.5, "rounds": 7}
    uniform = UniformCohorts(population=50, size=5, seed=0).mechanism(**options)
    assert uniform == FixedSizeCohorts(
        noise_multiplier=1.5, population=50, cohort=5, rounds=7
    )
    coins = PoissonCohorts(population=50, sampling_probability=0.1, seed=0)
    coins = coins.mechanism(**options)
    assert coins == PoissonSampledGaussian(
        noise_multiplier=1.5, sampling_probability=0.1, steps=7
    )
    # 7 rounds begin a second pass of 6: somebody is in two of them.
    passes = ShuffledCohorts(population=50, size=8, seed=0).mechanism(**options)
    assert passes == FullParticipation(noise_multiplier=1.5, releases=2)


@pytest.mark.parametrize("size", [0, 4])
def test_sizes_that_cannot_be_drawn_are_refused(size):
    with pytest.raises(ValueError, match="`size` must be"):
        UniformCohorts(population=3, size=size, seed=0)


def test_the_sampling_is_described_without_the_seed():
    """Sampling makes a release more private towards those who don't know it."""
    described = UniformCohorts(population=30, size=4, seed=1).to_mapping()
    assert described == {
        "sampling": "without replacement, fixed size",
        "population": 30,
        "size": 4,
    }


def test_another_population_and_groups_without_a_store_are_refused(tmp_path):
    cohorts = UniformCohorts(population=2, size=1, seed=0)
    with pytest.raises(ValueError, match="population of 2, got 1"):
        cohort_data(["a"], cohorts)
    with pytest.raises(ValueError, match="`group_size` above 1"):
        cohort_data(["a", "b"], cohorts, group_size=2)
    with pytest.raises(ValueError, match="`group_size` above 1"):
        cohort_data(["a", "b"], cohorts, store=ShardFiles(tmp_path, grouped=True))


@pytest.fixture(scope="module")
def here():
    """In this process; keeps what it has traced."""
    return InProcessContext(Refusing())


IN_MEMORY = InMemory()


def examples(number, rows=20):
    rng = np.random.default_rng(number)
    x = rng.normal(size=(rows, FEATURES))
    return dense_examples(x, x[:, 0] > 0, institution=f"branch_{number}")


@functools.cache
def fed_avg(store):
    model = keras_models.functional_model(lambda: build_risk_model(FEATURES, seed=1))
    process = build_fed_avg(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(0.1),
        batches=LocalEpochs(epochs=1, batch_size=8),
        store=store,
    )
    validation = build_federated_validation(
        model,
        weights_type=weights_lib.weights_type(model),
        element_type=InMemory().element_type(FEATURES),
    )
    return model, process, validation


def run(store, client_data, all_data, rounds):
    model, process, validation = fed_avg(store)
    return train(
        process,
        client_data,
        initial_weights=tff.learning.models.ModelWeights(*model.initial_weights),
        seed=4,
        validate=lambda w: validation_result(validation(w, all_data)),
        stopping=StoppingRule(
            max_rounds=rounds, patience=rounds, validate_every=rounds
        ),
        label="test",
    )


def test_rounds_are_counted_from_0(here):
    """A resumed run would else draw the cohorts of other rounds."""
    asked, data = [], [IN_MEMORY.client_dataset(examples(0))]
    with installed(here):
        run(IN_MEMORY, lambda number: asked.append(number) or data, data, 3)
    assert asked == [0, 1, 2]


def test_groups_of_a_cohort_train_as_its_institutions(here, tmp_path):
    tables = [examples(i) for i in range(10)]
    cohorts = UniformCohorts(population=10, size=5, seed=2)
    in_memory = [IN_MEMORY.client_dataset(t) for t in tables]
    store = ShardFiles(tmp_path, grouped=True)
    by_file = [store.client_dataset(t) for t in tables]
    with installed(here):
        alone = run(IN_MEMORY, cohort_data(in_memory, cohorts), in_memory, 4)
        groups = run(
            store,
            cohort_data(by_file, cohorts, store=store, group_size=2),
            in_memory,
            4,
        )
    for left, right in zip(
        alone.weights.trainable, groups.weights.trainable, strict=True
    ):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_ten_thousand_institutions_are_flat_in_memory(here):
    """Training on cohorts, validation over all of them."""
    everybody = [IN_MEMORY.client_dataset(examples(i)) for i in range(10_000)]
    cohorts = UniformCohorts(population=10_000, size=50, seed=0)
    of_round = cohort_data(everybody, cohorts)
    resident = []

    def watched(round_number):
        if round_number in {30, 150}:
            gc.collect()
            resident.append(psutil.Process().memory_info().rss)
        return of_round(round_number)

    with installed(here):
        trained = run(IN_MEMORY, watched, everybody, 151)
        assert trained.curve[-1].validation_accuracy > 0.9
    before, after = resident
    assert after - before < 40 * 2**20
