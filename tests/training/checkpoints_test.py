"""Checkpoints: exact, whole, and never taken for something else."""

import collections
import random
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime.waiting import wait_for
from tff_finance.training.checkpoints import CheckpointError, Checkpoints

ModelWeights = tff.learning.models.ModelWeights


def structure(offset=0.0):
    """Everything that a training run's state is made of."""
    return (
        ModelWeights(
            (np.arange(6, dtype=np.float32).reshape(2, 3) + np.float32(offset),), ()
        ),
        collections.OrderedDict(round=np.int32(3), nested={"rate": np.float32(0.1)}),
        np.array([[0.1 + 0.2, np.nan], [1e-300, 7.0]]) + offset,
        np.array("text", np.object_),
        (),
    )


def assert_same(left, right):
    tf.nest.assert_same_structure(left, right)
    for a, b in zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True):
        if isinstance(b, bytes):
            assert np.asarray(a).item() == b.decode()
        else:
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)


def in_folder(folder, every_seconds=0.0):
    return Checkpoints.in_folder(folder, every_seconds=every_seconds)


def test_the_newest_comes_back_to_the_last_digit(tmp_path):
    in_folder(tmp_path).save(structure(), round_number=2)
    in_folder(tmp_path).save(structure(0.7), round_number=11)
    restored = in_folder(tmp_path).restore(structure())
    assert_same(structure(0.7), restored)


def test_the_newest_alone_is_kept(tmp_path):
    checkpoints = in_folder(tmp_path)
    for number in (1, 9, 10):
        checkpoints.save(structure(), round_number=number)
    assert [path.name for path in tmp_path.iterdir()] == ["round_10"]


def test_the_newest_of_two_that_a_kill_left_is_taken(tmp_path):
    """The older one is removed after the newer one is there."""
    for number in (9, 10):
        in_folder(tmp_path / str(number)).save(structure(number), round_number=number)
        name = f"round_{number}"
        (tmp_path / "both").mkdir(exist_ok=True)
        shutil.move(tmp_path / str(number) / name, tmp_path / "both" / name)
    assert_same(structure(10), in_folder(tmp_path / "both").restore(structure()))


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"can't keep checkpoints in .*file/x"):
        in_folder(tmp_path / "file" / "x")


def test_none_at_first(tmp_path):
    assert in_folder(tmp_path / "new").restore(structure()) is None


def test_a_checkpoint_that_a_kill_left_half_written_is_none(tmp_path):
    checkpoints = in_folder(tmp_path)
    checkpoints.save(structure(), round_number=4)
    shutil.move(tmp_path / "round_4", tmp_path / "round_4_temp1234")
    assert in_folder(tmp_path).restore(structure()) is None


def test_due_after_the_time_asked_for(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoints = in_folder(tmp_path, every_seconds=10)
    now = 109.9
    assert not checkpoints.due
    now = 110.0
    assert checkpoints.due
    checkpoints.save(structure(), round_number=1)
    assert not checkpoints.due
    now = 120.0
    assert checkpoints.due


def test_the_end_is_saved_if_it_was_worth_a_second(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoints = in_folder(tmp_path, every_seconds=10)
    now = 100.9
    assert not checkpoints.due_at_the_end(3)
    now = 101.1
    assert checkpoints.due_at_the_end(3)
    checkpoints.save(structure(), round_number=3)
    now = 110.0
    assert not checkpoints.due_at_the_end(3)  # is saved already
    again = in_folder(tmp_path, every_seconds=0)
    again.restore(structure())
    assert not again.due_at_the_end(3)
    assert again.due_at_the_end(4)


def test_zero_seconds_are_always_over(tmp_path):
    checkpoints = in_folder(tmp_path)
    checkpoints.save(structure(), round_number=1)
    assert checkpoints.due


def test_negative_seconds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`every_seconds` must be at least 0"):
        in_folder(tmp_path, every_seconds=-1)


def test_a_damaged_checkpoint_is_an_error_or_the_same(tmp_path):
    """Any byte, in any file: never another value."""
    in_folder(tmp_path / "whole").save(structure(), round_number=3)
    paths = [p for p in (tmp_path / "whole").rglob("*") if p.is_file()]
    rng = random.Random(4)
    refused = 0
    for trial in range(40):
        folder = tmp_path / str(trial)
        shutil.copytree(tmp_path / "whole", folder)
        path = folder / rng.choice(paths).relative_to(tmp_path / "whole")
        content = bytearray(path.read_bytes())
        if not content:
            continue
        position = rng.randrange(len(content))
        if trial % 2:
            del content[position:]
        else:
            content[position] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        restored, message = None, ""
        try:
            restored = in_folder(folder).restore(structure())
        except CheckpointError as error:
            message = str(error)
        if restored is None:
            refused += 1
            assert message.startswith(f"the checkpoint of round 3 in {folder}")
            assert "\n" not in message
        else:
            assert_same(structure(), restored)
    assert refused > 10


def test_another_structure_is_refused(tmp_path):
    in_folder(tmp_path).save(structure(), round_number=3)
    with pytest.raises(CheckpointError, match=r"round 3 in .* can't be used"):
        in_folder(tmp_path).restore((*structure(), np.zeros(3)))


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "No space left on device"),
    ],
)
def test_a_full_disk_is_an_error_that_names_the_place(tmp_path, monkeypatch, error):
    checkpoints = in_folder(tmp_path)
    checkpoints.save(structure(), round_number=3)

    def full(*_, **__):
        raise error

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(CheckpointError, match="No space left on device") as raised:
        checkpoints.save(structure(1.0), round_number=5)
    assert str(tmp_path) in str(raised.value)
    # What was saved before is still there.
    assert_same(structure(), in_folder(tmp_path).restore(structure()))


def test_any_program_state_manager_will_do():
    class InMemory(tff.program.ProgramStateManager):
        def __init__(self):
            self.saved = {}

        async def get_versions(self):
            return sorted(self.saved) or None

        async def load(self, version, structure):
            del structure
            return self.saved[version]

        async def save(self, program_state, version):
            self.saved[version] = program_state

        async def remove_all(self):
            self.saved.clear()

    checkpoints = Checkpoints(InMemory(), every_seconds=0, place="memory")
    assert checkpoints.restore(structure()) is None
    checkpoints.save({"x": 1.5}, round_number=1)
    assert checkpoints.restore({"x": 0.0}) == {"x": 1.5}


def test_waiting_works_inside_an_event_loop():
    async def inner():
        return 3

    async def notebook():
        return wait_for(inner())

    assert wait_for(notebook()) == 3
