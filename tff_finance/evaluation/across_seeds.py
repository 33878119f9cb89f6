"""Bootstrap intervals of several seeds together, the spread over seeds apart.

Two sources of variation, never mixed into one number: which customers happen to be
in the test table (the intervals within seeds) and how training happened to go (the
spread over seeds). More seeds don't add customers, so they don't narrow the first.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tff_finance.evaluation.bootstrap import PairedDifference
from tff_finance.metrics.derived import Undefined, Value

COVERS = "choice of test rows, within seeds"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DifferenceOverSeeds:
    """A metric's difference between two methods, trained under several seeds.

    Attributes:
        by_seed: The paired difference under each seed.
        mean: Mean over seeds; undefined if it is under any of them.
        ci95: Means over seeds of the lower and of the upper limits: the interval
            of the mean's test rows if seeds share them, and too wide rather than
            too narrow if they don't.
        spread: Standard deviation over seeds of the differences.
    """

    by_seed: Mapping[int, PairedDifference]
    mean: Value
    ci95: tuple[float, float] | Undefined
    spread: Value

    def to_json(self) -> dict[str, Any]:
        """As `summary.json` holds values, with keys added.

        Returns:
            `{"mean", "ci95", "values"}` and `covers` (what `ci95` is about),
            `within_seeds` (each seed's interval), `over_seeds` (standard
            deviation, least and greatest difference), `test_rows`,
            `resampled_units` and `resamples` by seed. What is undefined is null,
            with its reason.
        """
        if isinstance(self.mean, Undefined):
            return {"mean": None, "reason": self.mean.reason}
        summary: dict[str, Any] = {"mean": self.mean}
        if isinstance(self.ci95, Undefined):
            summary |= {"ci95": None, "reason": self.ci95.reason}
        else:
            summary |= {"ci95": list(self.ci95)}
        seeds = self.by_seed.values()
        values, _ = _split([seed.difference for seed in seeds])
        over_seeds: dict[str, Any] = {"sd": self.spread}
        if isinstance(self.spread, Undefined):
            over_seeds = {"sd": None, "reason": self.spread.reason}
        return summary | {
            "values": values,
            "covers": COVERS,
            "within_seeds": [
                None if isinstance(seed.ci95, Undefined) else list(seed.ci95)
                for seed in seeds
            ],
            "over_seeds": over_seeds | {"min": min(values), "max": max(values)},
            "test_rows": [seed.rows for seed in seeds],
            "resampled_units": [seed.units for seed in seeds],
            "resamples": [seed.resamples for seed in seeds],
        }


def over_seeds(by_seed: Mapping[int, PairedDifference]) -> DifferenceOverSeeds:
    """Puts the paired differences of several seeds together.

    Args:
        by_seed: From `paired_bootstrap`, one metric; at least one seed.

    Returns:
        Their mean, its interval over test rows, and the spread over seeds.

    Raises:
        ValueError: If there is no seed.
    """
    if not by_seed:
        raise ValueError("`by_seed` must hold at least one seed, got none.")
    return DifferenceOverSeeds(
        by_seed=dict(by_seed),
        mean=_mean([seed.difference for seed in by_seed.values()]),
        ci95=_mean_limits([seed.ci95 for seed in by_seed.values()]),
        spread=_spread([seed.difference for seed in by_seed.values()]),
    )


def _mean(values: list[Value]) -> Value:
    defined, undefined = _split(values)
    return undefined or float(np.mean(defined))


def _spread(values: list[Value]) -> Value:
    defined, undefined = _split(values)
    if undefined:
        return undefined
    if len(defined) < 2:  # noqa: PLR2004
        return Undefined("one seed has no spread")
    return float(np.std(defined, ddof=1))


def _mean_limits(
    intervals: list[tuple[float, float] | Undefined],
) -> tuple[float, float] | Undefined:
    defined, undefined = _split(intervals)
    if undefined:
        return undefined
    low, high = np.mean(defined, axis=0)
    return float(low), float(high)


def _split(values: list[Any]) -> tuple[list[Any], Undefined | None]:
    """The defined values, and the first that is not."""
    undefined = [value for value in values if isinstance(value, Undefined)]
    defined = [value for value in values if not isinstance(value, Undefined)]
    return defined, next(iter(undefined), None)
