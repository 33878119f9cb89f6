"""The round loop: early stopping, divergence, and what reaches the process."""

import asyncio
import collections
import copy
import dataclasses
import itertools
import math
import types
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.checks import RunFailedError, UnfitSettingsError
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import ValidationResult
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.begun_rounds import BegunRounds
from tff_finance.training.checkpoints import CheckpointError, Checkpoints
from tff_finance.training.loop import TrainingDivergedError, train
from tff_finance.training.progress import StoppingRule, releases_of_passes

START = 100
EVER_THE_SAME = itertools.repeat(0.5)


class CountingProcess:
    """A process whose weights are a number that grows by one in every round."""

    def __init__(self, *, losses: Iterator[float] | None = EVER_THE_SAME, nested=True):
        self.calls = []
        self._losses = losses  # None for none given away
        self._nested = nested

    def initialize(self):
        work = collections.OrderedDict(learning_rate=0.3, seed=0)
        return {"weights": -1, "hparams": collections.OrderedDict(client_work=work)}

    def get_hparams(self, state):
        return copy.deepcopy(state["hparams"])

    def set_hparams(self, state, hparams):
        return state | {"hparams": hparams}

    def get_model_weights(self, state):
        return state["weights"]

    def set_model_weights(self, state, weights):
        return state | {"weights": weights}

    def next(self, state, client_data):
        self.calls.append((state, client_data))
        loss = {} if self._losses is None else {"loss": next(iter(self._losses))}
        return types.SimpleNamespace(
            state=state | {"weights": state["weights"] + 1},
            metrics={"client_work": loss} if self._nested else loss,
        )


def scripted(losses):
    """Validation whose loss after round r is `losses[r - 1]`."""

    def validate(weights):
        return ValidationResult(
            loss=losses[weights - START - 1], accuracy=weights / 1000, rows=10
        )

    return validate


def run(losses, *, process=None, **stopping):
    defaults = {"max_rounds": len(losses), "patience": 1000}
    return train(
        process or CountingProcess(),
        ["data of bank a", "data of bank b"],
        initial_weights=START,
        seed=5,
        validate=scripted(losses),
        stopping=StoppingRule(**defaults | stopping),
        label="seed 5 fed_avg",
    )


@pytest.mark.parametrize(
    ("losses", "patience", "best_round", "rounds"),
    [
        ([3, 1, 2, 2, 2, 0], 3, 2, 5),  # ended before the last, better one
        ([3, 1, 2, 2, 0, 5, 5, 5, 0], 3, 5, 8),  # patience begins anew
        ([1, 1, 1, 1], 2, 1, 3),  # as good is no better
        ([5, 4, 3, 2], 1, 4, 4),  # always better: all rounds
        ([5, 6, 1], 1, 1, 2),
        ([3, 4, 5], 9, 1, 3),  # the best round need not be the last
        ([7], 1, 1, 1),
    ],
)
def test_early_stopping_keeps_the_best_weights(losses, patience, best_round, rounds):
    trained = run(losses, patience=patience)
    assert trained.best_round == best_round
    assert trained.weights == START + best_round
    assert trained.rounds == rounds
    assert [point.round for point in trained.curve] == list(range(1, rounds + 1))
    assert [point.validation_loss for point in trained.curve] == losses[:rounds]


@pytest.mark.parametrize(
    ("max_rounds", "patience", "validated"),
    [
        (7, 1000, [3, 6, 7]),  # the last round always
        (9, 1000, [3, 6, 9]),
        (2, 1000, [2]),
        (20, 4, [3, 6, 9]),  # patience counts rounds, not validations
        (20, 3, [3, 6]),
    ],
)
def test_validates_every_third_round(max_rounds, patience, validated):
    process = CountingProcess()
    losses = [9.0] * 2 + [1.0] + [2.0] * 17
    trained = run(
        losses,
        process=process,
        max_rounds=max_rounds,
        patience=patience,
        validate_every=3,
    )
    points = [p for p in trained.curve if p.validation_loss is not None]
    assert [point.round for point in points] == validated
    assert trained.rounds == len(process.calls) == validated[-1]
    # Every round leaves its training loss, validated or not.
    assert [p.round for p in trained.curve] == list(range(1, trained.rounds + 1))
    reached = trained.rounds - validated[0] >= patience
    assert trained.stopped_by == ("patience" if reached else "max_rounds")
    assert trained.best_round == validated[0]
    assert trained.weights == START + validated[0]


