"""Configuration of simulated time, and of asynchronous training on it."""

import dataclasses
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tff_finance import checks

DISTRIBUTIONS: Mapping[str, int] = {"equal": 1, "lognormal": 2, "one_slow": 2}
"""Of round durations, with how many numbers each takes."""
FROM_FILE = "file"
FED_BUFF_SECONDS = "lognormal(60, 0.5)"
"""What FedBuff, which can't do without, takes where no times are given."""
_NUMBER = r"\s*([0-9.eE+-]+)\s*"
_TEXT = re.compile(rf"(\w+)\({_NUMBER}(?:,{_NUMBER})?\)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstitutionTimes:
    """How long an institution takes, in simulated seconds.

    Attributes:
        institution: Its name.
        seconds: Of local training in a round.
        download_seconds: Before that.
        upload_seconds: After it.
        outages: Intervals in which it is down, ascending.
    """

    institution: str
    seconds: float
    download_seconds: float = 0.0
    upload_seconds: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuses times that make no sense."""
        of = f"of {self.institution}"
        checks.check_positive(f"seconds {of}", self.seconds)
        checks.check_at_least(f"download_seconds {of}", self.download_seconds, 0)
        checks.check_at_least(f"upload_seconds {of}", self.upload_seconds, 0)
        times = list(itertools.chain(*self.outages))
        for time in times:
            checks.check_at_least(f"outages {of}", time, 0)
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise ValueError(
                f"`outages {of}` must be intervals in ascending order that don't "
                f"overlap, got {[list(outage) for outage in self.outages]}."
            )

    @property
    def round_seconds(self) -> float:
        """Of a whole round."""
        return self.download_seconds + self.seconds + self.upload_seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class AsynchronousConfig:
    """Simulated time and FedBuff.

    Attributes:
        institution_seconds: How long institutions take for a round: "equal(60)",
            60 simulated seconds each; "lognormal(60, 0.5)", drawn by seed with
            median 60 and standard deviation 0.5 of the logarithm; "one_slow(60, 10)",
            60 but for one institution, drawn by seed, that takes 10 times as long;
            `FROM_FILE`; or empty for no simulated time but FedBuff's own, which then
            has `FED_BUFF_SECONDS`.
        institutions: With `FROM_FILE`, each institution's times.
        outage_rate: Outages per simulated second of an institution that is up,
            drawn by seed, besides those of `institutions`; needs a clock, which
            FedBuff has.
        outage_seconds: How long each of these takes.
        buffer_size: K, updates in FedBuff's buffer.
        staleness_exponent: An update of staleness tau counts `(1 + tau)` to minus
            this; 0.5 as published; -1 makes up for the speed of institutions.
        fed_buff_server_learning_rate: Of FedBuff's server; None for that of other
            methods.
        max_staleness: Updates beyond it are dropped; None keeps all.
        fed_buff_rounds: Most times that the buffer is emptied.
        fed_buff_patience: As FedAvg's `patience`, in these.
        max_simulated_seconds: No round on a simulated clock ends later; None for no
            limit.
    """

    institution_seconds: str = ""
    institutions: tuple[InstitutionTimes, ...] = ()
    outage_rate: float = 0.0
    outage_seconds: float = 0.0
    buffer_size: int = 2
    staleness_exponent: float = 0.5
    fed_buff_server_learning_rate: float | None = None
    max_staleness: int | None = None
    fed_buff_rounds: int = 1000
    fed_buff_patience: int = 100
    max_simulated_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        if self.has_clock and self.institution_seconds != FROM_FILE:
            self.distribution  # noqa: B018 - raises where the text is none
        if (self.institution_seconds == FROM_FILE) != bool(self.institutions):
            raise ValueError(
                f"`institutions` must be given with {FROM_FILE!r} only, got "
                f"{len(self.institutions)} of them."
            )
        self._check_outages()
        checks.check_at_least("staleness_exponent", self.staleness_exponent, -1)
        if self.fed_buff_server_learning_rate is not None:
            checks.check_positive(
                "fed_buff_server_learning_rate", self.fed_buff_server_learning_rate
            )
        for name in ("buffer_size", "fed_buff_rounds", "fed_buff_patience"):
            checks.check_at_least(name, getattr(self, name), 1)
        if self.max_staleness is not None:
            checks.check_at_least("max_staleness", self.max_staleness, 0)
        if self.max_simulated_seconds is not None:
            checks.check_positive("max_simulated_seconds", self.max_simulated_seconds)
        if self.max_simulated_seconds and not self.has_clock:
            raise ValueError(
                "`institution_seconds` must be given with `max_simulated_seconds`, "
                "which limits all methods on the clock."
            )

    def _check_outages(self) -> None:
        for name in ("outage_rate", "outage_seconds"):
            checks.check_at_least(name, getattr(self, name), 0)
        if self.outage_seconds and not self.outage_rate:
            raise ValueError(
                "`outage_rate` must be given with `outage_seconds`, or no outage is "
                "drawn that would take so long."
            )

    def check_outages(self, methods: Collection[str]) -> None:
        """Refuses outages that no method would notice.

        Args:
            methods: That are trained.

        Raises:
            ValueError: If there is no simulated clock, and no FedBuff, which has one
                of its own.
        """
        if self.outage_rate and not self.has_clock and "fed_buff" not in methods:
            raise ValueError(
                "`institution_seconds` must be given with `outage_rate`: without a "
                "simulated clock, which fed_buff alone has of its own, nobody is down."
            )

    def check_plateau(self, rates: Collection[str], patience: int) -> None:
        """Refuses reductions of learning rates that FedBuff has no room for.

        Args:
            rates: Which are reduced.
            patience: Before a reduction.

        Raises:
            ValueError: If clients' rate is, or if training ends before.
        """
        if "client" in rates:
            raise ValueError(
                "`plateau_rates` must be without client for fed_buff, whose updates "
                "may have begun before the rate was reduced: leave server."
            )
        if rates and patience >= self.fed_buff_patience:
            raise ValueError(
                f"`plateau_patience` must be below `fed_buff_patience`, "
                f"{self.fed_buff_patience}, after which training stops; got "
                f"{patience!r}."
            )

    def check_institutions(self, names: Sequence[str], *, waits: bool) -> None:
        """Refuses a clock that these institutions can't be on.

        Args:
            names: Of all that train.
            waits: Whether rounds of some method last as long as the slowest.

        Raises:
            ValueError: If the file lacks one of them, or if no round can end within
                `max_simulated_seconds`, whatever is drawn.
        """
        known = {times.institution: times for times in self.institutions}
        if self.institution_seconds == FROM_FILE and not known.keys() >= {*names}:
            missing = [name for name in names if name not in known]
            raise ValueError(
                f"`institution_seconds` must have times of {missing} as well, got "
                f"those of {sorted(known)}."
            )
        limit = self.max_simulated_seconds
        if limit is None:
            return
        seconds = self._round_seconds(names)
        least = max(seconds, default=0.0) if waits else min(seconds, default=0.0)
        if least > limit:
            raise ValueError(
                "`max_simulated_seconds` must leave time for a round, which takes "
                f"{least:g} s at least; got {limit:g}."
            )

    def _round_seconds(self, names: Sequence[str]) -> list[float]:
        """Of rounds of these institutions, as far as chance doesn't decide."""
        if self.institution_seconds == FROM_FILE:
            return [
                of.round_seconds for of in self.institutions if of.institution in names
            ]
        name, numbers = self.distribution
        if name == "one_slow":
            seconds, factor = numbers
            return [seconds * factor, *([seconds] if len(names) > 1 else [])]
        return [numbers[0]] if name == "equal" else []

    @property
    def has_clock(self) -> bool:
        """Whether there is simulated time for all methods."""
        return bool(self.institution_seconds)

    @property
    def distribution(self) -> tuple[str, tuple[float, ...]]:
        """Name and numbers of the distribution.

        Raises:
            ValueError: If the text is none.
        """
        text = self.institution_seconds or FED_BUFF_SECONDS
        match = _TEXT.fullmatch(text.strip())
        name = match[1] if match else ""
        numbers = _numbers(match.groups()[1:] if match else ())
        if name not in DISTRIBUTIONS or len(numbers) != DISTRIBUTIONS[name]:
            raise ValueError(
                "`institution_seconds` must be a CSV or TOML file, equal(60), "
                "lognormal(60, 0.5) or one_slow(60, 10); got "
                f"{self.institution_seconds!r}."
            )
        checks.check_positive("institution_seconds", numbers[0])
        for number in numbers[1:]:
            checks.check_at_least("institution_seconds", number, 0)
        if name == "one_slow":
            checks.check_positive("institution_seconds", numbers[1])
        return name, numbers

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "AsynchronousConfig":
        """From JSON, whose lists were tuples; what is missing takes its default."""
        values = dict(mapping)
        values["institutions"] = tuple(
            InstitutionTimes(
                **of | {"outages": tuple(tuple(pair) for pair in of["outages"])}
            )
            for of in values.get("institutions", ())
        )
        return cls(**values)


def _numbers(texts: Sequence[str | None]) -> tuple[float, ...]:
    """The numbers that are there; none if one of them isn't a number."""
    try:
        return tuple(float(text) for text in texts if text is not None)
    except ValueError:
        return ()
