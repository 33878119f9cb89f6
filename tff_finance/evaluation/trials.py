"""Trials of a search for settings: what was tried, and what came of it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tff_finance import checks
from tff_finance.records.search_space import setting_text

COMPLETE, PRUNED, UNUSABLE = "complete", "pruned", "unusable"

Settings = Mapping[str, Any]


class UnusableSettingsError(ValueError):
    """Settings that make no sense together, or under which training diverges."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """What was found out about some settings.

    Attributes:
        number: Counted from 1.
        state: "complete"; "pruned" if it was given up as worse than most; "unusable".
        settings: By name.
        losses: One for each repetition that was run.
        reason: Why the settings are unusable; empty if they aren't.
        seconds: Wall time.
    """

    number: int
    state: str
    settings: Settings
    losses: tuple[float, ...]
    reason: str
    seconds: float

    @property
    def loss(self) -> float | None:
        """The mean of the losses; None unless all repetitions were run."""
        return float(np.mean(self.losses)) if self.state == COMPLETE else None


def best(trials: Sequence[Trial]) -> Trial:
    """The complete trial of the least loss, the first of several.

    Args:
        trials: Of `run_search`.

    Returns:
        The trial.

    Raises:
        RunFailedError: If no trial is complete.
    """
    complete = [trial for trial in trials if trial.loss is not None]
    if not complete:
        reason = next((trial.reason for trial in trials if trial.reason), "")
        raise checks.RunFailedError(
            f"none of the {len(trials)} trials has usable settings; the first: "
            f"{reason or 'none was run'}"
        )
    return min(complete, key=lambda trial: (trial.loss, trial.number))


def settings_text(settings: Settings) -> str:
    """Settings in one line, as flags take them, numbers shortened."""
    texts = {
        name: f"{value:.4g}" if isinstance(value, float) else setting_text(value)
        for name, value in settings.items()
    }
    return " ".join(f"{name}={text}" for name, text in texts.items())


def trial_line(trials: Sequence[Trial], total: int) -> str:
    """What the last trial came to, and the best so far."""
    last = trials[-1]
    outcome = last.state if last.loss is None else f"{last.loss:.5f}"
    line = f"trial {last.number} of {total}  {outcome}  {settings_text(last.settings)}"
    line += f"  {last.seconds:.1f} s"
    if any(trial.loss is not None for trial in trials):
        found = best(trials)
        line += f"  (best: {found.loss:.5f}, trial {found.number})"
    return line


def trial_table(trials: Sequence[Trial], seeds: Sequence[int]) -> pd.DataFrame:
    """All trials, a row each: settings as flags take them, and losses by seed."""
    return pd.DataFrame(
        [
            {
                "trial": trial.number,
                "state": trial.state,
                "loss": trial.loss,
                "reason": trial.reason,
                "seconds": trial.seconds,
            }
            | {name: setting_text(value) for name, value in trial.settings.items()}
            | {
                f"loss_{seed}": trial.losses[n] if n < len(trial.losses) else None
                for n, seed in enumerate(seeds)
            }
            for trial in trials
        ]
    )


def flag_file(
    settings: Settings, *, comments: Sequence[str], given: Sequence[str] = ()
) -> str:
    """Settings as a file that `--flagfile` takes, after flags that were `given`."""
    lines = [*(f"# {comment}" for comment in comments), *given]
    lines += [f"--{name}={setting_text(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"
