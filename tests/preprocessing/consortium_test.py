"""Encoded consortium: one encoder for all, fitted on training rows only."""

import dataclasses

import numpy as np
import pytest

from tff_finance.institutions.institution import Institution
from tff_finance.preprocessing.consortium import encode_consortium

pytestmark = pytest.mark.usefixtures("tff_context")


@pytest.fixture
def institutions(tables):
    return [
        Institution(
            name=name,
            train=table.iloc[: len(table) // 2],
            validation=table.iloc[len(table) // 2 : -5],
            test=table.iloc[-5:],
        )
        for name, table in (("bank_a", tables[0]), ("bank_b", tables[1]))
    ]


def test_all_share_one_encoder(institutions, contract):
    consortium = encode_consortium(institutions, contract)
    encoder = consortium.encoder
    assert [t.institution for t in consortium.training] == ["bank_a", "bank_b"]
    assert list(consortium.test) == ["bank_a", "bank_b"]
    for institution, examples in zip(institutions, consortium.training, strict=True):
        for table, encoded in (
            (institution.train, examples.train),
            (institution.validation, examples.validation),
            (institution.test, consortium.test[institution.name]),
        ):
            np.testing.assert_array_equal(encoded["x"], encoder.features(table))
            np.testing.assert_array_equal(encoded["y"][:, 0], encoder.labels(table))
            assert encoded["y"].shape == (len(table), 1)
            assert encoded["institution"].item() == institution.name.encode()


def test_pooled_training_rows_are_standardised(institutions, contract):
    consortium = encode_consortium(institutions, contract)
    x = np.concatenate([t.train["x"] for t in consortium.training])
    names = consortium.encoder.feature_names
    for name in ("income", "account"):
        column = x[:, names.index(name)].astype(np.float64)
        assert column.mean() == pytest.approx(0, abs=1e-5)
        assert column.std() == pytest.approx(1, abs=1e-5)


def test_validation_and_test_rows_do_not_reach_the_encoder(institutions, contract):
    changed = [
        Institution(
            name=i.name,
            train=i.train,
            validation=i.validation.assign(income=1e9, ltv=np.nan, housing="parents"),
            test=i.test.assign(income=0.0, ltv=1e6, housing="parents"),
        )
        for i in institutions
    ]
    expected = encode_consortium(institutions, contract)
    actual = encode_consortium(changed, contract)
    assert actual.encoder == expected.encoder
    for left, right in zip(actual.training, expected.training, strict=True):
        np.testing.assert_array_equal(left.train["x"], right.train["x"])
        assert not np.array_equal(left.validation["x"], right.validation["x"])


def test_whose_rows_they_are_is_known_and_no_feature(institutions, contract):
    plain = encode_consortium(institutions, contract)
    assert [t.customers for t in plain.training] == [None, None]
    numbers = {
        i.name: np.array([f"{i.name} {n // 2}" for n in range(len(i.train))])
        for i in institutions
    }
    named = [
        dataclasses.replace(
            i, train=i.train.assign(customer=numbers[i.name]), clusters="customer"
        )
        for i in institutions
    ]
    consortium = encode_consortium(named, contract)
    assert consortium.encoder == plain.encoder
    for before, after in zip(plain.training, consortium.training, strict=True):
        np.testing.assert_array_equal(after.customers, numbers[after.institution])
        assert not after.customers_are_feature
        assert after.train.keys() == before.train.keys()
        np.testing.assert_array_equal(after.train["x"], before.train["x"])


def test_two_institutions_of_one_name_are_refused(institutions, contract):
    with pytest.raises(ValueError, match="distinct names"):
        encode_consortium([institutions[0], institutions[0]], contract)
