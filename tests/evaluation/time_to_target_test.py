"""When a curve reaches a target for good, and what is said of several seeds."""

import types

import pytest

from tff_finance.evaluation import time_to_target
from tff_finance.evaluation.time_to_target import TimedCurve, compare_times


def curve(*points):
    return TimedCurve(
        seconds=tuple(seconds for seconds, _ in points),
        auc=tuple(auc for _, auc in points),
        rounds=10,
        end_seconds=1000.0,
        stopped_by="patience",
        late_updates=0,
        lost_updates=0,
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [(0.5, 1.0), (0.7, 4.0), (0.72, 4.0), (0.75, 9.0), (0.8, 9.0), (0.81, None)],
)
def test_a_target_is_reached_when_it_is_kept(target, expected):
    """At 2 seconds 0.75 was reached, and lost again at 3."""
    run = curve((1, 0.6), (2, 0.75), (3, 0.69), (4, 0.74), (9, 0.8))
    assert run.reaches(target) == expected
    assert run.final_auc == 0.8


def test_times_over_seeds():
    pairs = [
        (curve((10, 0.7), (100, 0.8)), curve((5, 0.798), (40, 0.79), (50, 0.803))),
        (curve((10, 0.7), (200, 0.9)), curve((20, 0.899))),
    ]
    result = compare_times(pairs, tolerance=0.002)
    assert result["final_auc"]["fed_avg"]["values"] == [0.8, 0.9]
    assert result["difference"]["mean"] == pytest.approx(0.001)
    assert result["seconds"]["fed_avg"]["values"] == [100, 200]
    assert result["seconds"]["fed_buff"]["values"] == [50, 20]
    assert result["ratio"]["values"] == [0.5, 0.1]
    assert result["ratio"]["ci95"][0] < 0.3 < result["ratio"]["ci95"][1]


def test_a_seed_that_never_arrives_leaves_no_mean():
    pairs = [(curve((10, 0.8)), curve((5, 0.7))), (curve((10, 0.8)), curve((5, 0.8)))]
    result = compare_times(pairs, tolerance=0.002)
    assert result["ratio"]["mean"] is None
    assert result["ratio"]["values"] == [None, 0.5]
    assert "isn't reached under every seed" in result["ratio"]["reason"]


def test_rounds_that_are_not_judged_have_no_point(monkeypatch):
    """Such as one in which no update counted: there are no weights for it."""
    losses = {1: 0.5, 2: None, 3: 0.6, 4: 0.4}

    class Learner:
        def train(self, *tables, watch, **options):
            for number, loss in losses.items():
                if loss is not None:
                    watch(f"weights {number}")
            points = [
                types.SimpleNamespace(
                    round=number,
                    validation_loss=loss,
                    simulated_seconds=10.0 * number,
                    late_updates=0,
                    lost_updates=0,
                )
                for number, loss in losses.items()
            ]
            return types.SimpleNamespace(curve=points, rounds=4, stopped_by="patience")

    monkeypatch.setattr(
        time_to_target, "_test_auc", lambda learner, weights, consortium: weights
    )
    nobody = types.SimpleNamespace(training=())
    found = time_to_target.timed_curve(Learner(), nobody, seed=1, label="test")
    assert found.seconds == (10.0, 40.0)
    assert found.auc == ("weights 1", "weights 4")
    assert found.end_seconds == 40.0
