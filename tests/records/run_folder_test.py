"""The output folder: parts stay, other runs are refused, nobody else writes."""

import json
import multiprocessing
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.run_record_test import record
from tff_finance import checks
from tff_finance.records import files
from tff_finance.records.run_folder import DifferentRunError, RunFolder, differences

CONFIG = {"seeds": [0, 1], "training": {"rounds": 60, "hidden_units": [32, 16]}}
VERSIONS = {"python": "3.11.7", "numpy": "1.26"}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(directory=tmp_path / "run")


def claim(folder, config=CONFIG, versions=VERSIONS):
    with folder.claim(config=config, versions=versions):
        pass


def test_the_same_run_is_taken_up_again(folder):
    claim(folder)
    claim(folder)
    claim(folder, config=json.loads(json.dumps(CONFIG)))


@pytest.mark.parametrize(
    ("config", "versions", "named"),
    [
        (CONFIG | {"seeds": [0, 2]}, VERSIONS, "config.seeds was [0, 1] and is now"),
        (
            CONFIG | {"training": CONFIG["training"] | {"rounds": 100}},
            VERSIONS,
            "config.training.rounds was 60 and is now 100",
        ),
        (CONFIG, VERSIONS | {"numpy": "2.0"}, 'versions.numpy was "1.26" and is now'),
        (CONFIG | {"new": 1}, VERSIONS, "config.new was absent and is now 1"),
        ({"seeds": [0, 1]}, VERSIONS, "is now absent"),
    ],
)
def test_another_run_is_refused_with_the_difference(folder, config, versions, named):
    claim(folder)
    before = (folder.directory / "checkpoints" / "run.json").read_bytes()
    with pytest.raises(DifferentRunError) as raised:
        claim(folder, config=config, versions=versions)
    assert named in str(raised.value)
    assert str(folder.directory) in str(raised.value)
    assert (folder.directory / "checkpoints" / "run.json").read_bytes() == before
    claim(folder)


def test_many_differences_are_not_all_told(folder):
    claim(folder, config={str(number): number for number in range(20)})
    with pytest.raises(DifferentRunError, match=r"; and 15 more$"):
        claim(folder, config={str(number): -1 - number for number in range(20)})


def test_a_result_without_checkpoints_is_not_overwritten_by_another_run(folder):
    folder.write_record(record())
    with pytest.raises(DifferentRunError, match="holds another run: config"):
        claim(folder)
    claim(folder, config=record().config, versions=record().versions)


@pytest.mark.parametrize("content", ["{", "[]", '{"config": {}}'])
def test_unreadable_settings_are_an_error(folder, content):
    claim(folder)
    path = folder.directory / "checkpoints" / "run.json"
    path.write_text(content)
    with pytest.raises(checks.RunFailedError, match=r"run.json can't be read"):
        claim(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text(max_size=3), below, max_size=3)
    ),
    max_leaves=8,
)
mappings = st.dictionaries(st.text(max_size=3), json_values, max_size=4)


@given(mappings, mappings)
def test_mappings_have_no_differences_only_if_they_are_equal(before, now):
    assert differences(before, before) == []
    assert bool(differences(before, now)) == (before != now)


def test_finished_parts_stay_and_training_goes(folder):
    part = "seed_0/fed_avg"
    assert folder.finished(part) is None
    (folder.training(part) / "global").mkdir(parents=True)
    folder.finish(part, record())
    assert folder.finished(part) == record()
    assert folder.finished("seed_0/fed_sgd") is None
    assert not folder.training(part).exists()


def test_training_stays_until_its_part_is_written(folder, monkeypatch):
    part = "seed_0/fed_avg"
    (folder.training(part) / "global").mkdir(parents=True)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_json", full)
        with pytest.raises(OSError, match="No space left"):
            folder.finish(part, record())
    assert (folder.training(part) / "global").exists()


