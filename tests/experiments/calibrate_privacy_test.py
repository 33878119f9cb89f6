"""The binary computes both ways, says what it assumes, and refuses in one line."""

import pytest

from tests.experiments.quick_call import quick_call
from tff_finance.privacy import accounting
from tff_finance.privacy.distributed_noise import DistributedNoise
from tff_finance.privacy.institution_level import TreeClipping
from tff_finance.privacy.ledger import STAGES, Ledger, guarantee_across
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.training.cohorts import PoissonCohorts


def calibrate(*flags):
    return quick_call("experiments.calibrate_privacy", *flags)


def printed(result):
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.partition("Assumed:")[0].splitlines()
    return dict(line.split() for line in lines)


SETTING = ("--population=10000", "--batch_size=256", "--rounds=100")


def test_noise_of_a_target_gives_the_target():
    result = calibrate("--epsilon=8", *SETTING)
    found = printed(result)
    assert found["delta"] == "1e-05"
    assert (found["unit"], found["neighbouring"]) == ("record", "add_or_remove_one")
    assert (
        "probability 0.0256, by itself, and the sampling is secret; 4000 sums"
        in result.stdout
    )
    assert (
        "preprocessing, validation, tuning and evaluation release nothing"
        in result.stdout
    )
    back = printed(
        calibrate(f"--noise_multiplier={found['noise_multiplier']}", *SETTING)
    )
    assert float(back["epsilon"]) == pytest.approx(8, rel=1e-3)


@pytest.mark.parametrize(
    ("sampling", "relation", "accountant"),
    [("fixed", "replace_one", "rdp"), ("all", "add_or_remove_one", "pld")],
)
def test_other_samplings_have_their_relation(sampling, relation, accountant):
    found = printed(
        calibrate(
            "--noise_multiplier=20",
            f"--sampling={sampling}",
            "--unit=institution",
            "--population=3000",
            "--batch_size=300",
            "--rounds=10",
        )
    )
    assert (found["neighbouring"], found["accountant"]) == (relation, accountant)
    assert found["unit"] == "institution"


COHORTS = ("--unit=branch", "--population=3000", "--batch_size=300")
SHARES = (*COHORTS, "--rounds=9", "--sampling=shares", "--coordinates=500")


def test_a_coin_for_each_branch_is_one_sum_a_round():
    """As `PoissonCohorts` accounts for it, not as steps of DP-SGD."""
    result = calibrate("--noise_multiplier=0.94", "--rounds=100", *COHORTS)
    cohorts = PoissonCohorts(population=3000, sampling_probability=0.1, seed=0)
    mechanism = cohorts.mechanism(noise_multiplier=0.94, rounds=100)
    loss = accounting.epsilon([mechanism], neighbouring="add_or_remove_one", delta=1e-5)
    assert float(printed(result)["epsilon"]) == pytest.approx(loss.value, rel=1e-4)
    assert "probability 0.1, by itself, and the sampling is secret; 100 sums" in (
        result.stdout
    )


@pytest.mark.parametrize(
    ("flags", "description"),
    [
        (
            ("--sampling=tree",),
            lambda noise: TreeClipping(
                l2_clip_norm=1.0,
                noise_multiplier=noise,
                expected_updates=300,
                restart_every=10,
            ).mechanism(rounds=50),
        ),
        (
            ("--sampling=shares", "--coordinates=500", "--least_honest=200"),
            lambda noise: DistributedNoise(
                l2_clip_norm=1.0,
                noise_multiplier=noise,
                expected_updates=300,
                least_honest=200,
                most_updates=300,
            ).mechanism(coordinates=500, releases=5),
        ),
    ],
)
def test_once_in_a_pass_is_accounted_for_as_training_does(flags, description):
    """50 rounds of 300 of 3,000 are five passes."""
    found = printed(calibrate("--noise_multiplier=2", "--rounds=50", *COHORTS, *flags))
    loss = accounting.epsilon(
        [description(2.0)], neighbouring="replace_special", delta=1e-5
    )
    assert float(found["epsilon"]) == pytest.approx(loss.value, rel=1e-4)
    assert (found["unit"], found["neighbouring"]) == ("branch", "replace_special")


