"""Noise for a privacy target, or the guarantee that a noise gives.

    python -m experiments.calibrate_privacy --epsilon=8 --population=10000 \
      --batch_size=256 --rounds=100
    python -m experiments.calibrate_privacy --noise_multiplier=1.1 --population=60000 \
      --batch_size=256 --rounds=60 --delta=1e-5
    python -m experiments.calibrate_privacy --epsilon=8 --unit=branch \
      --population=3000 --batch_size=300 --rounds=100
    python -m experiments.calibrate_privacy --epsilon=8 --population=10000 \
      --batch_size=256 --rounds=100 --institutions=3

A calculation about public numbers; it reads no data. docs/privacy.md explains units
and relations.
"""

import math
from typing import TYPE_CHECKING

from absl import flags

from experiments import command_line
from tff_finance import checks
from tff_finance.records.institution_privacy_config import FEWEST_TO_HIDE_IN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tff_finance.privacy.mechanisms import Mechanism

_EPSILON = flags.DEFINE_float("epsilon", None, "Target: prints the noise it needs.")
_NOISE = flags.DEFINE_float(
    "noise_multiplier",
    None,
    "Standard deviation of the noise over the clipping norm: prints its epsilon.",
)
_DELTA = flags.DEFINE_float(
    "delta", None, "Defaults to min(1e-5, 1 / (10 population))."
)
_POPULATION = flags.DEFINE_integer(
    "population",
    None,
    "Units to protect: records or customers of one institution; branches or "
    "institutions of the consortium.",
)
_UNIT = flags.DEFINE_enum(
    "unit",
    "record",
    ("record", "customer", "branch", "institution"),
    "Who is protected.",
)
_SAMPLING = flags.DEFINE_enum(
    "sampling",
    "poisson",
    ("poisson", "fixed", "all", "tree", "shares"),
    "How units get into a noised sum. poisson: each by itself with probability "
    "batch_size / population, for records and customers in each step of DP-SGD, for "
    "branches and institutions once a round; fixed: batch_size of them a round, "
    "without replacement; all; tree: DP-FTRL, batch_size of them a round, each once "
    "in a tree; shares: the same with distributed Skellam noise instead of trees.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 256, "Expected batch size, or units of a cohort."
)
_COORDINATES = flags.DEFINE_integer(
    "coordinates", None, "Weights of the model, with --sampling=shares."
)
_LEAST_HONEST = flags.DEFINE_integer(
    "least_honest",
    None,
    "t, so many of a round's other units are taken to be honest and there to the end, "
    "with --sampling=shares.",
)
_INSTITUTIONS = flags.DEFINE_integer(
    "institutions",
    None,
    "Prints besides what somebody has who is at so many institutions, all of which "
    "train with these settings; for records and customers.",
)
_ROUNDS = flags.DEFINE_integer("rounds", None, "Rounds of training.")
_LOCAL_EPOCHS = flags.DEFINE_integer(
    "local_epochs", None, "Of a round of DP-SGD; 1 unless given."
)
_ACCOUNTANT = flags.DEFINE_enum(
    "accountant",
    "auto",
    ("auto", "pld", "rdp"),
    "Privacy loss distributions, Rényi differential privacy, or the tightest that "
    "knows the mechanism.",
)

_ASSUMPTIONS = """\
Assumed:
  one {unit} contributes at most the clipping norm to each sum (L2, clipped per {unit});
  {sampling};
  {noise};
  the population is public, and the sum is divided by public numbers only;
  preprocessing, validation, tuning and evaluation release nothing: what they do
  release comes on top;
  {across}."""

_SAMPLINGS = {
    "poisson": "each {unit} is in a {sum} with probability {probability:.6g}, "
    "by itself, and the sampling is secret; {steps} sums",
    "fixed": "{batch_size} of {population} without replacement in each of {rounds} "
    "rounds, and the sampling is secret",
    "all": "every {unit} takes part in each of {rounds} rounds",
    "tree": "every {unit} takes part at most once in each of {passes} trees, of "
    "{rounds_of_pass} rounds each, in any order; that order is no secret",
    "shares": "every {unit} takes part in {passes} of the {rounds} rounds at most, in "
    "any order; that order is no secret",
}
_NOISES = {
    "tree": "the noise is Gaussian, fresh in every node of a tree",
    "shares": "the noise is Skellam, in shares: those of any {least_honest} others of "
    "a round, who are honest and there to its end, have that standard deviation "
    "together, and each has {share:.6g} times the clipping norm",
}
_GAUSSIAN = "the noise is Gaussian, fresh in every sum"
_LEVELS_OF_CONSORTIUM = {"branch": "branches", "institution": "institutions"}


