"""Institution state in use: SCAFFOLD's control variates, and what goes wrong."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms.learning import train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.institutions.state import InstitutionStateFiles

RATE = 0.3
EPOCHS = 2
BATCH_SIZE = 16
ROUNDS = 4


@pytest.fixture(scope="module")
def unlike_tables():
    """Institutions that disagree; as many steps each, though not as many rows."""
    rng = np.random.default_rng(5)
    tables = {}
    for name, rows in (("Bank [A]", 33), ("Bänk B*", 40), ("bank_c", 48)):
        x = rng.normal(size=(rows, 5)).astype(np.float32)
        weights = rng.normal(size=5)
        tables[name] = (x, (x @ weights > rng.normal()).astype(np.float32))
    return tables


@pytest.fixture(scope="module")
def unlike_data(unlike_tables):
    return [
        client_dataset(dense_examples(x, y, institution=name))
        for name, (x, y) in unlike_tables.items()
    ]


BATCHES = LocalEpochs(epochs=EPOCHS, batch_size=BATCH_SIZE, shuffle=False)


@pytest.fixture(scope="module")
def scaffold_and_folder(logistic_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaffold")
    files = InstitutionStateFiles(str(folder))
    process = build_scaffold(
        logistic_model,
        client_learning_rate=RATE,
        batches=BATCHES,
        num_institutions=3,
        state_files=files,
    )
    return process, folder


@pytest.fixture
def folder(scaffold_and_folder):
    """Where the institutions' state lies, without any."""
    _, folder = scaffold_and_folder
    shutil.rmtree(folder)
    return folder


@pytest.fixture
def scaffold(scaffold_and_folder, folder):
    del folder
    return scaffold_and_folder[0]


@pytest.fixture(scope="module")
def undisturbed(scaffold_and_folder, unlike_data):
    """Server states and files of a run in which nothing went wrong."""
    process, folder = scaffold_and_folder
    shutil.rmtree(folder)
    states = [process.initialize()]
    for _ in range(ROUNDS):
        states.append(process.next(states[-1], unlike_data).state)
    return states, contents(folder)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("round_*")
    }


def assert_same_state(actual, expected):
    """Of the server, its variate included, to the last bit."""
    for left, right in zip(
        tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_a_repeated_round_gives_the_same(scaffold, undisturbed, unlike_data, folder):
    states, files = undisturbed
    state = scaffold.initialize()
    for _ in range(ROUNDS):
        scaffold.next(state, unlike_data)
        state, _ = scaffold.next(state, unlike_data)
    assert_same_state(state, states[-1])
    assert contents(folder) == files


def test_a_resumed_run_ignores_the_files_of_later_rounds(
    scaffold, undisturbed, unlike_data, folder
):
    states, files = undisturbed
    train(scaffold, unlike_data, ROUNDS)
    resumed, _ = train(scaffold, unlike_data, ROUNDS - 1, state=states[1])
    assert_same_state(resumed, states[-1])
    assert contents(folder) == files


def test_a_torn_file_is_written_again_by_repeating_the_round(
    scaffold, undisturbed, unlike_data, folder
):
    states, files = undisturbed
    train(scaffold, unlike_data, 2)
    torn = folder / "bank_c" / "round_00000002"
    torn.write_bytes(torn.read_bytes()[:20])
    with pytest.raises(Exception, match="parse"):  # not taken for a state
        scaffold.next(states[2], unlike_data)
    resumed, _ = train(scaffold, unlike_data, ROUNDS - 1, state=states[1])
    assert_same_state(resumed, states[-1])
    assert contents(folder) == files


class Counting(LocalRule):
    """Counts the rounds in which the institution trained."""

    def state_spec(self, trainable_spec):
        del trainable_spec
        return [tf.TensorSpec([2], tf.float32)]

    def next_state(self, *, num_steps, state, **_):
        return (state[0] + [1.0, tf.cast(num_steps, tf.float32)],)


def build_counting(model, files):
    return build_fed_avg(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(RATE),
        batches=BATCHES,
        weighting=tff.learning.ClientWeighting.UNIFORM,
        local_rule=Counting(),
        state_files=files,
    )


def test_missed_empty_and_broken_rounds_leave_the_state(
    logistic_model, tables, client_data, empty_client, broken_client, tmp_path
):
    files = InstitutionStateFiles(str(tmp_path))
    process = build_counting(logistic_model, files)

    def read(name, round_number=99):
        spec = Counting().state_spec(())
        return list(files.read(tf.constant(name), tf.constant(round_number), spec)[0])

    bank_a, bank_b, _ = client_data
    x, y = tables["bank_a"]
    broken = dense_examples(x.copy(), y, institution="bank_a")
    broken["x"][x > 1] = np.nan
    bank_a_broken = client_dataset(broken)
    state = process.initialize()
    for data in (
        [bank_a, bank_b, empty_client, broken_client],
        [bank_a],  # bank_b misses a round
        [bank_a_broken, bank_b],
        [bank_a, bank_b],
    ):
        state, _ = process.next(state, data)
    assert read("bank_a") == [3, 3 * 3 * EPOCHS]
    assert read("bank_b") == [3, 3 * 4 * EPOCHS]
    assert read("bank_b", 2) == [1, 4 * EPOCHS]
    assert read("empty") == [0, 0]
    assert read("broken") == [0, 0]


def test_a_rule_with_state_needs_files(logistic_model):
    with pytest.raises(ValueError, match="`state_files` must be given: Counting"):
        build_counting(logistic_model, None)
