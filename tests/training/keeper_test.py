"""A checkpoint is taken up with the institution state that it goes with, or not."""

import dataclasses

import numpy as np
import pytest

from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.training.checkpoints import CheckpointError, Checkpoints
from tff_finance.training.keeper import Keeper
from tff_finance.training.progress import CurvePoint, Progress

WEIGHTS = (np.zeros(2, np.float32),)


def fresh(seed=5):
    return Progress(seed=seed, state={"w": np.zeros(3)}, best_weights=WEIGHTS)


def after(rounds):
    progress = fresh()
    for number in range(1, rounds + 1):
        point = CurvePoint(
            round=number,
            training_loss=1.0,
            validation_loss=1 / number,
            validation_accuracy=0.5,
            non_finite_updates=0,
        )
        progress.add(point, (np.full(2, number, np.float32),))
    return progress


@pytest.fixture
def files(tmp_path):
    files = InstitutionStateFiles(str(tmp_path / "institutions"))
    folder = tmp_path / "institutions" / "bank_a"
    folder.mkdir(parents=True)
    for number in (1, 2, 3, 4):
        (folder / f"round_{number:08}").write_bytes(bytes([number]))
    return files


@pytest.fixture
def keeper(tmp_path, files):
    checkpoints = Checkpoints.in_folder(tmp_path / "state", every_seconds=0)
    return Keeper(checkpoints=checkpoints, institution_state=files)


def names(tmp_path):
    return sorted(path.name[-1] for path in tmp_path.rglob("bank_a/round_*"))


def test_without_checkpoints_few_files_are_left(files, tmp_path):
    """The newest, and those of the best round: nothing else is read again."""
    keeper = Keeper(checkpoints=None, institution_state=files)
    folder = tmp_path / "institutions" / "bank_a"
    progress = after(3)
    best = progress.best
    for number in range(4, 61):
        worse = dataclasses.replace(best, round=number, validation_loss=9.0)
        progress.add(worse, WEIGHTS)
        (folder / f"round_{number:08}").write_bytes(bytes([number]))
        keeper.after_round(progress)
        assert (folder / f"round_{number:08}").exists()
        assert (folder / "round_00000003").exists()
        assert len(list(folder.iterdir())) <= 22
    assert len(list(folder.iterdir())) == 2


def test_goes_on_with_the_institutions_files_of_the_round(keeper, tmp_path):
    keeper.save(after(3))
    assert names(tmp_path) == ["3", "4"]
    progress = keeper.begin(fresh())
    assert names(tmp_path) == ["3"]
    assert progress.round == 3
    np.testing.assert_array_equal(progress.best_weights[0], [3, 3])


def test_a_beginning_has_no_institution_state(keeper, tmp_path):
    beginning = fresh()
    assert keeper.begin(beginning) is beginning
    assert names(tmp_path) == []


def best_after(best, rounds):
    """Progress whose best round isn't the last."""
    progress = after(best)
    for number in range(best + 1, rounds + 1):
        point = dataclasses.replace(
            progress.curve[-1], round=number, validation_loss=1.0
        )
        progress.add(point, (np.zeros(2, np.float32),))
    return progress


def test_what_goes_with_the_best_weights_stays(keeper, tmp_path):
    keeper.save(best_after(2, rounds=4))
    assert names(tmp_path) == ["2", "4"]
    assert keeper.begin(fresh()).round == 4
    (tmp_path / "institutions" / "bank_a" / "round_00000002").write_bytes(b"other")
    with pytest.raises(CheckpointError, match="institutions' state files have changed"):
        keeper.begin(fresh())


@pytest.mark.parametrize("damage", ["changed", "gone", "another bank's"])
def test_other_institution_state_is_refused(keeper, tmp_path, damage):
    keeper.save(after(3))
    path = tmp_path / "institutions" / "bank_a" / "round_00000003"
    if damage == "changed":
        path.write_bytes(b"other")
    elif damage == "gone":
        path.unlink()
    else:
        path.parent.rename(tmp_path / "institutions" / "bank_b")
    left = names(tmp_path)
    with pytest.raises(CheckpointError, match="institutions' state files have changed"):
        keeper.begin(fresh())
    assert names(tmp_path) == left  # nothing was deleted


def test_another_seed_is_refused(keeper):
    keeper.save(after(2))
    with pytest.raises(CheckpointError, match="it is of seed 5, not of 6"):
        keeper.begin(fresh(seed=6))


def test_a_curve_of_an_earlier_version_is_refused(keeper, monkeypatch):
    *others, curve, seconds, kept = after(2).to_arrays()
    with monkeypatch.context() as patch:
        earlier = (*others, curve[:, :5], seconds, kept)
        patch.setattr(Progress, "to_arrays", lambda _: earlier)
        keeper.save(after(2))
    with pytest.raises(CheckpointError, match=r"round 2 .*\[rounds, \d+\].* Delete"):
        keeper.begin(fresh())


def test_without_checkpoints_every_run_begins_anew(files, tmp_path):
    keeper = Keeper(checkpoints=None, institution_state=files)
    assert not keeper.due
    keeper.save(after(2))
    assert names(tmp_path) == ["1", "2", "3", "4"]
    keeper.begin(fresh())
    assert names(tmp_path) == []


def test_institution_state_goes_only_after_the_checkpoint_is_there(
    keeper, tmp_path, monkeypatch
):
    """The checkpoint before it still needs the files."""
    keeper.save(after(2))
    left = names(tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tensorflow.saved_model.save", full)
        with pytest.raises(CheckpointError, match="No space left"):
            keeper.save(after(4))
    assert names(tmp_path) == left
    assert keeper.begin(fresh()).round == 2
