"""Shares of noise add up to what is accounted for, if enough of them are there."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_federated as tff

from tests.privacy.institution_level_test import (
    COORDINATES,
    SPECS,
    UPDATE,
    flat,
    zeros,
)
from tests.privacy.noise_scale import has_stddev
from tff_finance.privacy import accounting, distributed_noise, fresh_noise
from tff_finance.privacy.distributed_noise import (
    SKELLAM_UNITS,
    DistributedNoise,
    SkellamShares,
)
from tff_finance.privacy.mechanisms import FullParticipation, SkellamSum
from tff_finance.runtime import local

CLIP = 0.7
NOISE = 1.3
PRESENT = 6
HONEST = 4
DESCRIPTION = DistributedNoise(
    l2_clip_norm=CLIP,
    noise_multiplier=NOISE,
    expected_updates=5,
    least_honest=HONEST,
    most_updates=PRESENT,
)


@pytest.fixture(scope="module")
def secure_context(tff_context):
    with local.execution_context(secure_sums=True):
        yield


def mean(description, updates):
    process = description.aggregator().create(UPDATE)
    output = process.next(process.initialize(), updates)
    return flat(output.result)


@pytest.mark.parametrize("honest", [HONEST, PRESENT])
def test_as_many_shares_as_are_promised_make_the_stated_noise(honest, secure_context):
    """The others, dishonest or gone, add none; more than promised add more."""
    noise = 5 * mean(DESCRIPTION, [zeros()] * honest)
    stated = CLIP * NOISE * math.sqrt(honest / HONEST)
    assert has_stddev(noise, stated)
    for scale in (2 / 3, 3 / 2):
        assert not has_stddev(scale * noise, stated)


def test_one_share_less_than_is_promised_makes_less_noise(secure_context):
    """Which is why a deployment must not open such a sum."""
    noise = 5 * mean(DESCRIPTION, [zeros()] * (HONEST - 1))
    assert has_stddev(noise, CLIP * NOISE * math.sqrt((HONEST - 1) / HONEST))
    assert not has_stddev(noise, CLIP * NOISE)


def test_rounds_and_institutions_have_shares_of_their_own():
    query = SkellamShares(l2_clip_norm=CLIP, share_stddev=NOISE, denominator=5)
    params = query.derive_sample_params(query.initial_global_state())

    @tf.function
    def shares():
        """Two institutions in one graph, as a simulation runs them."""
        return [
            query.preprocess_record(params, tuple(tf.zeros(s.shape) for s in SPECS))
            for _ in range(2)
        ]

    drawn = [flat(share) for _ in range(2) for share in shares()]
    half = COORDINATES // 3
    drawn += [d[-half:] for d in drawn]  # one tensor repeats none of another
    by_share = np.corrcoef([d[:half] for d in drawn])[np.triu_indices(8, 1)]
    assert np.abs(by_share).max() < 0.05  # 7 standard deviations


@pytest.mark.parametrize("stddev", [0.8, 30.0, 65_536.0])
def test_shares_are_skellam(stddev):
    seed = tf.constant([2**61 + 3, 8], tf.int64)
    drawn = distributed_noise.skellam(
        seed, tf.TensorShape([40_000]), tf.constant(stddev)
    ).numpy()
    assert drawn.dtype == np.int32
    rate = stddev**2 / 2
    low = int(drawn.mean() - 2.5 * stddev)
    edges = np.unique(np.linspace(low, -low, 12).astype(int))
    below = scipy.stats.skellam(rate, rate).cdf(edges)
    if stddev > 1000:  # SciPy's own is no more exact than the limit there
        below = scipy.stats.norm(scale=stddev).cdf(edges + 0.5)
    expected = np.diff(np.concatenate([[0], below, [1]])) * len(drawn)
    counts = np.bincount(np.searchsorted(edges, drawn), minlength=len(edges) + 1)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-6


def test_without_noise_the_mean_is_the_clipped_one(secure_context):
    rng = np.random.default_rng(3)
    updates = [
        tuple(rng.normal(size=s.shape).astype(np.float32) * scale for s in SPECS)
        for scale in (1e-3, 1e-4, 5.0)
    ]
    description = dataclasses.replace(DESCRIPTION, noise_multiplier=0.0)
    expected = sum(flat(u) * min(1, CLIP / np.linalg.norm(flat(u))) for u in updates)
    step = CLIP / SKELLAM_UNITS
    # Cut off towards zero: by less than a step for each update.
    difference = 5 * mean(description, updates) - expected
    assert np.abs(difference).max() < (len(updates) + 0.1) * step


def test_no_update_is_longer_than_the_norm():
    query = SkellamShares(l2_clip_norm=CLIP, share_stddev=0.0, denominator=5)
    params = query.derive_sample_params(query.initial_global_state())
    rng = np.random.default_rng(4)
    for scale in (1e-6, 1.0, 1e6, 1e30, math.inf, math.nan):
        update = tuple(
            tf.constant(scale * rng.normal(size=s.shape), tf.float32) for s in SPECS
        )
        whole = flat(query.preprocess_record(params, update))
        assert np.linalg.norm(whole) <= SKELLAM_UNITS
        if scale in {1.0, 1e6}:
            assert np.linalg.norm(whole) > 0.99 * SKELLAM_UNITS


def test_sums_of_all_updates_alike_do_not_wrap_around(secure_context):
    """The largest sum there is: all of everybody's norm in one coordinate."""
    unit = zeros()
    unit[1][0] = CLIP
    description = dataclasses.replace(DESCRIPTION, noise_multiplier=0.0)
    for sign in (1, -1):
        update = tuple(sign * leaf for leaf in unit)
        total = 5 * mean(description, [update] * PRESENT)
        assert total.sum() == pytest.approx(sign * PRESENT * CLIP, rel=1e-4)
    assert DESCRIPTION.modulus > 2 * PRESENT * SKELLAM_UNITS


