"""The search: finds a minimum, ends the same however often it was killed."""

import dataclasses
import math
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from tff_finance import checks
from tff_finance.evaluation.search import run_search
from tff_finance.evaluation.trials import UnusableSettingsError, best, settings_text
from tff_finance.records.search_space import parse_search

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIMENSIONS = parse_search(
    ["client_learning_rate=0.001:10:log", "local_epochs=1,2,5", "batch_size=16:512"]
)


def losses_of(settings):
    """A bowl in the logarithm of the rate, least at 0.1 and 2 epochs."""
    rate, epochs = settings["client_learning_rate"], settings["local_epochs"]
    bowl = math.log10(rate / 0.1) ** 2 + (epochs != 2)
    bowl += abs(settings["batch_size"] - 100) / 1000
    yield from (bowl, bowl + 0.5)


def run(trials=25, **options):
    options = {"seed": 3} | options
    return run_search(losses_of, DIMENSIONS, trials=trials, **options)


def without_seconds(trials):
    return [dataclasses.replace(trial, seconds=0.0) for trial in trials]


@pytest.fixture(scope="module")
def whole():
    return without_seconds(run())


def test_a_minimum_is_found(whole):
    found = best(whole)
    assert found.loss == min(trial.loss for trial in whole)
    assert found.settings["local_epochs"] == 2
    assert 0.03 < found.settings["client_learning_rate"] < 0.3
    # It is no search at random: what is tried later is better.
    early, late = whole[:10], whole[-10:]
    assert sum(t.loss for t in late) < sum(t.loss for t in early)


def test_loss_is_the_mean_of_the_repetitions(whole):
    for trial in whole:
        assert trial.losses == tuple(losses_of(trial.settings))
        assert trial.loss == pytest.approx(trial.losses[0] + 0.25)


def test_settings_are_of_their_types_and_within_their_limits(whole):
    for trial in whole:
        assert list(trial.settings) == [d.name for d in DIMENSIONS]
        assert 0.001 <= trial.settings["client_learning_rate"] <= 10
        assert trial.settings["local_epochs"] in {1, 2, 5}
        assert type(trial.settings["batch_size"]) is int
        assert 16 <= trial.settings["batch_size"] <= 512
    assert [trial.number for trial in whole] == list(range(1, 26))


def test_the_seed_decides_what_is_tried(whole):
    assert without_seconds(run()) == whole
    assert run(trials=1, seed=4)[0].settings != whole[0].settings


def test_a_search_goes_on_trial_by_trial(whole, tmp_path):
    """Also to more trials than it was first asked for, and never to fewer."""
    file = tmp_path / "odd ?#%.name" / "trials.sqlite"
    assert without_seconds(run(trials=4, file=file)) == whole[:4]
    assert without_seconds(run(trials=13, file=file)) == whole[:13]
    assert without_seconds(run(trials=2, file=file)) == whole[:13]
    assert file.exists()


@pytest.mark.parametrize("deadly", [1, 12])
def test_a_killed_trial_is_run_again(whole, tmp_path, monkeypatch, deadly):
    """Killed between its losses, in a process that got no further."""
    file, calls = tmp_path / "trials.sqlite", []

    def dying(settings):
        calls.append(settings)
        for loss in losses_of(settings):
            yield loss
            if len(calls) == deadly:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(dying, DIMENSIONS, trials=25, seed=3, file=file)
    assert without_seconds(run(trials=13, file=file)) == whole[:13]


KILLED = """
import os, signal, sys
from tests.evaluation import search_test
calls = []
def deadly(settings):
    for loss in losses_of(settings):
        calls.append(loss)
        if len(calls) == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        yield loss
losses_of = search_test.losses_of
search_test.losses_of = deadly
search_test.run(file=search_test.pathlib.Path(sys.argv[1]))
"""