def test_curve_holds_training_loss_and_validation_of_the_same_round():
    process = CountingProcess(losses=iter([0.9, 0.8, 0.7]))
    point = run([3, 2, 1], process=process).curve[1]
    assert (point.round, point.training_loss) == (2, 0.8)
    assert (point.validation_loss, point.validation_accuracy) == (2, 0.102)


def test_metrics_of_a_single_site_are_not_nested():
    process = CountingProcess(losses=iter([0.25]), nested=False)
    assert run([1], process=process).curve[0].training_loss == 0.25


def test_a_process_that_gives_no_training_loss_away_is_trained():
    curve = run([3, 2], process=CountingProcess(losses=None)).curve
    assert [point.training_loss for point in curve] == [None, None]
    assert [point.validation_loss for point in curve] == [3, 2]


def test_its_divergence_is_found_by_validation():
    with pytest.raises(TrainingDivergedError, match=r"training None, validation nan"):
        run([3, math.nan, 2], process=CountingProcess(losses=None))


def test_without_patience_validation_is_shown_only():
    """All rounds are run and the last weights kept, whatever the losses are."""
    trained = run([1, 2, 3, 4, 5], patience=None)
    assert (trained.rounds, trained.best_round, trained.releases) == (5, 5, 5)
    assert trained.weights == START + 5
    assert trained.stopped_by == "fixed_rounds"
    assert [point.validation_loss for point in trained.curve] == [1, 2, 3, 4, 5]


def test_a_budget_ends_training_before_it_is_exceeded():
    process = CountingProcess()
    trained = run([1, 2, 3, 4, 5], process=process, patience=None, max_releases=3)
    assert len(process.calls) == trained.rounds == trained.releases == 3
    assert trained.weights == START + 3
    assert trained.stopped_by == "budget"
    # As many as are planned are no end before.
    planned = run([1, 2, 3], patience=None, max_releases=3)
    assert planned.stopped_by == "fixed_rounds"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged_training_loss_is_an_error(bad):
    process = CountingProcess(losses=iter([0.5, bad, 0.5]))
    with pytest.raises(TrainingDivergedError) as raised:
        run([1, 1, 1], process=process)
    assert str(raised.value).startswith(
        "seed 5 fed_avg: loss is not finite after round"
    )
    assert f"round 2 (training {bad}, validation 1)" in str(raised.value)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged_validation_loss_is_an_error(bad):
    with pytest.raises(
        TrainingDivergedError, match=r"seed 5 fed_avg: .* after round 3"
    ):
        run([2, 1, bad])


def test_seed_weights_and_data_reach_the_process():
    process = CountingProcess()
    run([1, 1], process=process)
    (first, data), (second, same_data) = process.calls
    assert first["weights"] == START
    assert first["hparams"]["client_work"] == {"learning_rate": 0.3, "seed": 5}
    assert second["weights"] == START + 1
    assert data == same_data == ["data of bank a", "data of bank b"]


