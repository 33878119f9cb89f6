"""Workloads: sizes as published, the same problem and cohorts for everybody."""

import numpy as np
import pytest

from benchmarks.workloads import WORKLOADS, Workload, make_problem, pooled_loss
from benchmarks.workloads import read_problem as read

SMALL = Workload(
    name="small",
    institutions=4,
    rows=50,
    features=6,
    batch_size=16,
    cohort_size=4,
    rounds=3,
)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("W1", (3, 10_000, 24, 64, 3)),
        ("W2", (100, 300, 24, 32, 100)),
        ("W3", (3, 500_000, 30, 512, 3)),
        ("W4", (10_000, 100, 24, 32, 500)),
    ],
)
def test_sizes(name, sizes):
    w = WORKLOADS[name]
    assert sizes == (w.institutions, w.rows, w.features, w.batch_size, w.cohort_size)


def test_a_cohort_is_all_or_a_sample_that_only_the_round_decides():
    assert WORKLOADS["W2"].cohort(7) == list(range(100))
    sampled = WORKLOADS["W4"].cohort(7)
    assert sampled == WORKLOADS["W4"].cohort(7)
    assert sampled != WORKLOADS["W4"].cohort(8)
    assert len(set(sampled)) == 500
    assert sampled == sorted(sampled)


def test_a_problem_has_the_workloads_shapes_and_can_be_learnt():
    problem = make_problem(SMALL)
    assert problem.x.shape == (4, 50, 6)
    assert problem.y.shape == (4, 50)
    assert [w.shape for w in problem.weights] == [(6, 10), (10,), (10, 1), (1,)]
    for array in (problem.x, problem.y, *problem.weights):
        assert array.dtype == np.float32
    assert set(np.unique(problem.y)) == {0, 1}
    again = make_problem(SMALL)
    np.testing.assert_array_equal(problem.x, again.x)
    assert pooled_loss(problem, problem.weights) == pooled_loss(again, again.weights)


def test_the_pooled_loss_is_the_mean_over_all_rows():
    problem = make_problem(SMALL)
    w1, b1, w2, b2 = problem.weights
    w1, b2 = np.zeros_like(w1), np.array([2.0], np.float32)
    rate = problem.y.mean()
    expected = np.logaddexp(0, 2.0) - 2.0 * rate
    assert pooled_loss(problem, (w1, b1, w2, b2)) == pytest.approx(expected)


def save(folder, problem):
    for name, array in zip(("w1", "b1", "w2", "b2"), problem.weights, strict=True):
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "x.npy", problem.x)
    np.save(folder / "y.npy", problem.y)


def test_a_problem_is_read_as_it_was_saved(tmp_path):
    problem = make_problem(SMALL, seed=3)
    save(tmp_path, problem)
    back = read(tmp_path, SMALL)
    np.testing.assert_array_equal(back.x, problem.x)
    np.testing.assert_array_equal(back.y, problem.y)
    for left, right in zip(back.weights, problem.weights, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_problem_of_other_sizes_is_refused(tmp_path):
    save(tmp_path, make_problem(SMALL))
    with pytest.raises(ValueError, match=r"x.npy must have shape \[3, 10000, 24\]"):
        read(tmp_path, WORKLOADS["W1"])
