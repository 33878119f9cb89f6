"""Release of metrics: in order, none lost, errors told, files that go on."""

import csv
import threading

import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.training.releases import (
    ReleaseError,
    Releases,
    csv_manager,
    tensorboard_manager,
)


class Recording(tff.program.ReleaseManager):
    """Keeps what it gets, after the gate has opened."""

    def __init__(self, gate=None, error_at=None):
        self.got = []
        self._gate = gate
        self._error_at = error_at

    async def release(self, value, key):
        if self._gate:
            assert self._gate.wait(10)
        if key == self._error_at:
            raise tf.errors.ResourceExhaustedError(None, None, "No space left")
        self.got.append((key, dict(value)))


def test_all_rounds_come_out_in_order_to_all_managers():
    managers = [Recording(), Recording()]
    with Releases(managers) as releases:
        for number in range(1, 31):
            releases.release({"loss": number / 7}, number)
    expected = [(number, {"loss": number / 7}) for number in range(1, 31)]
    assert [manager.got for manager in managers] == [expected, expected]


def test_a_round_is_released_beside_the_next():
    gate = threading.Event()
    manager = Recording(gate)
    with Releases([manager]) as releases:
        releases.release({"loss": 1.0}, 1)  # doesn't wait for the gate
        assert manager.got == []
        gate.set()
        releases.finish()
        assert manager.got == [(1, {"loss": 1.0})]


def test_an_error_ends_the_run_at_the_next_round():
    with pytest.raises(ReleaseError, match=r"round 2 through Recording: No space left"):
        _release(Recording(error_at=2), rounds=3)


def test_an_error_in_the_last_round_is_told():
    with pytest.raises(ReleaseError, match="round 3"):
        _release(Recording(error_at=3), rounds=3)


def _release(manager, rounds):
    with Releases([manager]) as releases:
        for number in range(1, rounds + 1):
            releases.release({"loss": 1.0}, number)


def test_an_error_of_training_counts_more():
    def diverge():
        with Releases([Recording(error_at=1)]) as releases:
            releases.release({"loss": 1.0}, 1)
            raise FloatingPointError("diverged")

    with pytest.raises(FloatingPointError, match="diverged"):
        diverge()


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def release(path, numbers, scale=1.0):
    with Releases([csv_manager(path)]) as releases:
        for number in numbers:
            metrics = {"training_loss": number * scale}
            if number % 2 == 0:
                metrics["validation_loss"] = 0.5
            releases.release(metrics, number)


def test_csv_has_a_row_for_each_round(tmp_path):
    path = tmp_path / "deep" / "bank_a.csv"
    release(path, range(1, 5))
    assert [row["round"] for row in rows(path)] == ["1", "2", "3", "4"]
    assert [row["training_loss"] for row in rows(path)] == ["1.0", "2.0", "3.0", "4.0"]
    assert [row["validation_loss"] for row in rows(path)] == ["", "0.5", "", "0.5"]


def test_a_resumed_run_replaces_the_rounds_that_it_repeats(tmp_path):
    path, whole = tmp_path / "a.csv", tmp_path / "b.csv"
    release(path, range(1, 8), scale=9.0)
    release(path, range(1, 4))
    release(path, range(4, 6))
    release(whole, range(1, 6))
    assert path.read_text() == whole.read_text()


def test_half_a_row_and_half_a_file_are_tidied_away(tmp_path):
    path, whole = tmp_path / "a.csv", tmp_path / "b.csv"
    release(path, range(1, 12))
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"11,") + 1])  # reads as round 1
    (tmp_path / "a.csv_temp1234").write_text("round\n1")
    release(path, range(11, 14))
    release(whole, range(1, 14))
    assert path.read_text() == whole.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("content", ["", "round,trai"])
def test_a_file_without_a_header_begins_anew(tmp_path, content):
    """Such as after a power cut."""
    path, whole = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text(content)
    release(path, range(1, 3))
    release(whole, range(1, 3))
    assert path.read_text() == whole.read_text()


@pytest.mark.parametrize("content", ["round,x\nmine,1\n", "a,b\n1,2\n"])
def test_another_table_is_not_overwritten(tmp_path, content):
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(ReleaseError, match=r"can't go on with .*mine.csv"):
        csv_manager(path)
    assert path.read_text() == content


def test_a_tensorboard_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ReleaseError, match=r"can't write to .*file/below"):
        tensorboard_manager(tmp_path / "file" / "below")


def test_tensorboard_reads_the_scalars(tmp_path):
    with Releases([tensorboard_manager(tmp_path)]) as releases:
        releases.release({"training_loss": 0.5}, 1)
        releases.release({"training_loss": 0.25, "validation_loss": 2.0}, 2)
    del releases
    (path,) = tmp_path.glob("events.*")
    events = [
        (event.step, value.tag, tf.make_ndarray(value.tensor).item())
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert sorted(events) == [
        (1, "training_loss", 0.5),
        (2, "training_loss", 0.25),
        (2, "validation_loss", 2.0),
    ]