@pytest.mark.parametrize("name", ["max_rounds", "patience", "validate_every"])
def test_stopping_rule_refuses(name):
    options = {"max_rounds": 1, "patience": 1, "validate_every": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        StoppingRule(**options)


def test_one_process_serves_every_seed(tff_context):
    """Seeds and weights are state, so nothing is traced again for another seed."""
    del tff_context
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=60) > 0).astype(np.float32)
    data = [client_dataset(dense_examples(x, y, institution="bank_a"))]

    def build(seed):
        return build_risk_model(3, hidden_units=(4,), seed=seed)

    process = build_fed_avg(
        keras_models.functional_model(lambda: build(0)),
        client_optimizer=tff.learning.optimizers.build_sgdm(0.3),
        batches=LocalEpochs(epochs=1, batch_size=16),
    )

    def weights(*, initial, seed):
        trained = train(
            process,
            data,
            initial_weights=keras_models.initial_weights(lambda: build(initial)),
            seed=seed,
            validate=lambda weights: ValidationResult(loss=1.0, accuracy=0, rows=1),
            stopping=StoppingRule(max_rounds=1, patience=1),
            label="test",
        )
        return np.concatenate([np.ravel(w) for w in trained.weights.trainable])

    first = weights(initial=1, seed=1)
    np.testing.assert_array_equal(weights(initial=1, seed=1), first)
    other_order = weights(initial=1, seed=2)
    assert 1e-6 < np.abs(other_order - first).max() < 0.1
    assert np.abs(weights(initial=2, seed=1) - first).max() > 0.1


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


def run_breaking(finite, *, patience=3, **options):
    """None stands for a round that nobody takes part in."""
    process = Breaking()
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


def test_training_in_which_no_update_has_counted_has_diverged():
    """Instead of the initial weights being its outcome."""
    for patience in (3, None):
        with pytest.raises(TrainingDivergedError, match="no update has counted in 3"):
            run_breaking([None, 0, 0], patience=patience)
    message = "none of 2 rounds had as many institutions as it needs"
    with pytest.raises(UnfitSettingsError, match=message):
        run_breaking([None, None])


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


class KilledError(Exception):
    """Stands for a kill."""


def resumable(folder, losses, *, kill_at=None, stopping=None, **options):
    process = CountingProcess()

    def validate(weights):
        if weights - START == kill_at:
            raise KilledError
        return scripted(losses)(weights)

    trained = train(
        process,
        ["data"],
        initial_weights=START,
        seed=5,
        validate=validate,
        stopping=stopping or StoppingRule(max_rounds=len(losses), patience=3),
        label="seed 5 fed_avg",
        checkpoints=Checkpoints.in_folder(folder, every_seconds=0),
        **options,
    )
    return trained, process


@pytest.mark.parametrize("kill_at", [1, 2, 4, 5, 6])
def test_an_interrupted_run_ends_as_a_whole_one(tmp_path, capsys, kill_at):
    losses = [3.0, 1.0, 2.0, 0.5, 2.0, 2.0, 2.0, 9.0]
    whole, _ = resumable(tmp_path / "whole", losses)
    with pytest.raises(KilledError):
        resumable(tmp_path / "killed", losses, kill_at=kill_at)
    assert "goes on" not in capsys.readouterr().err
    resumed, process = resumable(tmp_path / "killed", losses)
    assert dataclasses.replace(resumed, seconds=0) == dataclasses.replace(
        whole, seconds=0
    )
    assert whole.stopped_by == "patience"
    # Rounds before the checkpoint aren't run again.
    assert len(process.calls) == 7 - (kill_at - 1)
    told = f"seed 5 fed_avg: goes on after round {kill_at - 1}" if kill_at > 1 else ""
    assert told in capsys.readouterr().err


def test_what_noise_is_made_from_outlives_a_kill_in_the_first_round(
    tmp_path, monkeypatch
):
    """A tree's seed is drawn with the first state: another one would cost more."""
    stopping = StoppingRule(max_rounds=3, patience=None, max_releases=9)
    seeds = iter([7, 8])
    plain = CountingProcess.initialize
    monkeypatch.setattr(
        CountingProcess, "initialize", lambda self: plain(self) | {"tree": next(seeds)}
    )
    options = {"losses": [3.0] * 3, "stopping": stopping}
    with pytest.raises(KilledError):
        resumable(tmp_path / "state", kill_at=1, **options)
    _, process = resumable(tmp_path / "state", **options)
    assert [state["tree"] for state, _ in process.calls] == [7, 7, 7]


