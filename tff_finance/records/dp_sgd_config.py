"""Settings of DP-SGD at record level."""

import dataclasses

from tff_finance import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class DpSgdConfig:
    """How `fed_avg_dp_sgd` trains, and what it may spend.

    Its rounds are fixed before, since whatever stops them early would have to be
    released with noise; the model of the last one is kept.

    Attributes:
        target_epsilon: Most that each institution's records may be told about. Noise
            is calibrated to it, unless it is given: then it is a budget that ends
            training before it is exceeded.
        delta: Of the guarantee; None for `min(1e-5, 1 / (10 n))` at each institution.
        noise_multiplier: Standard deviation of the noise over the clipping norm, at
            all institutions; None calibrates each institution's own, from its number
            of records.
        l2_clip_norm: Most that a record's gradient counts for.
        batch_size: Expected records of a Poisson-sampled batch.
        local_epochs: Of a round; each has `ceil(n / batch_size)` steps.
        rounds: Of the whole training.
        learning_rate: Of the local optimizer.
    """

    target_epsilon: float = 8.0
    delta: float | None = None
    noise_multiplier: float | None = None
    l2_clip_norm: float = 1.0
    batch_size: int = 512
    local_epochs: int = 1
    rounds: int = 60
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_positive("target_epsilon", self.target_epsilon)
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        checks.check_positive("learning_rate", self.learning_rate)
        if self.delta is not None:
            checks.check_positive("delta", self.delta)
            checks.check_in_range("delta", self.delta, 0, 1)
        if self.noise_multiplier is not None:
            checks.check_positive("noise_multiplier", self.noise_multiplier)
        for name in ("batch_size", "local_epochs", "rounds"):
            checks.check_at_least(name, getattr(self, name), 1)
