"""Rounds that begin are remembered, and those that are repeated cost privacy."""

import pytest

from tests.training.scripted_training import (
    START,
    CountingProcess,
    KilledError,
    resumable,
)
from tff_finance.checks import RunFailedError
from tff_finance.training.begun_rounds import BegunRounds
from tff_finance.training.checkpoints import CheckpointError
from tff_finance.training.progress import StoppingRule, releases_of_passes


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


def test_a_private_training_whose_checkpoint_is_gone_does_not_begin_anew(tmp_path):
    """Its noise would be another one, but its rounds would count as the same."""
    stopping = StoppingRule(
        max_rounds=5, patience=None, max_releases=5, count_releases=lambda n: len({*n})
    )
    options = {"losses": [3.0] * 5, "stopping": stopping}
    count = tmp_path / "begun"
    with pytest.raises(KilledError):
        resumable(
            tmp_path / "state", kill_at=3, begun_rounds=BegunRounds(count), **options
        )
    with pytest.raises(CheckpointError, match="3 rounds of this private training were"):
        resumable(tmp_path / "lost", begun_rounds=BegunRounds(count), **options)


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "begun"
    path.write_text(".....")
    with pytest.raises(CheckpointError, match=r"can't read which rounds .*begun: inv"):
        BegunRounds(path)


def test_a_round_that_can_not_be_counted_does_not_begin(tmp_path):
    (tmp_path / "file").touch()
    begun = BegunRounds(tmp_path / "file" / "global")
    with pytest.raises(CheckpointError, match=r"can't count rounds in .*global"):
        resumable(tmp_path / "state", [3.0], begun_rounds=begun)
    assert not begun.numbers