def main() -> None:
    """Prints noise multiplier, guarantee and assumptions."""
    if (_EPSILON.value is None) == (_NOISE.value is None):
        command_line.usage_error(
            "flags --epsilon and --noise_multiplier: give one of them, the other is "
            "computed"
        )
    try:
        _print_calibration()
    except ValueError as error:
        command_line.usage_error(error)


def _print_calibration() -> None:
    from tff_finance.privacy import accounting, guarantee

    def account(mechanisms: "Sequence[Mechanism]") -> accounting.Epsilon:
        return accounting.epsilon(
            mechanisms, neighbouring=relation, delta=delta, accountant=accountant
        )

    _check()
    accountant = None if _ACCOUNTANT.value == "auto" else _ACCOUNTANT.value
    delta = _DELTA.value
    if delta is None:
        delta = guarantee.default_delta(_POPULATION.value)
    noise = _NOISE.value
    [relation, *_] = _mechanism_with(noise or 1.0).relations
    if _SAMPLING.value == "shares":
        relation = "replace_special"  # a share that doesn't come counts as zero
    if noise is None:
        noise = accounting.noise_multiplier(
            _mechanism_with,
            neighbouring=relation,
            epsilon=_EPSILON.value,
            delta=delta,
            accountant=accountant,
        )
    mechanism = _mechanism_with(noise)
    loss = account([mechanism])
    print(f"noise_multiplier  {noise:.6g}")
    print(f"epsilon           {loss.value:.6g}")
    print(f"delta             {delta:.6g}")
    print(f"unit              {_UNIT.value}")
    print(f"neighbouring      {relation}")
    print(f"accountant        {loss.accountant}")
    if _SAMPLING.value == "shares":
        print(f"least_honest      {_LEAST_HONEST.value}")
        print(f"noise_of_a_share  {_share_of(noise):.6g}")
    if _INSTITUTIONS.value is not None:
        across = account([mechanism] * _INSTITUTIONS.value)
        print(f"institutions      {_INSTITUTIONS.value}")
        print(f"epsilon_across    {across.value:.6g}")
        print(f"accountant_across {across.accountant}")
    print(_assumptions(mechanism))
    print(_if_vacuous(), end="")


def _check() -> None:
    """Refuses flags that don't go together."""
    if (_SAMPLING.value == "shares") != (_COORDINATES.value is not None):
        raise ValueError(
            "flag --coordinates: goes with --sampling=shares, whose guarantee depends "
            f"on it; got {_COORDINATES.value} with --sampling={_SAMPLING.value}"
        )
    if (_SAMPLING.value == "shares") != (_LEAST_HONEST.value is not None):
        raise ValueError(
            "flag --least_honest: goes with --sampling=shares, whose noise is that of "
            f"so many shares; got {_LEAST_HONEST.value} with "
            f"--sampling={_SAMPLING.value}"
        )
    if _LEAST_HONEST.value is not None:
        # One's own share isn't counted on.
        others = max(1, _BATCH_SIZE.value - 1)
        checks.check_in_range("least_honest", _LEAST_HONEST.value, 1, others)
    if _INSTITUTIONS.value is not None:
        if _UNIT.value in _LEVELS_OF_CONSORTIUM:
            raise ValueError(
                "flag --institutions: goes with --unit=record or --unit=customer, of "
                "which somebody may have one at each of several institutions; got "
                f"--unit={_UNIT.value}"
            )
        checks.check_at_least("institutions", _INSTITUTIONS.value, 1)
    if _LOCAL_EPOCHS.value is not None and not _is_dp_sgd():
        raise ValueError(
            "flag --local_epochs: counts for DP-SGD only (--sampling=poisson with "
            "records or customers): elsewhere a round is one noised sum"
        )
    if _SAMPLING.value in {"tree", "shares"}:
        checks.check_in_range("batch_size", _BATCH_SIZE.value, 1, _POPULATION.value)


