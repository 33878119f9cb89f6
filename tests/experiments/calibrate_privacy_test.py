"""The binary computes both ways, says what it assumes, and refuses in one line."""

import pytest

from tests.experiments.quick_call import quick_call
from tff_finance.privacy import accounting
from tff_finance.privacy.distributed_noise import DistributedNoise
from tff_finance.privacy.institution_level import TreeClipping
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
            ("--sampling=shares", "--coordinates=500"),
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
