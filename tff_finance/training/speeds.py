"""How fast institutions are on a simulated clock, and when they are down."""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np

from tff_finance import checks
from tff_finance.records.asynchronous_config import (
    FROM_FILE,
    AsynchronousConfig,
    InstitutionTimes,
)
from tff_finance.training.outages import Outage, random_outages
from tff_finance.training.simulated_clock import Site

# Keep the draws apart from each other and from what else a seed decides.
_SPEEDS, _OUTAGES = 101, 102
# Of the outages that a round would meet on average: it then takes 150 tries.
_MOST_OUTAGES = 5.0


def sites(config: AsynchronousConfig, names: Sequence[str], seed: int) -> list[Site]:
    """The institutions on the clock of a run.

    Args:
        config: With a clock.
        names: Of the institutions, in order.
        seed: Of speeds and outages that are drawn.

    Returns:
        A site for each, in order.

    Raises:
        UnfitSettingsError: If the file that times are from lacks an institution, or
            if outages are so frequent that a round is hardly ever finished.
    """
    return [
        _site(config, times, [seed, _OUTAGES, number])
        for number, times in enumerate(_times(config, names, seed))
    ]


def _times(
    config: AsynchronousConfig, names: Sequence[str], seed: int
) -> list[InstitutionTimes]:
    if config.institution_seconds == FROM_FILE:
        known = {times.institution: times for times in config.institutions}
        if missing := [name for name in names if name not in known]:
            raise checks.UnfitSettingsError(
                f"The file of --institution_seconds has no times of {missing}; it has "
                f"those of {sorted(known)}."
            )
        return [known[name] for name in names]
    name, numbers = config.distribution
    rng = np.random.default_rng([seed, _SPEEDS])
    seconds = np.full(len(names), numbers[0])
    if name == "lognormal":
        seconds *= np.exp(numbers[1] * rng.standard_normal(len(names)))
    elif name == "one_slow":
        seconds[rng.integers(len(names))] *= numbers[1]
    return [
        InstitutionTimes(institution=institution, seconds=float(each))
        for institution, each in zip(names, seconds, strict=True)
    ]


def _site(
    config: AsynchronousConfig, times: InstitutionTimes, seed: Sequence[int]
) -> Site:
    expected = config.outage_rate * times.round_seconds
    if expected > _MOST_OUTAGES:
        raise checks.UnfitSettingsError(
            f"`outage_rate` of {config.outage_rate:g} gives {times.institution} "
            f"{expected:g} outages in a round of {times.round_seconds:g} s: it would "
            f"hardly ever finish one. At most {_MOST_OUTAGES:g} are allowed."
        )

    def outages() -> Iterable[Outage]:
        stated = [Outage(*interval) for interval in times.outages]
        drawn = random_outages(config.outage_rate, config.outage_seconds, seed=seed)
        return joined(stated, drawn)

    return Site(
        name=times.institution, round_seconds=times.round_seconds, outages=outages
    )


def joined(*kinds: Iterable[Outage]) -> Iterable[Outage]:
    """Outages of several kinds in order, those that overlap or touch as one.

    Args:
        kinds: Each in ascending order; maybe endless.

    Yields:
        Outages that don't overlap.
    """
    current = None
    for outage in heapq.merge(*kinds):
        if current is None:
            current = outage
        elif outage.start <= current.end:
            current = Outage(current.start, max(current.end, outage.end))
        else:
            yield current
            current = outage
    if current is not None:
        yield current