def test_a_budget_that_interrupted_rounds_have_spent_is_an_error(tmp_path):
    stopping = StoppingRule(max_rounds=5, patience=None, max_releases=1)
    count = tmp_path / "count" / "global"
    options = {"losses": [3.0] * 5, "stopping": stopping}
    with pytest.raises(KilledError):
        resumable(
            tmp_path / "state", kill_at=1, begun_rounds=BegunRounds(count), **options
        )
    with pytest.raises(RunFailedError, match="have spent the privacy budget"):
        resumable(tmp_path / "state", begun_rounds=BegunRounds(count), **options)


@pytest.mark.parametrize("limit", [None, 5])
def test_a_round_that_is_run_again_is_released_again(tmp_path, limit):
    """Round 3 begins twice: within a budget, one round less is left."""
    stopping = StoppingRule(max_rounds=5, patience=None, max_releases=limit)
    options = {
        "losses": [3.0] * 5,
        "stopping": stopping,
    }
    count = tmp_path / "count" / "global"
    with pytest.raises(KilledError):
        resumable(
            tmp_path / "state", kill_at=3, begun_rounds=BegunRounds(count), **options
        )
    trained, _ = resumable(
        tmp_path / "state", begun_rounds=BegunRounds(count), **options
    )
    assert trained.rounds == (5 if limit is None else 4)
    assert trained.weights == START + trained.rounds
    assert trained.releases == trained.begun == trained.rounds + 1
    assert trained.stopped_by == ("fixed_rounds" if limit is None else "budget")


def test_a_repeated_round_costs_its_units_a_pass(tmp_path):
    """Passes of 2 rounds; round 1 of pass 1 is repeated: the last pass is left out."""
    stopping = StoppingRule(
        max_rounds=6,
        patience=None,
        max_releases=3,
        count_releases=lambda begun: releases_of_passes(begun, rounds_per_pass=2),
    )
    options = {"losses": [3.0] * 6, "stopping": stopping}
    count = tmp_path / "count" / "global"
    with pytest.raises(KilledError):
        resumable(
            tmp_path / "state", kill_at=1, begun_rounds=BegunRounds(count), **options
        )
    trained, _ = resumable(
        tmp_path / "state", begun_rounds=BegunRounds(count), **options
    )
    assert (trained.rounds, trained.begun, trained.releases) == (4, 5, 3)
    assert trained.stopped_by == "budget"


@pytest.mark.parametrize(
    ("begun", "releases"),
    [
        ([], 0),
        ([0, 1, 2], 1),
        ([0, 1, 2, 3], 2),
        ([0, 1, 1, 2], 2),
        # Units of rounds 0 and 1 are others: none is in three sums of the pass.
        ([0, 0, 1, 1, 2], 2),
        ([0, 1, 2, 3, 4, 4, 4, 5], 4),
    ],
)
def test_releases_of_passes_are_those_of_the_unit_with_most(begun, releases):
    assert releases_of_passes(begun, rounds_per_pass=3) == releases


def test_a_line_that_a_kill_cut_off_spoils_no_other(tmp_path):
    path = tmp_path / "begun"
    BegunRounds(path).begin(0)
    with path.open("ab") as stream:
        stream.write(b"\n1")  # of "\n12"
    begun = BegunRounds(path)
    begun.begin(12)
    assert list(begun.numbers) == list(BegunRounds(path).numbers) == [0, 1, 12]


def test_rounds_whose_file_was_lost_are_added(tmp_path):
    begun = BegunRounds(tmp_path / "begun")
    begun.at_least(2)
    begun.at_least(3)
    assert list(begun.numbers) == [0, 1, 2]


