"""FedBuff: fresh updates of all are FedAvg to the last bit; stale ones as in NumPy."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, largest_move, train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_buff import build_fed_buff
from tff_finance.client_work.arrivals import ArrivalStore, StalenessWeighting
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.control_variates import ControlVariates
from tff_finance.client_work.proximal import Proximal
from tff_finance.institutions.examples import InMemoryGroups
from tff_finance.runtime import in_process

RATE = 0.3
BATCH_SIZE = 16
WEIGHTINGS = {
    "examples": tff.learning.ClientWeighting.NUM_EXAMPLES,
    "uniform": tff.learning.ClientWeighting.UNIFORM,
}
sgd = tff.learning.optimizers.build_sgdm

pytestmark = pytest.mark.usefixtures("tff_context")


def build(model, *, shuffle=False, **settings):
    return build_fed_buff(
        model,
        client_optimizer=sgd(RATE),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE, shuffle=shuffle),
        **settings,
    )


def trainable(process, state):
    return tuple(process.get_model_weights(state).trainable)


def buffers(process, model, client_data, schedule):
    """States before and after each buffer of (institution, version, local round)."""
    store = ArrivalStore(model)
    states, metrics = [process.initialize()], []
    for number, buffer in enumerate(schedule):
        arrivals = [
            store.arrival(
                client_data[institution],
                start_weights=trainable(process, states[version]),
                staleness=number - version,
                local_round=local_round,
            )
            for institution, version, local_round in buffer
        ]
        output = process.next(states[-1], arrivals)
        states.append(output.state)
        metrics.append(output.metrics["client_work"])
    return states, metrics


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_fresh_updates_of_all_are_fed_avg_to_the_last_bit(
    model, client_data, weighting
):
    """Weights by examples and the order of batches included."""
    settings = {
        "weighting": WEIGHTINGS[weighting],
        "server_optimizer": sgd(0.7, momentum=0.5),
    }
    fed_avg = build_fed_avg(
        model,
        client_optimizer=sgd(RATE),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE),
        **settings,
    )
    fed_buff = build(model, shuffle=True, **settings)
    schedule = [[(bank, number, number) for bank in range(3)] for number in range(4)]
    with in_process.execution_context():
        states, metrics = buffers(fed_buff, model, client_data, schedule)
        expected, expected_metrics = train(fed_avg, client_data, 4)
        weights = fed_buff.get_model_weights(states[-1])
        assert_same_weights(weights, fed_avg.get_model_weights(expected), atol=0)
    assert metrics[-1]["loss"] == expected_metrics["client_work"]["loss"]
    assert largest_move(weights, model) > 0.05


SCHEDULE = [  # institution, version it started from, its local round
    [(0, 0, 0), (1, 0, 0)],
    [(0, 1, 1), (2, 0, 0)],
    [(1, 1, 1), (0, 2, 2)],
    [(0, 2, 3), (2, 0, 1)],
]


def in_numpy(start, tables, *, exponent, by_examples, normalised=False):
    versions, banks = [start], list(tables.values())
    for number, buffer in enumerate(SCHEDULE):
        total, count = np.zeros_like(start), 0.0
        for bank, version, _ in buffer:
            x, y = banks[bank]
            steps = numpy_logistic.batches(len(y), BATCH_SIZE, epochs=2)
            w = versions[version]
            end, _ = numpy_logistic.local_steps(w, x, y, rate=RATE, steps=steps)
            factor = (1 + number - version) ** -exponent
            share = len(y) if by_examples else 1.0
            total += share * factor * (end - w)
            count += share * (factor if normalised else 1.0)
        versions.append(versions[-1] + total / count)
    return versions


@pytest.mark.parametrize(
    ("weighting", "exponent"),
    [
        ("examples", 0.5),
        ("uniform", 0.5),
        ("examples", 0.0),
        ("uniform", 2.0),
        ("examples", -1.0),
    ],
)
def test_equals_numpy(logistic_model, tables, client_data, weighting, exponent):
    process = build(
        logistic_model, weighting=WEIGHTINGS[weighting], staleness_exponent=exponent
    )
    states, _ = buffers(process, logistic_model, client_data, SCHEDULE)
    found = [
        numpy_logistic.vector(process.get_model_weights(state)) for state in states
    ]
    how = {"exponent": exponent, "by_examples": weighting == "examples"}
    expected = in_numpy(found[0], tables, **how)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    # Or the golden numbers could not tell these apart.
    others = [how | {"exponent": 1.0}, how | {"by_examples": not how["by_examples"]}]
    if exponent:
        others.append(how | {"normalised": True})
    for other in others:
        assert np.abs(in_numpy(found[0], tables, **other)[-1] - expected[-1]).max() > (
            3e-3
        )


def test_staleness_is_published_square_root_and_exact_where_fresh():
    factors = [float(StalenessWeighting().factor(tau)) for tau in (0, 1, 3, 99)]
    assert factors[0] == 1
    np.testing.assert_allclose(factors, [1, 2**-0.5, 0.5, 0.1], rtol=1e-6)
    with pytest.raises(ValueError, match="`exponent` must be at least -1"):
        StalenessWeighting(exponent=-1.5)


def test_two_updates_from_the_same_weights_are_two(model, client_data):
    """Institutions that are ahead of the buffer have another order of batches."""
    process = build(model, shuffle=True)
    ends = []
    for schedule in ([[(0, 0, 0)]], [[(0, 0, 0)]], [[(0, 0, 1)]]):
        states, _ = buffers(process, model, client_data, schedule)
        ends.append(process.get_model_weights(states[-1]))
    assert_same_weights(ends[0], ends[1], atol=0)
    moved = [
        np.abs(a - b).max()
        for a, b in zip(ends[0].trainable, ends[2].trainable, strict=True)
    ]
    assert max(moved) > 1e-4


@pytest.mark.parametrize("what", ["rows", "start"])
def test_a_stale_update_that_is_not_finite_is_left_out_and_counted(
    what, logistic_model, client_data, broken_client
):
    process = build(logistic_model)
    store = ArrivalStore(logistic_model)
    state = process.initialize()
    start = trainable(process, state)
    broken_start = tuple(np.full_like(w, np.inf) for w in start)
    arrivals = [
        store.arrival(client_data[0], start_weights=start, staleness=1, local_round=0),
        store.arrival(
            broken_client if what == "rows" else client_data[1],
            start_weights=start if what == "rows" else broken_start,
            staleness=3,
            local_round=0,
        ),
    ]
    expected = process.next(state, arrivals[:1])
    output = process.next(state, arrivals)
    assert_same_weights(
        process.get_model_weights(output.state),
        process.get_model_weights(expected.state),
        atol=1e-7,
    )
    work = output.metrics["client_work"]
    assert work["non_finite_updates"] == 1
    assert work["num_institutions"] == 2
    assert np.isfinite(work["loss"])


def test_a_proximal_term_pulls_to_the_stale_start(logistic_model, client_data):
    """Not to the server's weights, which are far away."""
    process = build_fed_buff(
        logistic_model,
        client_optimizer=sgd(1e-3),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE),
        local_rule=Proximal(500.0),
    )
    state = process.initialize()
    far = tuple(w + 1.0 for w in trainable(process, state))
    arrival = ArrivalStore(logistic_model).arrival(
        client_data[0], start_weights=far, staleness=0, local_round=0
    )
    output = process.next(state, [arrival])
    moved = largest_move(process.get_model_weights(output.state), logistic_model)
    assert 0 < moved < 0.01


def test_rules_with_state_and_groups_are_refused(model):
    with pytest.raises(ValueError, match="`state_files` must be given"):
        build(model, local_rule=ControlVariates(3))
    with pytest.raises(ValueError, match="`store` can't group institutions here"):
        build(model, store=InMemoryGroups())


@pytest.mark.parametrize("name", ["staleness", "local_round"])
def test_numbers_below_zero_are_refused(name, model, client_data):
    numbers = {"staleness": 0, "local_round": 0, name: -1}
    with pytest.raises(ValueError, match=f"`{name}` must be at least 0, got -1"):
        ArrivalStore(model).arrival(
            client_data[0], start_weights=model.initial_weights[0], **numbers
        )
