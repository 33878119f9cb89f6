"""Federated statistics equal those of pooled rows, which nobody reads."""

import math

import numpy as np
import pandas as pd
import pytest
import tensorflow_federated as tff

from tff_finance.datasets.contract import Contract
from tff_finance.preprocessing import statistics
from tff_finance.preprocessing.statistics import federated_statistics, transformed

pytestmark = pytest.mark.usefixtures("tff_context")


def pooled_columns(tables, contract):
    pooled = pd.concat(tables)
    return {c.name: transformed(pooled[c.name], c) for c in contract.numeric_columns}


def exact_mean_and_variance(values):
    """Without rounding in the sums; scikit-learn's lose digits of `account`."""
    present = values[~np.isnan(values)]
    mean = math.fsum(present) / len(present)
    return mean, math.fsum((present - mean) ** 2) / len(present)


def tensors(type_spec):
    """All tensor types within a type; fails on anything else, as a sequence."""
    if isinstance(type_spec, tff.StructType):
        return [leaf for member in type_spec for leaf in tensors(member)]
    assert isinstance(type_spec, tff.TensorType), type_spec
    return [type_spec]


def uploads(computation):
    """Tensor types that an institution sends when `computation` runs."""
    parameter = computation.type_signature.parameter
    arguments = (
        list(parameter) if isinstance(parameter, tff.StructType) else [parameter]
    )
    server = [a for a in arguments if a.placement is tff.SERVER]
    state = server[0].member if server else tff.TensorType(np.int32)

    @tff.federated_computation(tff.FederatedType(state, tff.SERVER), arguments[-1])
    def as_a_round(state, data):
        return state, computation(state, data) if server else computation(data)

    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(as_a_round)
    return tensors(form.work.type_signature.result)


def test_equal_to_the_pooled_rows(tables, contract):
    result = federated_statistics(tables, contract)
    pooled, columns = pd.concat(tables), pooled_columns(tables, contract)
    assert result.rows == 460
    assert list(result.mean) == list(columns)
    for name, values in columns.items():
        mean, variance = exact_mean_and_variance(values)
        assert result.mean[name] == pytest.approx(mean, rel=1e-15), name
        assert result.variance[name] == pytest.approx(variance, rel=1e-10, abs=1e-28)
    assert result.missing == {
        name: int(pooled[name].isna().sum()) for name in result.missing
    }
    assert result.missing["ltv"] > 50
    assert result.category_counts == {
        "housing": {
            name: int((pooled["housing"] == name).sum())
            for name in ("rent", "own", "parents")
        },
        "region": {name: int((pooled["region"] == name).sum()) for name in ("n", "s")},
    }


def test_sums_of_squares_would_have_lost_the_digits(tables, contract):
    """Shows that the test above can fail: the one-round formula is far off."""
    values = pooled_columns(tables, contract)["account"]
    one_round = np.mean(values**2) - np.mean(values) ** 2
    assert abs(one_round / np.var(values) - 1) > 0.1


def test_institutions_send_sums_of_fixed_size_only(contract):
    computations = statistics._build_computations(contract)
    numeric, categories = 4, 3 + 2
    for computation, values in (
        (computations.sums, 1 + numeric + numeric + categories),
        (computations.squared_deviations, numeric),
    ):
        sent = uploads(computation)
        assert not any(leaf.shape is None or None in leaf.shape for leaf in sent)
        assert sum(int(np.prod(leaf.shape)) for leaf in sent) == values
        result = computation.type_signature.result
        assert result.placement is tff.SERVER
        assert sum(int(np.prod(t.shape)) for t in tensors(result.member)) == values


def test_each_institution_reads_its_own_rows_only(tables, contract, monkeypatch):
    calls = []
    build = statistics._build_computations

    def spying(contract):
        computations = build(contract)

        def sums(data):
            calls.append(data)
            return computations.sums(data)

        def squared_deviations(mean, data):
            calls.append(data)
            return computations.squared_deviations(mean, data)

        return statistics._Computations(sums, squared_deviations)

    monkeypatch.setattr(statistics, "_build_computations", spying)
    federated_statistics(tables, contract)
    assert len(calls) == 2
    for data in calls:
        assert [[len(e["numbers"]) for e in client] for client in data] == [
            [400],
            [57],
            [3],
            [0],
        ]


def test_order_and_split_of_rows_do_not_matter(tables, contract):
    whole = federated_statistics(tables, contract)
    pieces = [tables[0].iloc[200:], tables[2], tables[0].iloc[:200], tables[1]]
    dealt = federated_statistics(pieces, contract)
    assert dealt.category_counts == whole.category_counts
    assert dealt.missing == whole.missing
    for name in ("income", "account", "ltv"):
        assert dealt.mean[name] == pytest.approx(whole.mean[name], rel=1e-14)
        assert dealt.variance[name] == pytest.approx(whole.variance[name], rel=1e-9)


def test_column_missing_at_one_institution_only(tables, contract):
    without = tables[0].assign(ltv=np.nan)
    result = federated_statistics([without, tables[1]], contract)
    assert result.mean["ltv"] == pytest.approx(tables[1]["ltv"].mean(), rel=1e-12)
    assert result.variance["ltv"] == pytest.approx(tables[1]["ltv"].var(ddof=0))
    assert result.missing["ltv"] == 400 + tables[1]["ltv"].isna().sum()


def test_column_missing_everywhere_is_refused(tables, contract):
    nowhere = [table.assign(ltv=np.nan) for table in tables]
    with pytest.raises(ValueError, match="`tables` have no value in ltv"):
        federated_statistics(nowhere, contract)


def test_no_rows_at_all_are_refused(tables, contract):
    with pytest.raises(ValueError, match="no value in income, account, ltv, constant"):
        federated_statistics([tables[3], tables[3]], contract)


def test_nullable_integers_are_numbers(tables, contract):
    plain = tables[0].assign(ltv=[np.nan, *range(399)])
    nullable = plain.assign(ltv=plain["ltv"].astype("Int64"))
    assert federated_statistics([nullable], contract) == federated_statistics(
        [plain], contract
    )


def test_contract_of_one_kind(tables, contract):
    for columns in (contract.numeric_columns, contract.categorical_columns):
        part = Contract(name="p", columns=columns, label="default", label_meaning="")
        result = federated_statistics(tables, part)
        assert result.rows == 460
        assert len(result.mean) + len(result.category_counts) == len(columns)


def test_exchanged_types_are_the_sums_and_the_means(contract):
    received, sent = statistics.exchanged_types(contract)
    numeric = len(contract.numeric_columns)
    categories = sum(len(c.categories) for c in contract.categorical_columns)
    assert sum(math.prod(t.shape) for m in received for t in tensors(m)) == numeric
    assert sum(math.prod(t.shape) for m in sent for t in tensors(m)) == (
        1 + 3 * numeric + categories
    )
