"""Institution state in use: SCAFFOLD's control variates, and what goes wrong.

Source: Karimireddy et al. (2020), Algorithm 1, option II,
https://arxiv.org/abs/1910.06378.
"""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, train
from tests.algorithms.scaffold import Scaffold
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.institutions.state import InstitutionStateFiles

RATE = 0.3
EPOCHS = 2
BATCH_SIZE = 16
STEPS = 3 * EPOCHS
ROUNDS = 4
UNIFORM = tff.learning.ClientWeighting.UNIFORM


def scaffold_in_numpy(w, tables, rounds):
    """The algorithm as published, with the server's variate at the server."""
    c = np.zeros_like(w)
    own = [np.zeros_like(w) for _ in tables]
    for _ in range(rounds):
        ends, new = [], []
        for (x, y), c_i in zip(tables.values(), own, strict=True):
            end, losses = numpy_logistic.local_steps(
                w,
                x,
                y,
                rate=RATE,
                steps=numpy_logistic.batches(len(y), BATCH_SIZE, EPOCHS),
                correct=lambda g, _, c_i=c_i, c=c: g - c_i + c,
            )
            assert len(losses) == STEPS
            ends.append(end)
            new.append(c_i - c + (w - end) / (STEPS * RATE))
        c = c + np.mean([n - o for n, o in zip(new, own, strict=True)], axis=0)
        own, w = new, np.mean(ends, axis=0)
    return w, own


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


def build(model, rule, files):
    return build_fed_avg(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(RATE),
        batches=LocalEpochs(epochs=EPOCHS, batch_size=BATCH_SIZE, shuffle=False),
        weighting=UNIFORM,
        local_rule=rule,
        state_files=files,
    )


@pytest.fixture(scope="module")
def scaffold_and_folder(logistic_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaffold")
    files = InstitutionStateFiles(str(folder))
    return build(logistic_model, Scaffold(), files), folder


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


def test_scaffold_equals_numpy(
    scaffold, folder, logistic_model, unlike_tables, unlike_data
):
    state, _ = train(scaffold, unlike_data, ROUNDS)
    start = numpy_logistic.vector(scaffold.get_model_weights(scaffold.initialize()))
    expected, variates = scaffold_in_numpy(start, unlike_tables, ROUNDS)
    weights = numpy_logistic.vector(scaffold.get_model_weights(state))
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    # The corrections matter, and they come from the files.
    fed_avg = build(logistic_model, None, None)
    plain, _ = train(fed_avg, unlike_data, ROUNDS)
    plain_weights = numpy_logistic.vector(fed_avg.get_model_weights(plain))
    assert np.abs(plain_weights - expected).max() > 0.01
    spec = [tf.TensorSpec([5, 1]), tf.TensorSpec([1])]
    for name, variate in zip(unlike_tables, variates, strict=True):
        files = InstitutionStateFiles(str(folder))
        own = files.read(
            tf.constant(name), tf.constant(ROUNDS), Scaffold().state_spec(spec)
        )[:2]
        np.testing.assert_allclose(
            np.concatenate([np.ravel(part) for part in own]), variate, atol=1e-5
        )
    assert len(contents(folder)) == ROUNDS * len(unlike_tables)


def test_a_repeated_round_gives_the_same(scaffold, undisturbed, unlike_data, folder):
    states, files = undisturbed
    state = scaffold.initialize()
    for _ in range(ROUNDS):
        scaffold.next(state, unlike_data)
        state, _ = scaffold.next(state, unlike_data)
    assert_same_weights(
        scaffold.get_model_weights(state),
        scaffold.get_model_weights(states[-1]),
        atol=0,
    )
    assert contents(folder) == files


def test_a_resumed_run_ignores_the_files_of_later_rounds(
    scaffold, undisturbed, unlike_data, folder
):
    states, files = undisturbed
    train(scaffold, unlike_data, ROUNDS)
    resumed, _ = train(scaffold, unlike_data, ROUNDS - 1, state=states[1])
    assert_same_weights(
        scaffold.get_model_weights(resumed),
        scaffold.get_model_weights(states[-1]),
        atol=0,
    )
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
    assert_same_weights(
        scaffold.get_model_weights(resumed),
        scaffold.get_model_weights(states[-1]),
        atol=0,
    )
    assert contents(folder) == files


class Counting(LocalRule):
    """Counts the rounds in which the institution trained."""

    def state_spec(self, trainable_spec):
        del trainable_spec
        return [tf.TensorSpec([2], tf.float32)]

    def next_state(self, *, weights, global_weights, num_steps, learning_rate, state):
        del weights, global_weights, learning_rate
        return (state[0] + [1.0, tf.cast(num_steps, tf.float32)],)


def test_missed_empty_and_broken_rounds_leave_the_state(
    logistic_model, tables, client_data, empty_client, broken_client, tmp_path
):
    files = InstitutionStateFiles(str(tmp_path))
    process = build(logistic_model, Counting(), files)

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
        build(logistic_model, Counting(), None)
