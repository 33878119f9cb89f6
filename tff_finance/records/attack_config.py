"""Configuration of attacks as frozen values with a JSON round trip."""

import dataclasses
import json
from typing import Any

from tff_finance import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class MembershipConfig:
    """Which models membership inference attacks.

    Attributes:
        rows: Members of each institution at most, and as many others.
        rounds: Of training; one local epoch each.
        batch_size: Rows of a step.
        hidden_units: Width of each hidden layer.
        learning_rate: Of plain SGD.
        shadows: Models that LiRA trains, an even number; 0 for no LiRA.
    """

    rows: int
    rounds: int
    batch_size: int
    hidden_units: tuple[int, ...]
    learning_rate: float
    shadows: int

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        for name in ("rows", "rounds", "batch_size"):
            checks.check_at_least(name, getattr(self, name), 1)
        for units in self.hidden_units:
            checks.check_at_least("hidden_units", units, 1)
        checks.check_positive("learning_rate", self.learning_rate)
        if self.shadows < 0 or self.shadows % 2:
            raise ValueError(f"`shadows` must be 0 or even, got {self.shadows!r}.")


STANDARD = MembershipConfig(
    rows=1000,
    rounds=60,
    batch_size=64,
    hidden_units=(32, 16),
    learning_rate=0.3,
    shadows=16,
)
# Few rows, many epochs, a wide network: what memorises if anything does.
OVERFITTED = MembershipConfig(
    rows=100,
    rounds=300,
    batch_size=25,
    hidden_units=(256,),
    learning_rate=0.5,
    shadows=16,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """Which updates gradient inversion attacks.

    Attributes:
        batch_sizes: Rows behind one institution's update.
        institutions: How many updates a sum is of.
        hidden_units: Widths of the first layer, each followed by one of 16.
        updates: Drawn for the closed form; fewer where they have many rows.
        matched_updates: Drawn for gradient matching, which takes seconds for each.
        matching_steps: Of each of these.
        most_matched_rows: No matching where more rows are behind an update.
        local_epochs: Of the update of FedAvg.
        tolerance: In standard deviations, within which a number counts as recovered.
        control_noise_multiplier: Of training whose noise protects nobody: attacks must
            come through it, or nothing follows from those that privacy stops.
    """

    batch_sizes: tuple[int, ...] = (1, 4, 8, 32)
    institutions: tuple[int, ...] = (1, 2, 3, 5, 10)
    hidden_units: tuple[int, ...] = (32, 128)
    updates: int = 40
    matched_updates: int = 5
    matching_steps: int = 2000
    most_matched_rows: int = 32
    local_epochs: int = 2
    tolerance: float = 0.1
    control_noise_multiplier: float = 1e-4

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        for name in ("batch_sizes", "institutions", "hidden_units"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"`{name}` must be distinct values, got {values!r}.")
            for value in values:
                checks.check_at_least(name, value, 1)
        for name in ("updates", "matched_updates", "matching_steps", "local_epochs"):
            checks.check_at_least(name, getattr(self, name), 1)
        checks.check_at_least("most_matched_rows", self.most_matched_rows, 0)
        checks.check_positive("tolerance", self.tolerance)
        checks.check_positive("control_noise_multiplier", self.control_noise_multiplier)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CanaryConfig:
    """How canaries audit private training.

    Attributes:
        runs: With the canary, and as many without; half of them choose the threshold.
        rows: Of the table, the canary's place included.
        steps: Passes over the table, each a step of all rows, or several of sampled
            ones.
        epsilons: That are claimed: such as so many runs can refute.
        sampled_batch_size: Expected rows of a sampled step, fewer than all.
        broken_epsilon: Claimed of training whose noise is left out, and of training
            whose sampling is.
        learning_rate: So small that the canary's gradient stays as long as it is
            clipped to, in all steps; privacy doesn't depend on it.
    """

    runs: int = 1000
    rows: int = 64
    steps: int = 4
    epsilons: tuple[float, ...] = (2.0, 1.0)
    sampled_batch_size: int = 8
    broken_epsilon: float = 1.0
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_at_least("runs", self.runs, 4)
        checks.check_at_least("rows", self.rows, 2)
        checks.check_at_least("steps", self.steps, 1)
        for epsilon in self.epsilons:
            checks.check_positive("canary.epsilons", epsilon)
        checks.check_in_range(
            "sampled_batch_size", self.sampled_batch_size, 1, self.rows - 1
        )
        checks.check_positive("broken_epsilon", self.broken_epsilon)
        checks.check_positive("canary.learning_rate", self.learning_rate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttackConfig:
    """One run of the attacks.

    Attributes:
        seeds: One repetition each; a seed redraws customers, split, models and
            what attackers draw.
        data: What is attacked: the name of a scenario or of a table.
        epsilons: Of record-level privacy that models are protected with.
        l2_clip_norm: Of private training.
        standard: Training as a bank would, for membership inference.
        overfitted: Training that memorises.
        inversion: Which updates are inverted.
        canary: How private training is audited.
        methods: None: no methods are compared.
    """

    seeds: tuple[int, ...]
    data: str
    epsilons: tuple[float, ...] = (8.0, 2.0)
    l2_clip_norm: float = 1.0
    standard: MembershipConfig = STANDARD
    overfitted: MembershipConfig = OVERFITTED
    inversion: InversionConfig = InversionConfig()
    canary: CanaryConfig = CanaryConfig()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"`seeds` must be distinct values, got {self.seeds!r}.")
        for seed in self.seeds:
            checks.check_in_range("seeds", seed, 0, 2**31 - 1)
        for epsilon in self.epsilons:
            checks.check_positive("epsilons", epsilon)
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it, lists for tuples."""
        return json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))