def _is_dp_sgd() -> bool:
    return _SAMPLING.value == "poisson" and _UNIT.value not in _LEVELS_OF_CONSORTIUM


def _mechanism_with(noise: float) -> "Mechanism":
    """The mechanism that the flags describe, with a noise multiplier."""
    from tff_finance.privacy import mechanisms

    population, batch, rounds = _POPULATION.value, _BATCH_SIZE.value, _ROUNDS.value
    if _is_dp_sgd():
        return mechanisms.PoissonSampledGaussian.of_training(
            noise_multiplier=noise,
            population=population,
            batch_size=batch,
            epochs=_LOCAL_EPOCHS.value or 1,
            rounds=rounds,
        )
    match _SAMPLING.value:
        case "poisson":
            checks.check_at_least("population", population, 1)
            return mechanisms.PoissonSampledGaussian(
                noise_multiplier=noise,
                sampling_probability=min(1.0, batch / population),
                steps=rounds,
            )
        case "fixed":
            return mechanisms.FixedSizeCohorts(
                noise_multiplier=noise,
                population=population,
                cohort=batch,
                rounds=rounds,
            )
        case "tree":
            return mechanisms.TreeAggregation.of_rounds(
                noise_multiplier=noise,
                rounds=rounds,
                restart_every=_rounds_of_pass(),
            )
        case "shares":
            return mechanisms.SkellamSum(
                noise_multiplier=noise,
                l2_units=mechanisms.SKELLAM_UNITS,
                coordinates=_COORDINATES.value,
                releases=_passes(),
            )
        case _:
            return mechanisms.FullParticipation(noise_multiplier=noise, releases=rounds)


def _rounds_of_pass() -> int:
    """In which every unit has had one turn."""
    return _POPULATION.value // _BATCH_SIZE.value


def _passes() -> int:
    return -(-_ROUNDS.value // _rounds_of_pass())


def _share_of(noise: float) -> float:
    """Standard deviation of one unit's share, over the clipping norm."""
    return noise / math.sqrt(_LEAST_HONEST.value)


def _if_vacuous() -> str:
    """A line if the units are too few for the noise to leave any use."""
    units = _LEVELS_OF_CONSORTIUM.get(_UNIT.value)
    population = _POPULATION.value
    if not units or population >= FEWEST_TO_HIDE_IN:
        return ""
    return (
        f"Vacuous: noise that hides one of {population} {units} drowns the others. "
        f"Comparisons refuse fewer than {FEWEST_TO_HIDE_IN}; protect records "
        "(--unit=record) instead.\n"
    )


def _assumptions(mechanism: "Mechanism") -> str:
    once = _SAMPLING.value in {"tree", "shares"}
    sampling = _SAMPLINGS[_SAMPLING.value].format(
        unit=_UNIT.value,
        sum="step's batch" if _is_dp_sgd() else "round's cohort",
        probability=getattr(mechanism, "sampling_probability", 1.0),
        steps=getattr(mechanism, "steps", _ROUNDS.value),
        batch_size=_BATCH_SIZE.value,
        population=_POPULATION.value,
        rounds=_ROUNDS.value,
        passes=_passes() if once else None,
        rounds_of_pass=_rounds_of_pass() if once else None,
    )
    across = (
        f"a {_UNIT.value} that several institutions hold composes over all of them "
        "(--institutions)"
    )
    if _INSTITUTIONS.value is not None:
        across = (
            f"epsilon_across is for somebody with one {_UNIT.value} at each of "
            f"{_INSTITUTIONS.value} institutions, all of which have this population "
            "and train so; for the same delta"
        )
    if _UNIT.value in _LEVELS_OF_CONSORTIUM:
        across = (
            f"to a customer it says no more than what holds for a whole {_UNIT.value}"
        )
    return _ASSUMPTIONS.format(
        unit=_UNIT.value,
        sampling=sampling,
        noise=_NOISES.get(_SAMPLING.value, _GAUSSIAN).format(
            least_honest=_LEAST_HONEST.value,
            share=_share_of(mechanism.noise_multiplier) if _LEAST_HONEST.value else 0,
        ),
        across=across,
    )


if __name__ == "__main__":
    flags.mark_flags_as_required(["population", "rounds"])
    command_line.run(main)
