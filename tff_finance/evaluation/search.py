"""A search for good settings by Optuna's tree-structured Parzen estimator.

Every trial is kept in an SQLite file, so that a search that was killed goes on with
the trials that are done, and ends as if it had never been. For that, a trial's
suggestions depend on the trials before it and on a seed of its own, and a trial that
was under way is run again. Source: Bergstra et al. (2011), "Algorithms for
Hyper-Parameter Optimization"; https://optuna.org.
"""

import contextlib
import pathlib
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np

from tff_finance import checks
from tff_finance.evaluation.trials import (
    COMPLETE,
    PRUNED,
    UNUSABLE,
    Settings,
    Trial,
    UnusableSettingsError,
)
from tff_finance.records.search_space import Choices, Dimension

try:
    import optuna
    import sqlalchemy.exc
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"a search needs {error.name}, which isn't installed: install tff-finance with "
        "its extra `tune`, or `optuna>=4,<5`.",
        name=error.name,
    ) from error

# Trials at random before the estimator has something to go by.
_AT_RANDOM = 10
# Complete trials before others are compared with them.
_COMPLETE_BEFORE_PRUNING = 5
_NAME = "search"

Objective = Callable[[Settings], Generator[float, None, None]]
"""Yields the losses of settings, one for each repetition; the search takes the mean."""


def run_search(
    objective: Objective,
    dimensions: Sequence[Dimension],
    *,
    trials: int,
    seed: int,
    file: pathlib.Path | None = None,
    prune: bool = False,
    done: Callable[[Sequence[Trial]], None] = lambda _: None,
) -> list[Trial]:
    """Searches for the settings of the least mean loss.

    Args:
        objective: What is minimized. Settings that it is asked about twice are not
            tried again: it always yields the same losses for the same settings.
        dimensions: What is varied, in order.
        trials: Number of trials in all, those of earlier processes included.
        seed: Of the suggestions.
        file: SQLite file that keeps trials; made if missing. Of one search alone, and
            used by one process at a time. None keeps nothing.
        prune: Whether trials are given up by Optuna's median rule: after a repetition
            that isn't the last, when 5 trials are complete, a trial ends if the least
            mean loss that it had after any repetition is above the median of complete
            trials' mean losses after as many.
        done: Takes all trials so far whenever one is done.

    Returns:
        The trials, in order. They may be more than were asked for, if an earlier
        process was asked for more.

    Raises:
        RunFailedError: If the file can't keep trials.
        ValueError: If `trials` is below 1.
    """
    checks.check_at_least("trials", trials, 1)
    with _study(file, prune=prune) as study:
        search = _Search(study, dimensions, objective, seed)
        search.forget_what_was_under_way()
        while len(search.trials()) < trials:
            search.run_trial()
            done(search.trials())
        return search.trials()


class _Search:
    """A study of Optuna's, and what is asked of it."""

    def __init__(
        self,
        study: optuna.Study,
        dimensions: Sequence[Dimension],
        objective: Objective,
        seed: int,
    ) -> None:
        self._study = study
        self._dimensions = dimensions
        self._objective = objective
        self._seed = seed

    def forget_what_was_under_way(self) -> None:
        """Gives up trials of a process that was killed: they have another number."""
        states = (optuna.trial.TrialState.RUNNING,)
        for trial in self._study.get_trials(states=states):
            self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def trials(self) -> list[Trial]:
        """Those that are done, in order."""
        states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        found = self._study.get_trials(deepcopy=False, states=states)
        return [self._read(n, trial) for n, trial in enumerate(found, start=1)]

    def run_trial(self) -> None:
        """Runs the next one."""
        before = self.trials()
        start = time.monotonic()
        # One for each trial, seeded by the number of trials before it: how a generator
        # stood would be lost with the process.
        seeds = np.random.SeedSequence([self._seed, len(before)])
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=_AT_RANDOM, seed=int(seeds.generate_state(1)[0])
        )
        trial = self._study.ask()
        settings = {d.name: _suggest(trial, d) for d in self._dimensions}
        losses, state, reason = [], COMPLETE, ""
        whole = next((len(t.losses) for t in before if t.state == COMPLETE), None)
        try:
            for loss in self._losses(settings, before):
                losses.append(loss)
                trial.report(float(np.mean(losses)), len(losses))
                # After the last repetition there is nothing left to spare.
                if len(losses) != whole and trial.should_prune():
                    state = PRUNED
                    break
        except UnusableSettingsError as error:
            state, reason = UNUSABLE, str(error)
        trial.set_user_attr("losses", losses)
        trial.set_user_attr("state", state)
        trial.set_user_attr("reason", reason)
        trial.set_user_attr("seconds", time.monotonic() - start)
        if state == COMPLETE:
            self._study.tell(trial, float(np.mean(losses)))
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)

    def _losses(self, settings: Settings, before: Sequence[Trial]) -> Iterator[float]:
        for trial in before:
            if trial.state == COMPLETE and trial.settings == settings:
                yield from trial.losses
                return
        with contextlib.closing(self._objective(settings)) as losses:
            yield from losses

    def _read(self, number: int, trial: optuna.trial.FrozenTrial) -> Trial:
        kept = trial.user_attrs
        return Trial(
            number=number,
            state=kept["state"],
            settings={
                d.name: _value(d, trial.params[d.name]) for d in self._dimensions
            },
            losses=tuple(kept["losses"]),
            reason=kept["reason"],
            seconds=kept["seconds"],
        )


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    if isinstance(dimension, Choices):
        text = trial.suggest_categorical(dimension.name, dimension.texts)
        return _value(dimension, text)
    if dimension.whole:
        return trial.suggest_int(
            dimension.name, int(dimension.low), int(dimension.high), log=dimension.log
        )
    return trial.suggest_float(
        dimension.name, dimension.low, dimension.high, log=dimension.log
    )


def _value(dimension: Dimension, kept: Any) -> Any:
    """A setting's value; choices are kept as texts."""
    if isinstance(dimension, Choices):
        return dimension.values[dimension.texts.index(kept)]
    return kept


@contextlib.contextmanager
def _study(file: pathlib.Path | None, *, prune: bool) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it has a line for each trial
    storage = None
    try:
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Not by the file's name in an address, where "?" would end it.
            storage = optuna.storages.RDBStorage(
                "sqlite:///trials.sqlite",
                engine_kwargs={"creator": lambda: sqlite3.connect(file)},
            )
        yield optuna.create_study(
            study_name=_NAME,
            storage=storage,
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_COMPLETE_BEFORE_PRUNING
            )
            if prune
            else optuna.pruners.NopPruner(),
        )
    except (sqlalchemy.exc.DatabaseError, optuna.exceptions.StorageInternalError) as e:
        raise checks.RunFailedError(
            f"{file} can't be used to keep trials: {e.__cause__ or e}. Delete it to "
            "begin anew."
        ) from e
    finally:
        if storage:
            storage.remove_session()
            storage.engine.dispose()