def test_sums_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="make sums that don't fit 30 bits"):
        dataclasses.replace(DESCRIPTION, most_updates=10_000)
    with pytest.raises(ValueError, match="`least_honest` must be"):
        dataclasses.replace(DESCRIPTION, least_honest=PRESENT + 1)


@pytest.mark.parametrize(("variance", "moved"), [(4, 1), (9, 2), (100, 5)])
def test_the_bound_of_skellam_noise_holds_in_one_dimension(variance, moved):
    """Against the Rényi divergence itself, by summing over all integers."""
    mechanism = SkellamSum(
        noise_multiplier=math.sqrt(variance) / moved, l2_units=moved, coordinates=1
    )
    gaussian = mechanism.event("replace_special").event.noise_multiplier
    at = np.arange(-40 * math.isqrt(variance), 40 * math.isqrt(variance) + 1)
    log_p = scipy.stats.skellam(variance / 2, variance / 2).logpmf(at)
    log_q = scipy.stats.skellam(variance / 2, variance / 2).logpmf(at - moved)
    kept = np.isfinite(log_p) & np.isfinite(log_q)
    for order in (2, 3, 5):
        terms = order * log_p[kept] - (order - 1) * log_q[kept]
        divergence = np.logaddexp.reduce(terms) / (order - 1)
        bound = order / (2 * gaussian**2)
        assert divergence <= bound * (1 + 1e-9)
        assert divergence > 0.3 * bound


def farthest(units, coordinates):
    """The largest L1 norm of whole numbers whose L2 norm is at most `units`."""
    return max(
        sum(map(abs, update))
        for update in itertools.product(range(units + 1), repeat=coordinates)
        if sum(number**2 for number in update) <= units**2
    )


# The source's bound by hand. Noise of variance 4 on updates of at most 2 units:
# 1 / z^2 = D2^2 / 4 + (D2^2 + 3 D1) / 16.
@pytest.mark.parametrize(
    ("coordinates", "neighbouring", "l1", "inverse_square"),
    [
        (1, "replace_special", 2, 4 / 4 + (4 + 6) / 16),
        (4, "replace_special", 4, 4 / 4 + (4 + 12) / 16),
        (9, "replace_special", 4, 4 / 4 + (4 + 12) / 16),  # (1, 1, 1, 1, 0, ...)
        (1, "replace_one", 4, 16 / 4 + (16 + 12) / 16),
        (4, "replace_one", 8, 16 / 4 + (16 + 24) / 16),
    ],
)
def test_many_coordinates_count_by_their_l1_norm(
    coordinates, neighbouring, l1, inverse_square
):
    moved = 2 if neighbouring == "replace_one" else 1
    assert moved * farthest(2, min(coordinates, 5)) == l1
    event = SkellamSum(noise_multiplier=1.0, l2_units=2, coordinates=coordinates).event(
        neighbouring
    )
    assert event.event.noise_multiplier == pytest.approx(inverse_square**-0.5)


def test_with_fine_units_skellam_noise_costs_what_gaussian_noise_does():
    skellam, gaussian = (
        accounting.epsilon(
            [mechanism],
            neighbouring="replace_special",
            delta=1e-5,
            accountant="rdp",
        )
        for mechanism in (
            DESCRIPTION.mechanism(coordinates=COORDINATES, releases=3),
            FullParticipation(noise_multiplier=NOISE, releases=3),
        )
    )
    assert gaussian.value < skellam.value < 1.03 * gaussian.value


def test_skellam_noise_has_no_privacy_loss_distribution():
    mechanism = DESCRIPTION.mechanism(coordinates=10, releases=1)
    with pytest.raises(accounting.UnsupportedMechanismError, match="must be rdp"):
        accounting.epsilon(
            [mechanism], neighbouring="replace_one", delta=1e-5, accountant="pld"
        )
    chosen = accounting.epsilon([mechanism], neighbouring="replace_one", delta=1e-5)
    assert chosen.accountant == "rdp"
    noise = accounting.noise_multiplier(
        lambda z: dataclasses.replace(mechanism, noise_multiplier=z),
        neighbouring="replace_one",
        epsilon=chosen.value,
        delta=1e-5,
    )
    assert noise == pytest.approx(NOISE, rel=1e-3)


def test_the_systems_seeds_are_the_default():
    assert DistributedNoise.aggregator.__kwdefaults__ == {
        "seed_source": fresh_noise.system_seed
    }


def test_only_integers_leave_an_institution(secure_context):
    """What the server adds up, by TFF's own split of the computation."""
    process = DESCRIPTION.aggregator().create(tff.to_type([(np.float32, [3])]))

    @tff.federated_computation(*process.next.type_signature.parameter)
    def next_round(state, updates):
        output = process.next(state, updates)
        return output.state, output.result

    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(next_round)
    plain, bits, largest, modular = form.work.type_signature.result
    for nothing in (plain, bits, largest):
        assert not tff.types.contains(nothing, lambda t: isinstance(t, tff.TensorType))
    assert tff.types.contains_only(
        modular,
        lambda t: not isinstance(t, tff.TensorType) or t.dtype == np.int32,
    )
