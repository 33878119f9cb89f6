"""Noise for a privacy target, or the guarantee that a noise gives.

    python -m experiments.calibrate_privacy --epsilon=8 --population=10000 \
      --batch_size=256 --rounds=100
    python -m experiments.calibrate_privacy --noise_multiplier=1.1 --population=60000 \
      --batch_size=256 --rounds=60 --delta=1e-5

A calculation about public numbers; it reads no data. docs/privacy.md explains units
and relations.
"""

from collections.abc import Callable
from typing import Any

from absl import flags

from experiments import command_line

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
    "population", None, "Units to protect: records or customers of one institution."
)
_UNIT = flags.DEFINE_enum(
    "unit", "record", ("record", "customer", "institution"), "Who is protected."
)
_SAMPLING = flags.DEFINE_enum(
    "sampling",
    "poisson",
    ("poisson", "fixed", "all"),
    "How units get into a step: each by itself with probability batch_size / "
    "population (DP-SGD); batch_size of them without replacement (cohorts); all.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 256, "Expected batch size, or units of a cohort."
)
_ROUNDS = flags.DEFINE_integer("rounds", None, "Rounds of training.")
_LOCAL_EPOCHS = flags.DEFINE_integer(
    "local_epochs", 1, "Of a round, with --sampling=poisson."
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
  the noise is Gaussian, fresh in every step, on the sum; the sampling is secret;
  the population is public, and the sum is divided by public numbers only;
  preprocessing, validation, tuning and evaluation release nothing: what they do
  release comes on top;
  a {unit} that several institutions hold composes over all of them."""

_SAMPLINGS = {
    "poisson": "each {unit} is in a step's batch with probability {probability:.6g}, "
    "by itself; {steps} steps",
    "fixed": "{batch_size} of {population} without replacement in each of {steps} "
    "rounds",
    "all": "every {unit} takes part in each of {steps} rounds",
}


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

    mechanism_with = _mechanism()
    accountant = None if _ACCOUNTANT.value == "auto" else _ACCOUNTANT.value
    delta = _DELTA.value
    if delta is None:
        delta = guarantee.default_delta(_POPULATION.value)
    noise = _NOISE.value
    [relation, *_] = mechanism_with(noise or 1.0).relations
    if noise is None:
        noise = accounting.noise_multiplier(
            mechanism_with,
            neighbouring=relation,
            epsilon=_EPSILON.value,
            delta=delta,
            accountant=accountant,
        )
    mechanism = mechanism_with(noise)
    loss = accounting.epsilon(
        [mechanism], neighbouring=relation, delta=delta, accountant=accountant
    )
    print(f"noise_multiplier  {noise:.6g}")
    print(f"epsilon           {loss.value:.6g}")
    print(f"delta             {delta:.6g}")
    print(f"unit              {_UNIT.value}")
    print(f"neighbouring      {relation}")
    print(f"accountant        {loss.accountant}")
    print(_assumptions(mechanism))


def _mechanism() -> Callable[[float], Any]:
    """From a noise multiplier to the mechanism that the flags describe."""
    from tff_finance.privacy import mechanisms

    def mechanism_with(noise: float) -> mechanisms.Mechanism:
        if _SAMPLING.value == "poisson":
            return mechanisms.PoissonSampledGaussian.of_training(
                noise_multiplier=noise,
                population=_POPULATION.value,
                batch_size=_BATCH_SIZE.value,
                epochs=_LOCAL_EPOCHS.value,
                rounds=_ROUNDS.value,
            )
        if _SAMPLING.value == "fixed":
            return mechanisms.FixedSizeCohorts(
                noise_multiplier=noise,
                population=_POPULATION.value,
                cohort=_BATCH_SIZE.value,
                rounds=_ROUNDS.value,
            )
        return mechanisms.FullParticipation(
            noise_multiplier=noise, releases=_ROUNDS.value
        )

    return mechanism_with


def _assumptions(mechanism: Any) -> str:
    sampling = _SAMPLINGS[_SAMPLING.value].format(
        unit=_UNIT.value,
        probability=getattr(mechanism, "sampling_probability", 1.0),
        steps=getattr(mechanism, "steps", _ROUNDS.value),
        batch_size=_BATCH_SIZE.value,
        population=_POPULATION.value,
    )
    return _ASSUMPTIONS.format(unit=_UNIT.value, sampling=sampling)


if __name__ == "__main__":
    flags.mark_flags_as_required(["population", "rounds"])
    command_line.run(main)