def test_a_search_survives_sigkill(whole, tmp_path):
    file = tmp_path / "trials.sqlite"
    code = subprocess.run(
        [sys.executable, "-c", KILLED, str(file)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    ).returncode
    assert code == -signal.SIGKILL
    assert without_seconds(run(trials=1, file=file)) == whole[:6]
    assert without_seconds(run(trials=8, file=file)) == whole[:8]


def test_what_is_done_is_told_after_every_trial():
    told = []
    run(trials=3, done=lambda trials: told.append([t.number for t in trials]))
    assert told == [[1], [1, 2], [1, 2, 3]]


def test_pruned_trials_are_worse_than_most_and_never_best():
    trials = run(prune=True)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    firsts = sorted(t.losses[0] for t in trials)
    for trial in pruned:
        assert (len(trial.losses), trial.loss) == (1, None)
        assert trial.losses[0] > firsts[0]
    assert best(trials).state == "complete"


def losses_by_luck(settings):
    """Three repetitions, whose order matters for what is known after each."""
    luck = np.random.default_rng(settings["batch_size"]).normal(scale=2.0, size=3)
    yield from next(losses_of(settings)) + luck


def given_up_after(trial, complete):
    """By the rule of docs/tuning.md; None for never."""
    means = [np.mean(trial.losses[:n]) for n in range(1, 4)]
    for seeds in (1, 2):
        median = np.median([np.mean(t.losses[:seeds]) for t in complete])
        if len(complete) >= 5 and min(means[:seeds]) > median:
            return seeds
    return None


def test_trials_are_given_up_by_the_rule_and_no_others():
    trials = run_search(losses_by_luck, DIMENSIONS, trials=60, seed=1, prune=True)
    complete, ends, spared = [], set(), 0
    for trial in trials:
        whole = dataclasses.replace(trial, losses=tuple(losses_by_luck(trial.settings)))
        expected = given_up_after(whole, complete) if complete else None
        assert len(trial.losses) == (expected or 3)
        assert trial.state == ("pruned" if expected else "complete")
        ends.add(expected)
        if trial.state == "complete":
            # Worse than the median to the end, it was complete all the same.
            spared += bool(complete) and trial.loss > np.median(
                [t.loss for t in complete]
            )
            complete.append(trial)
    assert ends == {None, 1, 2}
    assert spared
    assert len(complete) < len(trials) / 2


def test_pruning_goes_on_as_well(tmp_path):
    file = tmp_path / "trials.sqlite"
    run(trials=12, prune=True, file=file)
    resumed = run(trials=15, prune=True, file=file)
    assert without_seconds(resumed) == without_seconds(run(trials=15, prune=True))


def test_unusable_settings_are_told_apart_and_avoided():
    def objective(settings):
        if settings["client_learning_rate"] > 0.5:
            raise UnusableSettingsError("it diverged")
        yield from losses_of(settings)

    trials = run_search(objective, DIMENSIONS, trials=25, seed=3)
    bad = [trial for trial in trials if trial.state == "unusable"]
    assert {(trial.reason, trial.loss, trial.losses) for trial in bad} == {
        ("it diverged", None, ())
    }
    assert len([t for t in bad if t.number > 15]) < len(
        [t for t in bad if t.number < 11]
    )
    assert best(trials).settings["client_learning_rate"] <= 0.5


def test_no_usable_settings_at_all():
    def objective(settings):
        raise UnusableSettingsError(f"it diverged at {settings['local_epochs']}")
        yield

    trials = run_search(objective, DIMENSIONS, trials=2, seed=3)
    with pytest.raises(checks.RunFailedError, match=r"none of the 2 trials.*diverged"):
        best(trials)


def test_settings_met_before_are_not_tried_again():
    tried = []

    def objective(settings):
        tried.append(settings["local_epochs"])
        yield 1.0 / settings["local_epochs"]

    dimensions = parse_search(["local_epochs=1,2,5"])
    trials = run_search(objective, dimensions, trials=12, seed=0)
    assert sorted(tried) == sorted(set(tried))
    assert len(trials) == 12
    for trial in trials:
        assert trial.loss == 1.0 / trial.settings["local_epochs"]


def test_an_objective_is_closed_when_its_trial_is_pruned():
    opened, closed = [], []

    def objective(settings):
        opened.append(settings)
        try:
            yield from losses_of(settings)
        finally:
            closed.append(settings)

    run_search(objective, DIMENSIONS, trials=20, seed=3, prune=True)
    assert closed == opened


def test_a_file_of_something_else_is_refused(tmp_path):
    file = tmp_path / "trials.sqlite"
    file.write_bytes(b"somebody's notes, long enough to be no database " * 20)
    with pytest.raises(checks.RunFailedError, match=r"trials.sqlite can't be used"):
        run(file=file)


def test_without_optuna_the_message_says_what_to_install():
    program = "import sys; sys.modules['optuna'] = None; import tff_finance.evaluation"
    result = subprocess.run(
        [sys.executable, "-c", f"{program}.search"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "extra `tune`, or `optuna>=4,<5`" in result.stderr.splitlines()[-1]


def test_too_few_trials_are_refused():
    with pytest.raises(ValueError, match="`trials` must be at least 1, got 0"):
        run(trials=0)


def test_settings_as_a_line():
    settings = {"client_learning_rate": 0.123456, "hidden_units": (32, 16)}
    assert settings_text(settings) == "client_learning_rate=0.1235 hidden_units=32,16"