def test_shares_say_how_many_must_be_honest_and_how_much_noise_each_has():
    flags = ("--sampling=shares", "--coordinates=500", "--least_honest=144")
    result = calibrate("--noise_multiplier=2.4", "--rounds=50", *COHORTS, *flags)
    found = printed(result)
    shares = DistributedNoise(
        l2_clip_norm=1.0,
        noise_multiplier=2.4,
        expected_updates=300,
        least_honest=144,
        most_updates=300,
    )
    assert found["least_honest"] == "144"
    assert float(found["noise_of_a_share"]) == pytest.approx(shares.share_stddev)
    assert "those of any 144 others of a round" in result.stdout
    assert "each has 0.2 times the clipping norm" in result.stdout


@pytest.mark.parametrize("unit", ["record", "customer"])
def test_a_customer_of_several_banks_has_what_all_release(unit):
    setting = ("--noise_multiplier=1.1", f"--unit={unit}", *SETTING, "--rounds=4")
    result = calibrate(*setting, "--institutions=3")
    found = printed(result)
    mechanism = PoissonSampledGaussian.of_training(
        noise_multiplier=1.1, population=10_000, batch_size=256, rounds=4
    )
    ledger = Ledger(
        owner="bank", unit=unit, neighbouring="add_or_remove_one", population=10_000
    ).with_release("training", "updates", mechanism)
    for stage in STAGES:
        if stage != "training":
            ledger = ledger.with_nothing_released(stage, "a test")
    together = guarantee_across([ledger] * 3)
    assert float(found["epsilon_across"]) == pytest.approx(together.epsilon, rel=1e-4)
    assert found["accountant_across"] == together.accountant
    assert found["institutions"] == "3"
    assert float(found["epsilon_across"]) > 1.5 * float(found["epsilon"])
    assert f"somebody with one {unit} at each of 3 institutions" in result.stdout
    alone = printed(calibrate(*setting))
    assert alone["epsilon"] == found["epsilon"]
    assert "epsilon_across" not in alone


@pytest.mark.parametrize(
    ("unit", "population", "words"),
    [
        ("institution", 3, "Vacuous: noise that hides one of 3 institutions"),
        ("branch", 99, "Vacuous: noise that hides one of 99 branches"),
        ("institution", 100, None),
        ("record", 99, None),
    ],
)
def test_noise_that_drowns_the_others_is_called_vacuous(unit, population, words):
    result = calibrate(
        "--noise_multiplier=20",
        f"--unit={unit}",
        f"--population={population}",
        "--sampling=all",
        "--rounds=2",
    )
    assert result.returncode == 0
    assert ("Vacuous" in result.stdout) == (words is not None)
    assert (words or "") in result.stdout


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ((), "--population"),
        (SETTING, "give one of them"),
        ((*SETTING, "--epsilon=1", "--noise_multiplier=1"), "give one of them"),
        ((*SETTING, "--epsilon=-1"), "`epsilon` must be positive"),
        ((*SETTING, "--epsilon=1", "--rounds=0"), "`rounds` must be at least 1"),
        (
            (*SETTING, "--noise_multiplier=1", "--sampling=fixed", "--accountant=pld"),
            "'pld'",
        ),
        ((*COHORTS, "--rounds=9", "--epsilon=1", "--local_epochs=2"), "--local_epochs"),
        ((*COHORTS, "--rounds=9", "--epsilon=1", "--coordinates=2"), "--coordinates"),
        ((*COHORTS, "--rounds=9", "--epsilon=1", "--sampling=shares"), "--coordinates"),
        ((*SHARES, "--epsilon=1"), "--least_honest"),
        ((*SHARES, "--epsilon=1", "--least_honest=300"), "between 1 and 299"),
        ((*SHARES, "--epsilon=1", "--least_honest=0"), "between 1 and 299"),
        ((*SETTING, "--epsilon=1", "--least_honest=9"), "--least_honest"),
        ((*COHORTS, "--rounds=9", "--epsilon=1", "--institutions=2"), "--institutions"),
        ((*SETTING, "--epsilon=1", "--institutions=0"), "`institutions` must be"),
        (
            (*SETTING, "--epsilon=1", "--sampling=tree", "--population=9"),
            "`batch_size` must be between 1 and 9",
        ),
    ],
)
def test_a_wrong_call_is_one_line(flags, named):
    result = calibrate(*flags)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
