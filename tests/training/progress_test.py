"""Progress of a training run: what is saved is what comes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_finance.training.progress import CurvePoint, Progress, StoppingRule

losses = st.floats(min_value=0, max_value=1e6) | st.none()


def point(number, validation_loss, training_loss=0.1 + 0.2, counted=True):
    return CurvePoint(
        round=number,
        training_loss=training_loss,
        validation_loss=validation_loss,
        validation_accuracy=None if validation_loss is None else 1 / 3,
        non_finite_updates=number % 3,
        client_learning_rate=0.3 / number,
        server_learning_rate=None if number % 2 else 1.0,
        simulated_seconds=None if number % 2 else 1.5 * number,
        mean_staleness=None if number % 2 else number / 3,
        late_updates=None if number % 2 else number,
        lost_updates=None if number % 2 else 0,
        counted=counted,
    )


def progress_of(validation_losses):
    progress = Progress(seed=5, state="S", best_weights="start", seconds=1 / 3)
    for number, loss in enumerate(validation_losses, start=1):
        progress.add(point(number, loss), None if loss is None else f"weights {number}")
    return progress


@given(st.lists(losses, max_size=20))
def test_comes_back_from_arrays(validation_losses):
    before = progress_of(validation_losses)
    arrays = before.to_arrays()
    after = Progress.from_arrays(arrays)
    # Python's numbers, to the last digit.
    assert after == before
    assert all(isinstance(p.round, int) for p in after.curve)
    for array in (arrays[0], *arrays[3:5]):
        assert isinstance(array, np.ndarray)


def test_a_curve_of_other_columns_is_refused():
    before, curve, after = _around_curve(progress_of([1.0, 2.0]).to_arrays())
    with pytest.raises(ValueError, match=r"be \[rounds, \d+\], got \[2, 5\]"):
        Progress.from_arrays((*before, curve[:, :5], *after))


def _around_curve(arrays):
    return arrays[:3], arrays[3], arrays[4:]


@given(st.lists(losses, min_size=1, max_size=20))
def test_the_best_round_is_the_first_of_the_smallest(validation_losses):
    progress = progress_of(validation_losses)
    validated = [loss for loss in validation_losses if loss is not None]
    if not validated:
        assert progress.best is None
        assert progress.best_weights == "start"
    else:
        best = validation_losses.index(min(validated)) + 1
        assert progress.best.round == best
        assert progress.best_weights == f"weights {best}"


@pytest.mark.parametrize(
    ("validation_losses", "stopped_by"),
    [
        ([], None),
        ([1.0, 2.0], None),
        ([1.0, 2.0, 2.0], "patience"),
        ([1.0, 2.0, None], None),  # not judged, so not out of patience
        ([1.0, None, None, 0.5], None),
        ([3.0, 2.0, 1.0, 0.5, 0.4], "max_rounds"),
        ([3.0, 2.0, 1.0, 2.0, 2.0], "patience"),
    ],
)
def test_reason_to_stop(validation_losses, stopped_by):
    rule = StoppingRule(max_rounds=5, patience=2)
    assert progress_of(validation_losses).stopped_by(rule) == stopped_by
    limited = StoppingRule(max_rounds=5, patience=2, max_simulated_seconds=7.5)
    progress = progress_of(validation_losses)
    assert progress.stopped_by(limited, next_ends_at=7.5) == stopped_by
    assert progress.stopped_by(limited, next_ends_at=7.6) == (
        stopped_by or "max_simulated_seconds"
    )


def test_rounds_in_which_nobodys_update_counts_use_up_no_patience():
    rule = StoppingRule(max_rounds=99, patience=2)
    progress = progress_of([1.0, 2.0])
    for number in range(3, 9):
        progress.add(point(number, None, counted=False), None)
        assert progress.stopped_by(rule) is None
        assert not progress.to_validate
    progress.add(point(9, None), None)
    assert progress.to_validate
    progress.add(point(10, None, counted=False), None)
    assert progress.to_validate
    again = Progress.from_arrays(progress.to_arrays())
    assert again == progress
    again.add(point(11, 2.0, counted=False), "weights 11")
    assert not again.to_validate
    assert again.stopped_by(rule) == "patience"


def test_time_to_spend_is_positive():
    with pytest.raises(ValueError, match="`max_simulated_seconds` must be positive"):
        StoppingRule(max_rounds=5, patience=2, max_simulated_seconds=0)
