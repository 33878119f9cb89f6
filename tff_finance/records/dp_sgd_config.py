"""Settings of DP-SGD at record or customer level."""

import dataclasses

from tff_finance import checks

PRIVACY_UNITS = ("record", "customer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DpSgdConfig:
    """How `fed_avg_dp_sgd` trains, and what it may spend.

    Its rounds are fixed before, since whatever stops them early would have to be
    released with noise; the model of the last one is kept.

    Attributes:
        privacy_unit: Whom it protects, and what batches and clipping are by: "record",
            each row by itself, or "customer", all rows of one together.
        most_rows_per_customer: Of one who has more, so many are drawn and the others
            left out; a customer takes as long as so many rows.
        target_epsilon: Most that each institution's units may be told about. Noise
            is calibrated to it, unless it is given: then it is a budget that ends
            training before it is exceeded.
        delta: Of the guarantee; None for `min(1e-5, 1 / (10 n))` at each institution.
        noise_multiplier: Standard deviation of the noise over the clipping norm, at
            all institutions; None calibrates each institution's own, from its number
            of units.
        l2_clip_norm: Most that a unit's gradient, the sum over its rows, counts for.
        batch_size: Expected units of a Poisson-sampled batch.
        local_epochs: Of a round; each has `ceil(n / batch_size)` steps.
        rounds: Of the whole training.
        learning_rate: Of the local optimizer.
    """

    privacy_unit: str = "record"
    most_rows_per_customer: int = 16
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
        checks.check_one_of("privacy_unit", self.privacy_unit, PRIVACY_UNITS)
        checks.check_positive("target_epsilon", self.target_epsilon)
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        checks.check_positive("learning_rate", self.learning_rate)
        if self.delta is not None:
            checks.check_positive("delta", self.delta)
            checks.check_in_range("delta", self.delta, 0, 1)
        if self.noise_multiplier is not None:
            checks.check_positive("noise_multiplier", self.noise_multiplier)
        for name in ("batch_size", "local_epochs", "rounds", "most_rows_per_customer"):
            checks.check_at_least(name, getattr(self, name), 1)

    @property
    def by_customer(self) -> bool:
        """Whether customers are the units."""
        return self.privacy_unit == "customer"

    def check_customers_known(self, known: bool) -> None:
        """Refuses to protect customers whom nobody can tell apart.

        Args:
            known: Whether a column of the tables names them.

        Raises:
            ValueError: If customers are to be protected, and none does.
        """
        if self.by_customer and not known:
            raise ValueError(
                "`privacy_unit` customer needs a column that names the customers, "
                "--clusters=COLUMN of a comparison on real tables; there is none: give "
                "it, or protect each row by itself with `privacy_unit` record."
            )

    def check_customers_no_feature(self, feature: bool) -> None:
        """Refuses to protect customers by whose numbers a model would tell them.

        Args:
            feature: Whether the column that names the customers is a feature.

        Raises:
            ValueError: If customers are to be protected, and it is.
        """
        if self.by_customer and feature:
            raise ValueError(
                "`privacy_unit` customer needs `clusters` to be no feature, or models "
                "would learn from customers' numbers; it is one: give the column "
                'use = "audit" in the contract.'
            )

    def check_own_features(self, own: bool) -> None:
        """Refuses to protect customers who are in other customers' features.

        Args:
            own: Whether a row's features are functions of its customer's rows alone.

        Raises:
            ValueError: If customers are to be protected, and they aren't.
        """
        if self.by_customer and not own:
            raise ValueError(
                "`privacy_unit` customer needs features of each customer's own rows, "
                "but those of this table are made of other customers' payments too, "
                "so that clipping doesn't bound what one customer changes: use "
                "another table, or `privacy_unit` record, which takes features as "
                "given."
            )
