"""Rounds that nobody takes part in, and training that diverges without a loss."""

import math
import types

import pytest

from tests.training.scripted_training import START, CountingProcess, scripted
from tff_finance.checks import UnfitSettingsError
from tff_finance.training.checkpoints import Checkpoints
from tff_finance.training.loop import TrainingDivergedError, train
from tff_finance.training.progress import StoppingRule


@pytest.mark.parametrize("patience", [2, 3])
def test_rounds_that_nobody_takes_part_in_are_neither_judged_nor_lost_patience(
    patience,
):
    """Of six rounds in which somebody does, the second is the best."""
    skipped = {1, 2, 4, 6, 7, 8, 9, 10}

    class Skipping(CountingProcess):
        def next(self, state, client_data):
            output = super().next(state, client_data)
            return (
                output
                if client_data
                else types.SimpleNamespace(state=state, metrics=output.metrics)
            )

    judged = []

    def validate(weights):
        judged.append(weights)
        return scripted([3, 1, 2, 2, 2, 2])(weights)

    trained = train(
        Skipping(),
        lambda r: [] if r in skipped else ["data"],
        initial_weights=START,
        seed=5,
        validate=validate,
        stopping=StoppingRule(max_rounds=20, patience=patience),
        label="test",
    )
    counted = [number for number in range(20) if number not in skipped]
    assert trained.stopped_by == "patience"
    assert trained.rounds == counted[1 + patience] + 1
    assert trained.weights == START + 2
    assert trained.best_round == counted[1] + 1
    assert judged == [START + n for n in range(1, patience + 3)]
    validated = [p.round for p in trained.curve if p.validation_loss is not None]
    assert validated == [number + 1 for number in counted[: patience + 2]]


class Breaking(CountingProcess):
    """From the data of a round, how many updates are finite, of two; none of nobody."""

    def next(self, state, client_data):
        output = super().next(state, client_data)
        finite = client_data[0] if client_data else 0
        metrics = {
            "num_institutions": len(client_data),
            "non_finite_updates": len(client_data) - finite,
            "loss": 0.5 if finite else math.nan,
            "loss_rows": 10.0 * finite,
        }
        return types.SimpleNamespace(
            state=output.state if finite else state, metrics={"client_work": metrics}
        )


def run_breaking(finite, *, patience=3, process=None, **options):
    """None stands for a round that nobody takes part in."""
    process = process or Breaking()
    stopping = StoppingRule(
        max_rounds=len(finite), patience=patience, **options.pop("stopping", {})
    )
    trained = train(
        process,
        lambda r: [] if finite[r] is None else [finite[r]] * 2,
        initial_weights=START,
        seed=5,
        validate=scripted([9 - n for n in range(9)]),
        stopping=stopping,
        label="seed 5 fed_buff",
        **options,
    )
    return trained, process


def test_cohorts_none_of_whose_updates_are_finite_diverge_when_patience_is_up():
    message = r"seed 5 fed_buff: no update was finite in 3 rounds running, .*round 6:"
    with pytest.raises(TrainingDivergedError, match=message):
        run_breaking([2, 1, 0, None, 0, 0, 2, 2])
    # An update that counts in between begins anew.
    trained, _ = run_breaking([2, 0, 0, 1, 0, 0, 2])
    assert (trained.rounds, trained.best_round) == (7, 7)
    assert trained.weights == START + 3


@pytest.mark.parametrize("finite", [[2, 0, 0, 0], [2, 0, None, 0, 0, None]])
def test_cohorts_that_break_before_the_last_round_have_diverged(finite):
    """Even if fewer rounds were left than patience has."""
    message = "no update was finite in the last 3 rounds with updates"
    with pytest.raises(TrainingDivergedError, match=message):
        run_breaking(finite, patience=5)
    ends = {"ends_at_divergence": True}
    trained, _ = run_breaking(finite, patience=5, stopping=ends)
    assert (trained.stopped_by, trained.weights) == ("diverged", START + 1)
    # Without patience no validation is to end training.
    fixed, _ = run_breaking(finite, patience=None)
    assert fixed.stopped_by == "fixed_rounds"


def test_a_cohort_or_two_that_break_at_the_end_may_be_bad_luck():
    for finite, patience in (([1, 2, 0, 0], 3), ([2, 0], 2)):
        trained, _ = run_breaking(finite, patience=patience)
        assert trained.stopped_by == "max_rounds"


def test_training_in_which_no_update_has_counted_has_diverged():
    """Instead of the initial weights being its outcome."""
    for patience in (3, None):
        with pytest.raises(TrainingDivergedError, match="no update has counted in 3"):
            run_breaking([None, 0, 0], patience=patience)
    message = "none of 2 rounds had as many institutions as it needs"
    with pytest.raises(UnfitSettingsError, match=message):
        run_breaking([None, None])


class Rejecting(Breaking):
    """Its aggregator leaves out whatever is finite."""

    def next(self, state, client_data):
        output = super().next(state, client_data)
        finite = client_data[0] if client_data else 0
        metrics = output.metrics | {"aggregator": {"rejected_updates": finite}}
        return types.SimpleNamespace(state=state, metrics=metrics)


@pytest.mark.parametrize("ends_at_divergence", [False, True])
@pytest.mark.parametrize("patience", [1, None])
@pytest.mark.parametrize("finite", [[2], [1], [2, None]])
def test_rounds_that_only_reject_have_not_diverged(
    finite, patience, ends_at_divergence
):
    """As the first one does that norms of the round before are lacking to."""
    with pytest.raises(UnfitSettingsError, match="first round only measures: give 2"):
        run_breaking(
            finite,
            process=Rejecting(),
            patience=patience,
            stopping={"ends_at_divergence": ends_at_divergence},
        )


def test_what_is_not_finite_after_rejections_has_diverged():
    with pytest.raises(TrainingDivergedError, match="no update has counted in 2"):
        run_breaking([2, 0], process=Rejecting())


def test_divergence_of_cohorts_may_be_a_result():
    ends = {"ends_at_divergence": True}
    trained, process = run_breaking([2, 0, 0, 0, 2], stopping=ends)
    assert (trained.stopped_by, trained.weights) == ("diverged", START + 1)
    assert len(process.calls) == 4
    nothing, _ = run_breaking([0, 0], stopping=ends)
    assert (nothing.stopped_by, nothing.weights) == ("diverged", START)


def test_divergence_of_cohorts_is_found_again_after_a_kill(tmp_path):
    for _ in range(2):
        checkpoints = Checkpoints.in_folder(tmp_path, every_seconds=0)
        with pytest.raises(TrainingDivergedError, match=r"3 rounds running, .*round 4"):
            run_breaking([2, 0, 0, 0, 2], checkpoints=checkpoints)


def test_a_model_that_noise_moved_is_judged():
    trained = train(
        CountingProcess(losses=None),
        lambda r: [] if r == 1 else ["data"],
        initial_weights=START,
        seed=5,
        validate=scripted([3, 2, 1]),
        stopping=StoppingRule(max_rounds=3, patience=None),
        label="test",
    )
    assert [point.validation_loss for point in trained.curve] == [3, 2, 1]
