"""Institution state: versions by round, torn files, names, other models."""

import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tff_finance.institutions.state import InstitutionStateFiles

SPEC = (tf.TensorSpec([2, 3]), tf.TensorSpec([]), tf.TensorSpec([4]))
ZEROS = tuple(tf.zeros(spec.shape) for spec in SPEC)


@pytest.fixture
def files(tmp_path):
    return InstitutionStateFiles(str(tmp_path))


def filled(value):
    """A state with a different number in each place."""
    return tuple(
        value
        + 100.0 * i
        + tf.reshape(tf.range(float(spec.shape.num_elements())), spec.shape)
        for i, spec in enumerate(SPEC)
    )


def write(files, institution, round_number, state):
    files.write(tf.constant(institution), tf.constant(round_number), state)


def read(files, institution, round_number, spec=SPEC):
    return files.read(tf.constant(institution), tf.constant(round_number), spec)


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for left, right in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_next_round_reads_what_a_round_wrote(files):
    assert_same(read(files, "bank_a", 0), ZEROS)
    write(files, "bank_a", 0, filled(0.5))
    assert_same(read(files, "bank_a", 1), filled(0.5))
    assert_same(read(files, "bank_a", 0), ZEROS)  # what round 0 read the first time
    assert_same(read(files, "bank_b", 1), ZEROS)  # another institution


def test_the_newest_version_up_to_the_round_is_read(files):
    for number in (0, 8, 9, 10, 99, 100):  # 9 -> 10 -> 100: not in textual order
        write(files, "bank_a", number, filled(number))
    for number, version in ((1, 0), (8, 0), (9, 8), (10, 9), (11, 10), (50, 10)):
        assert_same(read(files, "bank_a", number), filled(version))
    assert_same(read(files, "bank_a", 100), filled(99))
    assert_same(read(files, "bank_a", 2**31 - 1), filled(100))


def test_writing_a_round_again_replaces_a_torn_file(files, tmp_path):
    write(files, "bank_a", 4, filled(1))
    path = tmp_path / "bank_a" / "round_00000005"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="parse"):
        read(files, "bank_a", 5)
    assert_same(read(files, "bank_a", 4), ZEROS)  # repeating round 4 never reads it
    write(files, "bank_a", 4, filled(1))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("other", [SPEC[:2], (*SPEC, tf.TensorSpec([1])), ()])
def test_the_state_of_another_model_is_refused(files, other):
    write(files, "bank_a", 0, filled(1))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="shape"):
        read(files, "bank_a", 1, other)


def test_reads_and_writes_in_order_within_a_graph(files):
    @tf.function
    def add_one(institution, number):
        state = files.read(institution, number, SPEC)
        files.write(institution, number, tuple(part + 1 for part in state))

    for number in range(3):
        for _ in range(2):  # a retry
            add_one(tf.constant("bank_a"), tf.constant(number))
    assert_same(read(files, "bank_a", 3), tuple(part + 3 for part in ZEROS))


@pytest.mark.parametrize("name", ["Bank [A]", "b*", "b?", "a\\b", "Bänk & Söhne 1"])
def test_names_are_taken_literally(tmp_path, name):
    files = InstitutionStateFiles(str(tmp_path / "run [1]*"))
    write(files, name, 0, filled(1))
    write(files, "bank_b", 0, filled(2))
    write(files, "ba", 0, filled(3))
    assert_same(read(files, name, 1), filled(1))
    assert_same(read(files, "b" + name, 1), ZEROS)


def test_a_pattern_of_a_name_opens_no_other_institutions_state(files):
    write(files, "bank_b", 0, filled(2))
    assert_same(read(files, "bank_*", 1), ZEROS)
    assert_same(read(files, "bank_?", 1), ZEROS)


def test_other_files_in_the_folder_are_ignored(files, tmp_path):
    write(files, "bank_a", 0, filled(1))
    for name in ("round_00000001.bak", "round_notes.txt", "README"):
        (tmp_path / "bank_a" / name).write_text("not a state")
    assert_same(read(files, "bank_a", 1), filled(1))


def kept(files):
    return sorted(
        f"{path.parent.name} {int(path.name[-8:])}"
        for path in pathlib.Path(files.directory).rglob("round_*")
    )


@pytest.fixture
def history(files):
    """bank_a took part in rounds 0 to 4, bank_b in 0 and 3."""
    for number in range(5):
        write(files, "bank_a", number, filled(number))
    for number in (0, 3):
        write(files, "bank_b", number, filled(-number))
    return files


def test_drop_after_leaves_what_a_checkpoint_goes_with(history):
    history.drop_after(3)
    assert kept(history) == ["bank_a 1", "bank_a 2", "bank_a 3", "bank_b 1"]
    assert_same(read(history, "bank_b", 3), filled(0))


def test_before_the_first_round_no_state_is_left(history):
    history.drop_after(0)
    assert kept(history) == []


@pytest.mark.parametrize("round_number", range(7))
def test_drop_before_takes_nothing_that_is_still_read(history, round_number):
    rounds = itertools.product(("bank_a", "bank_b", "bank_c"), range(round_number, 9))
    before = {key: [part.numpy() for part in read(history, *key)] for key in rounds}
    history.drop_before(round_number)
    for key, expected in before.items():
        assert_same(read(history, *key), expected)


def test_drop_before_drops_all_else(history):
    history.drop_before(3)
    # bank_b's next version is 4, and round 3 reads its version 1.
    assert kept(history) == ["bank_a 3", "bank_a 4", "bank_a 5", "bank_b 1", "bank_b 4"]


def test_drop_before_can_keep_what_an_earlier_round_reads(history):
    history.drop_before(5, keep=2)
    assert kept(history) == ["bank_a 2", "bank_a 5", "bank_b 1", "bank_b 4"]


def test_fingerprint_is_of_what_a_round_reads(history):
    third = history.fingerprint(3)
    assert history.fingerprint(4) != third
    history.drop_after(3)
    history.drop_before(3)
    assert history.fingerprint(3) == third  # what isn't read doesn't count
    path = pathlib.Path(history.directory) / "bank_b" / "round_00000001"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert history.fingerprint(3) != third
    path.write_bytes(content)
    assert history.fingerprint(3) == third
    # The same content as of another round isn't what the checkpoint goes with.
    path.rename(path.with_name("round_00000002"))
    assert history.fingerprint(3) != third
    path.with_name("round_00000002").unlink()
    assert history.fingerprint(3) != third


def test_a_run_that_has_no_state_yet_has_a_fingerprint(tmp_path):
    files = InstitutionStateFiles(str(tmp_path / "new"))
    files.drop_after(0)
    files.drop_before(0)
    assert files.fingerprint(0) == InstitutionStateFiles(str(tmp_path)).fingerprint(9)
