"""What a method promises to the units of one institution, or of the consortium."""

import dataclasses

from tff_finance import checks

ADVERSARIES = ("server", "institutions", "outsiders")
"""The server that sees all updates; the other institutions, who see every round's
model; whoever gets the finished model."""
CONSORTIUM = "consortium"
PER_ROW_NOT_CUSTOMER = "per row (transaction), not per customer"
"""What a guarantee is where customers may have several rows, and rows are units."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrivacyRow:
    """A differential privacy guarantee of one training run, with what it rests on.

    A method that promises nothing has no row.

    Attributes:
        seed: Repetition.
        method: Name of the method.
        model: "global", or the institution whose model it is.
        institution: Whose records or customers are protected; `CONSORTIUM` where the
            institutions are.
        unit: "record", "customer", "branch" (part of an institution) or
            "institution".
        neighbouring: "add_or_remove_one", "replace_one" or "replace_special".
        population: Units, n, which is public.
        epsilon: Bound on the privacy loss, of all releases that have a mechanism.
        delta: Probability with which the bound may be broken.
        accountant: "pld" or "rdp".
        against: Who learns no more than that: of `ADVERSARIES`, joined by commas.
        mechanism: Of training, by its name in `privacy.mechanisms`.
        noise_multiplier: Standard deviation of the noise over the clipping norm.
        sampling_probability: Of a unit in a step; 1 if all take part.
        steps: Noised sums that training released, those of repeated rounds included.
        l2_clip_norm: Most that a unit moves such a sum by; None if it adapts.
        target_epsilon: The budget, if there is one.
        least_honest: Of distributed noise: so many of a round's other units must be
            honest and present for it to hold; None for other noise.
        most_rows: Of a customer, so many rows count, the others being left out; None
            where customers are not the units.
        unit_in_words: Whom the guarantee is for, such as `PER_ROW_NOT_CUSTOMER`; empty
            in records of an earlier version.
        across_epsilon: The bound for somebody with one unit at each of the institutions
            that have a row of this method and seed, all of which release about them;
            None at other levels than record and customer, with one institution alone,
            and in records of an earlier version.
        across_delta: Probability with which that bound may be broken.
        across_accountant: Who computed it; empty where it is None.
        not_covered: What was released, or used to choose, without protection; a
            line each.
    """

    seed: int
    method: str
    model: str
    institution: str
    unit: str
    neighbouring: str
    population: int
    epsilon: float
    delta: float
    accountant: str
    against: str
    mechanism: str
    noise_multiplier: float
    sampling_probability: float
    steps: int
    l2_clip_norm: float | None = None
    target_epsilon: float | None = None
    least_honest: int | None = None
    most_rows: int | None = None
    unit_in_words: str = ""
    across_epsilon: float | None = None
    across_delta: float | None = None
    across_accountant: str = ""
    not_covered: str = ""

    def __post_init__(self) -> None:
        """Refuses unknown adversaries, and a bound that is none."""
        for adversary in self.adversaries:
            checks.check_one_of("against", adversary, ADVERSARIES)
        checks.check_at_least("epsilon", self.epsilon, 0)
        if self.across_epsilon is not None:
            checks.check_at_least("across_epsilon", self.across_epsilon, 0)

    @property
    def adversaries(self) -> tuple[str, ...]:
        """From `ADVERSARIES`."""
        return tuple(self.against.split(","))

    @property
    def not_covered_lines(self) -> tuple[str, ...]:
        """One text for each thing that is not covered."""
        return tuple(self.not_covered.splitlines())
