"""Top-k with error feedback: equal to NumPy, nothing lost, exact on repetition."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, train
from tff_finance.aggregation.sparse_sum import SparseSumFactory, position_bits
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_prox import build_fed_prox
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.error_feedback import build_top_k
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.training.communication import traffic_per_round

RATE, EPOCHS, BATCH_SIZE = 0.3, 2, 16
BATCHES = LocalEpochs(epochs=EPOCHS, batch_size=BATCH_SIZE, shuffle=False)
SHARE = 1 / 3  # 2 of 6 coordinates
SPEC = [tf.TensorSpec([5, 1]), tf.TensorSpec([1])]
MU = 0.5
sgd = tff.learning.optimizers.build_sgdm

pytestmark = pytest.mark.usefixtures("tff_context")


def compressed(share, folder):
    return {
        "update_rule": build_top_k(share),
        "aggregator": tff.aggregators.MeanFactory(SparseSumFactory(share)),
        "state_files": InstitutionStateFiles(str(folder)),
    }


def fed_avg(model, **options):
    return build_fed_avg(model, client_optimizer=sgd(RATE), batches=BATCHES, **options)


def fed_prox(model, **options):
    return build_fed_prox(
        model, mu=MU, client_optimizer=sgd(RATE), batches=BATCHES, **options
    )


def scaffold(model, *, state_files, **options):
    return build_scaffold(
        model,
        client_learning_rate=RATE,
        batches=BATCHES,
        num_institutions=3,
        state_files=state_files,
        weighting=tff.learning.ClientWeighting.NUM_EXAMPLES,
        **options,
    )


BUILDERS = {"fed_avg": fed_avg, "fed_prox": fed_prox, "scaffold": scaffold}


def in_numpy(w, tables, rounds, *, k, algorithm="fed_avg"):
    """Weights after each round, what was sent, what is left out at the end."""
    rows = np.array([len(y) for _, y in tables.values()], np.float64)
    left_out = np.zeros([len(tables), len(w)])
    own, c = np.zeros_like(left_out), np.zeros_like(w)
    after, sent_sum, updates = [], np.zeros_like(left_out), np.zeros_like(left_out)
    for _ in range(rounds):
        sent, new = np.zeros_like(left_out), np.zeros_like(own)
        for i, (x, y) in enumerate(tables.values()):
            steps = numpy_logistic.batches(len(y), BATCH_SIZE, EPOCHS)
            corrections = {
                "fed_avg": lambda g, _: g,
                "fed_prox": lambda g, now, start=w: g + MU * (now - start),
                "scaffold": lambda g, _, shift=c - own[i]: g + shift,
            }
            end, _ = numpy_logistic.local_steps(
                w, x, y, rate=RATE, steps=steps, correct=corrections[algorithm]
            )
            new[i] = own[i] - c + (w - end) / (len(steps) * RATE)
            updates[i] += w - end
            whole = w - end + left_out[i]
            largest = np.argsort(-np.abs(whole))[:k]
            sent[i, largest] = whole[largest]
            left_out[i] = whole - sent[i]
        own, c = new, rows @ new / rows.sum()
        sent_sum += sent
        w = w - rows @ sent / rows.sum()
        after.append(w)
    np.testing.assert_allclose(sent_sum + left_out, updates, atol=1e-12)
    return after, left_out


def kept_by(folder, names, round_number, before=()):
    files = InstitutionStateFiles(str(folder))
    return np.array(
        [
            np.concatenate(
                [
                    np.ravel(part)
                    for part in files.read(
                        tf.constant(name), tf.constant(round_number), [*before, *SPEC]
                    )[len(before) :]
                ]
            )
            for name in names
        ]
    )


@pytest.mark.parametrize("algorithm", BUILDERS)
def test_rounds_as_numpy(logistic_model, tables, client_data, tmp_path, algorithm):
    """Whatever the local steps are corrected by, and whatever else is kept."""
    process = BUILDERS[algorithm](logistic_model, **compressed(SHARE, tmp_path))
    state = process.initialize()
    w = numpy_logistic.vector(process.get_model_weights(state))
    expected, left_out = in_numpy(w, tables, 4, k=2, algorithm=algorithm)
    for after in expected:
        state = process.next(state, client_data).state
        found = numpy_logistic.vector(process.get_model_weights(state))
        np.testing.assert_allclose(found, after, atol=1e-5)
    variates = [*SPEC, tf.TensorSpec([])] if algorithm == "scaffold" else []
    found = kept_by(tmp_path, tables, 4, before=variates)
    np.testing.assert_allclose(found, left_out, atol=1e-5)
    assert np.abs(left_out).max() > 0.01


@pytest.mark.parametrize("algorithm", BUILDERS)
def test_all_coordinates_are_the_algorithm_itself(
    model, client_data, tmp_path, algorithm
):
    """To the last bit."""
    build = BUILDERS[algorithm]
    process = build(model, **compressed(1, tmp_path / "compressed"))
    files = InstitutionStateFiles(str(tmp_path / "plain"))
    plain = build(model, state_files=files)
    state, _ = train(process, client_data, 3)
    expected, _ = train(plain, client_data, 3)
    assert_same_weights(
        process.get_model_weights(state), plain.get_model_weights(expected), atol=0
    )


def test_sent_and_left_out_are_the_update_exactly():
    rng = np.random.default_rng(4)
    rule, state = build_top_k(0.3), (tf.zeros([5, 3]), tf.zeros([4]))
    for _ in range(5):
        update = tuple(
            tf.constant(rng.normal(size=s.shape) * 10.0 ** rng.integers(-6, 3), s.dtype)
            for s in state
        )
        sent, left_out = rule.send(update, state=state)
        for u, e, c, r in zip(update, state, sent, left_out, strict=True):
            np.testing.assert_array_equal(c + r, u + e)
            assert not np.any((c != 0) & (r != 0))
        assert sum(np.count_nonzero(c) for c in sent) == 6  # ceil(0.3 * 19)
        state = left_out


def test_repeated_and_resumed_rounds_are_the_same(
    logistic_model, client_data, tmp_path
):
    process = fed_avg(logistic_model, **compressed(SHARE, tmp_path))
    states = [process.initialize()]
    for _ in range(4):
        states.append(process.next(states[-1], client_data).state)
    # A round that is run again, then one from a checkpoint of before.
    for start in (3, 1):
        state = states[start]
        for _ in range(4 - start):
            state = process.next(state, client_data).state
        assert_same_weights(
            process.get_model_weights(state),
            process.get_model_weights(states[-1]),
            atol=0,
        )


def test_empty_and_broken_rounds_send_nothing_and_keep_what_was_left_out(
    logistic_model, client_data, broken_client, empty_client, tmp_path
):
    """An institution that had rows before; another one goes on beside it."""
    process = fed_avg(logistic_model, **compressed(SHARE, tmp_path))
    state = process.next(process.initialize(), client_data[:1]).state
    files = InstitutionStateFiles(str(tmp_path))
    for name in ("broken", "empty"):
        files.write(
            tf.constant(name),
            tf.constant(0),
            (tf.fill([5, 1], 0.7), tf.fill([1], 0.7)),
        )
    alone = process.next(state, client_data[:1]).state
    output = process.next(state, [broken_client, client_data[0], empty_client])
    assert output.metrics["client_work"]["non_finite_updates"] == 1
    assert_same_weights(
        process.get_model_weights(output.state),
        process.get_model_weights(alone),
        atol=1e-7,
    )
    np.testing.assert_array_equal(
        kept_by(tmp_path, ["broken", "empty"], 2), np.full([2, 6], 0.7, np.float32)
    )


def test_counted_bytes_are_those_that_numpy_packs(model, tmp_path):
    share = 0.2
    process = fed_avg(model, **compressed(share, tmp_path))
    plain = fed_avg(model)
    size = sum(np.size(w) for w in model.initial_weights[0])
    k = int(np.ceil(share * size))
    positions = np.packbits(np.zeros([k * position_bits(size)], np.uint8)).nbytes
    sent, whole = (traffic_per_round(p.next) for p in (process, plain))
    assert whole.bytes_up - sent.bytes_up == 4 * size - (positions + 4 * k)
    assert sent.bytes_down == whole.bytes_down


def test_needs_a_place_for_what_is_left_out(logistic_model):
    with pytest.raises(ValueError, match="`state_files` must be given: ErrorFeedback"):
        fed_avg(logistic_model, update_rule=build_top_k(0.5))