def test_training_left_by_a_kill_right_after_the_record_goes(folder):
    part = "seed_0/fed_avg"
    folder.finish(part, record())
    (folder.training(part) / "global").mkdir(parents=True)
    assert folder.finished(part) == record()
    assert not folder.training(part).exists()


def test_a_part_half_written_is_not_finished(folder, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.finish("seed_0/fed_avg", record())
    assert folder.finished("seed_0/fed_avg") is None
    monkeypatch.undo()
    folder.finish("seed_0/fed_avg", record())
    assert folder.finished("seed_0/fed_avg") == record()


def test_a_damaged_part_is_an_error_that_says_what_to_delete(folder):
    part = "seed_0/fed_avg"
    folder.finish(part, record())
    path = folder.directory / "checkpoints" / part / "record"
    (path / "metrics.csv").write_text("seed\n")
    with pytest.raises(checks.RunFailedError, match=f"Delete {path} to have"):
        folder.finished(part)
    shutil.rmtree(path)
    assert folder.finished(part) is None


def test_discard_deletes_what_a_run_made_and_nothing_else(folder):
    claim(folder)
    folder.finish("seed_0/fed_avg", record())
    folder.write_record(record())
    for name in ("metrics", "tensorboard", "mine"):
        (folder.directory / name).mkdir()
    (folder.directory / "summary.json").touch()
    (folder.directory / "notes.txt").touch()
    folder.discard()
    left = {path.name for path in folder.directory.iterdir()}
    assert left == {"mine", "notes.txt", ".lock"}
    claim(folder, config={"another": "run"})


@pytest.mark.parametrize("kills_before", range(1, 4))
def test_killed_while_discarding_the_folder_still_refuses_another_run(
    folder, monkeypatch, kills_before
):
    """Parts that are left must not become parts of another run."""
    claim(folder)
    for part in ("seed_0/fed_avg", "seed_1/fed_avg"):
        folder.finish(part, record())
    folder.write_record(record(config=CONFIG, versions=VERSIONS))
    rmtree, calls = shutil.rmtree, []

    def killed(path):
        calls.append(path)
        if len(calls) == kills_before:
            raise KeyboardInterrupt
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.discard()
    with pytest.raises(DifferentRunError):
        claim(folder, config={"another": "run"})


def test_discard_deletes_a_link_and_not_what_it_leads_to(folder, tmp_path):
    claim(folder)
    (tmp_path / "mine").mkdir()
    (folder.directory / "metrics").symlink_to(tmp_path / "mine")
    folder.discard()
    assert not (folder.directory / "metrics").is_symlink()
    assert (tmp_path / "mine").exists()


def _claim_in_another_process(directory, results):
    folder = RunFolder(directory=directory)
    for action in (lambda: claim(folder), folder.discard):
        try:
            action()
        except checks.RunFailedError as error:
            results.put(str(error))
        else:
            results.put("claimed")


def ask_another_process(folder):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(
        target=_claim_in_another_process, args=(folder.directory, results)
    )
    process.start()
    told = [results.get(timeout=60) for _ in range(2)]
    process.join(timeout=60)
    return told


def test_one_process_at_a_time(folder):
    with folder.claim(config=CONFIG, versions=VERSIONS):
        told = ask_another_process(folder)
        assert all("another process is running in" in line for line in told)
        assert (folder.directory / "checkpoints" / "run.json").exists()
    assert ask_another_process(folder) == ["claimed", "claimed"]


def test_scratch_is_empty_at_first_and_gone_afterwards(folder):
    left = folder.directory / "checkpoints" / "scratch" / "of_a_killed_process"
    left.mkdir(parents=True)
    with folder.scratch() as directory:
        assert list(directory.iterdir()) == []
        (directory / "file").touch()
    assert not directory.exists()


def test_negative_seconds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`checkpoint_seconds` must be at least 0"):
        RunFolder(directory=tmp_path, checkpoint_seconds=-1.0)
