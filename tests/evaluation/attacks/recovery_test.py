"""What counts as recovered, whose guess is whose, and what knowing nothing gives."""

import numpy as np
import pytest

from tests.evaluation.attacks.tables import LAYOUT, table
from tff_finance.datasets.contract import CategoricalColumn, Contract, NumericColumn
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout
from tff_finance.evaluation.attacks.recovery import Judge


def judge(**options):
    means = table(200, seed=9)[0].mean(axis=0)
    return Judge(layout=LAYOUT, means=means, **options)


def test_layout_is_the_encoders():
    from tff_finance.preprocessing.encoder import Encoder

    def numeric(name):
        return NumericColumn(name=name, unit="", description="", minimum=0, maximum=1)

    contract = Contract(
        name="c",
        label="y",
        label_meaning="",
        columns=(
            numeric("a"),
            numeric("b"),
            CategoricalColumn(name="k", description="", categories=("u", "v", "w")),
        ),
    )
    encoder = Encoder(
        contract=contract,
        mean={"a": 0, "b": 0},
        deviation={"a": 1, "b": 1},
        with_indicator=frozenset(["a"]),
        kept_categories={"k": ("u", "w")},
    )
    layout = FeatureLayout.of_encoder(encoder)
    assert encoder.feature_names == ("a", "a_missing", "b", "k=u", "k=w", "k=other")
    assert layout == FeatureLayout(numeric=(0, 2), indicators=(1,), groups=((3, 4, 5),))
    assert (layout.num_columns, layout.num_features) == (6, 4)


def test_projection_makes_rows_possible_and_leaves_possible_ones():
    x, _ = table(50)
    np.testing.assert_array_equal(LAYOUT.projected(x), x.astype(np.float64))
    rough = x + np.random.default_rng(0).normal(scale=0.3, size=x.shape)
    assert not LAYOUT.is_possible(rough, tolerance=0.01).any()
    assert LAYOUT.is_possible(LAYOUT.projected(rough), tolerance=0.01).all()
    assert LAYOUT.is_possible(x, tolerance=0.01).all()


def test_each_kind_of_feature_counts_once():
    truth = np.array([[0.0, 0, 0, 0, 1, 0, 1, 0]])
    guess = np.array([[0.09, -0.09, 0.11, 0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(
        judge().recovery(truth, guess).features,
        [[True, True, False, True, False, False]],
    )


def test_order_of_guesses_does_not_matter():
    x, _ = table(20)
    shuffled = x[np.random.default_rng(0).permutation(20)]
    result = judge().recovery(x, shuffled)
    assert (result.share, result.records) == (1.0, 1.0)


def test_a_guess_serves_one_row_only():
    x, _ = table(10)
    result = judge().recovery(x, np.tile(x[:1], (10, 1)))
    assert result.features.all(axis=1).sum() == 1


def test_missing_and_infinite_guesses_are_typical_rows():
    x, _ = table(10)
    nothing = judge().recovery(x, np.empty([0, 8]))
    infinite = judge().recovery(x, np.full([10, 8], np.nan))
    np.testing.assert_array_equal(infinite.features, nothing.features)
    typical = LAYOUT.errors(x, judge().typical_row)
    np.testing.assert_array_equal(nothing.features[:, :4], typical[:, :4] <= 0.1)
    one = judge().recovery(x, x[3:4])
    assert one.features[3].all()
    others = np.delete(np.arange(10), 3)
    np.testing.assert_array_equal(one.features[others], nothing.features[others])


def test_the_typical_row_has_means_and_most_frequent_codes():
    means = np.array([0.1, 0, 0, 0, 0.6, 0.2, 0.3, 0.5])
    typical = Judge(layout=LAYOUT, means=means).typical_row
    np.testing.assert_array_equal(typical, [0.1, 0, 0, 0, 1, 0, 0, 1])


def test_no_information_is_what_the_best_guess_without_any_gives():
    x, _ = table(200)
    nothing = judge().without_information(x)
    assert nothing >= judge().recovery(x, np.empty([0, 8])).share
    # Rows of the same law, drawn anew, know no more.
    for seed in range(5, 10):
        random, _ = table(200, seed=seed)
        assert judge().recovery(x, random).share < nothing + 0.03


def test_of_one_row_no_information_is_the_typical_row():
    means = np.array([0, 0, 0, 0, 0.9, 0.05, 0.05, 0.9])
    x, _ = table(1)
    lenient = Judge(layout=LAYOUT, means=means, tolerance=10.0)
    typical = np.array([[*x[0, :4], 1, 0, 0, 1]])
    assert lenient.without_information(typical) == 1


def test_a_tolerance_of_zero_is_refused():
    with pytest.raises(ValueError, match="`tolerance`"):
        judge(tolerance=0.0)