def test_a_round_that_can_not_be_counted_does_not_begin(tmp_path):
    (tmp_path / "file").touch()
    begun = BegunRounds(tmp_path / "file" / "global")
    with pytest.raises(CheckpointError, match=r"can't count rounds in .*global"):
        resumable(tmp_path / "state", [3.0], begun_rounds=begun)
    assert not begun.numbers


def test_a_finished_run_is_not_run_again(tmp_path):
    whole, _ = resumable(tmp_path, [3.0, 2.0, 1.0])
    again, process = resumable(tmp_path, [3.0, 2.0, 1.0])
    assert process.calls == []
    assert again == whole


def test_the_end_of_a_long_training_is_saved_between_checkpoints(tmp_path):
    """A method of many models loses one of them at most."""

    def checkpoints():
        return Checkpoints.in_folder(tmp_path, every_seconds=10_000)

    def go(clock):
        process = CountingProcess()
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr("time.monotonic", lambda: next(clock))
            train(
                process,
                ["data"],
                initial_weights=START,
                seed=5,
                validate=scripted([3.0, 2.0, 1.0]),
                stopping=StoppingRule(max_rounds=3, patience=3),
                label="seed 5 local bank_a",
                checkpoints=checkpoints(),
            )
        return len(process.calls)

    assert go(itertools.count(step=1e-5)) == 3
    assert go(itertools.count(step=1.0)) == 3  # the first took no time
    assert go(itertools.count(step=1e-5)) == 0


def test_time_of_a_killed_process_counts_up_to_its_checkpoint(tmp_path):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = itertools.count(step=1000.0)
        monkeypatch.setattr("time.monotonic", lambda: next(clock))
        with pytest.raises(KilledError):
            resumable(tmp_path, [3.0, 2.0, 1.0], kill_at=3)
    resumed, _ = resumable(tmp_path, [3.0, 2.0, 1.0])
    assert resumed.seconds > 1000
    assert resumed.seconds % 1000 < 500  # the second process took no such time


def test_metrics_are_released_each_round(tmp_path):
    class Recording(tff.program.ReleaseManager):
        def __init__(self):
            self.got = {}

        async def release(self, value, key):
            self.got[key] = dict(value)

    manager = Recording()
    resumable(tmp_path, [3.0, 2.0], release_managers=[manager])
    assert manager.got == {
        number: {
            "training_loss": 0.5,
            "validation_loss": loss,
            "validation_accuracy": (START + number) / 1000,
            "non_finite_updates": 0,
            "rejected_updates": 0,
            "client_learning_rate": 0.3,
        }
        for number, loss in ((1, 3.0), (2, 2.0))
    }


def test_what_lies_before_a_checkpoint_is_released(tmp_path, monkeypatch):
    """It isn't released again."""
    released, at_checkpoint = [], []

    class Slow(tff.program.ReleaseManager):
        async def release(self, value, key):
            await asyncio.sleep(0.2)
            released.append(key)

    save = Checkpoints.save

    def saving(self, structure, *, round_number):
        at_checkpoint.append((round_number, list(released)))
        save(self, structure, round_number=round_number)

    monkeypatch.setattr(Checkpoints, "save", saving)
    resumable(tmp_path, [3.0, 2.0], release_managers=[Slow()])
    assert at_checkpoint == [(1, [1]), (2, [1, 2])]


def test_institution_state_is_kept_with_the_checkpoints(tmp_path):
    bank = tmp_path / "institutions" / "bank_a"
    bank.mkdir(parents=True)
    other_run = bank / "round_00000009"
    other_run.touch()
    files = InstitutionStateFiles(str(tmp_path / "institutions"))
    resumable(tmp_path / "state", [3.0, 2.0], institution_state=files)
    assert not other_run.exists()
    (bank / "round_00000002").touch()
    with pytest.raises(CheckpointError, match="state files have changed"):
        resumable(tmp_path / "state", [3.0, 2.0], institution_state=files)
