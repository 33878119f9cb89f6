"""Training that was killed goes on as if it had not been."""

import asyncio
import dataclasses
import itertools

import pytest
import tensorflow_federated as tff

from tests.training.scripted_training import (
    START,
    CountingProcess,
    KilledError,
    resumable,
    scripted,
)
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.training.checkpoints import CheckpointError, Checkpoints
from tff_finance.training.loop import train
from tff_finance.training.progress import StoppingRule


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
