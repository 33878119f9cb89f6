"""What labels stand for: the contract's meaning, or an institution's own."""

import dataclasses

import pytest

from tff_finance import checks
from tff_finance.datasets.contract_file import (
    contract_from_mapping,
    contract_to_mapping,
)
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.different_targets import different_targets
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.evaluation.targets import (
    check_nothing_pools,
    differ,
    pooling,
    targets_of,
)

CONTRACT = dataclasses.replace(
    CREDIT_CONTRACT, formats={"bank_b": InstitutionFormat(label_meaning="leaves")}
)


def test_the_contracts_meaning_unless_an_institution_has_its_own():
    meaning = CREDIT_CONTRACT.label_meaning
    targets = targets_of(CONTRACT, ["bank_a", "bank_b"])
    assert targets == {"bank_a": meaning, "bank_b": "leaves"}
    assert differ(targets)
    assert not differ(targets_of(CREDIT_CONTRACT, ["bank_a", "bank_b"]))


def test_a_contract_file_has_it_where_there_is_one():
    mapping = contract_to_mapping(CONTRACT)
    assert mapping["institutions"]["bank_b"]["label_meaning"] == "leaves"
    assert contract_from_mapping(mapping, source="here") == CONTRACT
    plain = dataclasses.replace(CONTRACT, formats={"bank_b": InstitutionFormat()})
    assert "label_meaning" not in contract_to_mapping(plain)["institutions"]["bank_b"]


def test_what_pools_labels_is_refused_over_different_ones():
    different, same = {"a": "x", "b": "y"}, {"a": "x", "b": "x"}
    with pytest.raises(checks.RunFailedError, match="`payments` needs labels"):
        check_nothing_pools(different, {"class_weights": False, "payments": "day"})
    check_nothing_pools(different, {"class_weights": False, "payments": None})
    check_nothing_pools(same, {"class_weights": True, "payments": "day"})


@pytest.mark.parametrize("method", ["centralized", "gradient_boosting", "fed_md"])
def test_methods_that_pool_labels_or_average_predictions_are_refused(method):
    asked = pooling(["fed_avg", method])
    with pytest.raises(checks.RunFailedError, match=f"`methods={method}` needs labels"):
        check_nothing_pools({"a": "x", "b": "y"}, asked)
    check_nothing_pools({"a": "x", "b": "x"}, asked)
    # The others have a model for each target, or show what one for all costs.
    others = pooling(["local", "fed_avg", "fine_tuned", "fed_per"])
    check_nothing_pools({"a": "x", "b": "y"}, others)


def test_synthetic_banks_of_different_targets():
    scenario = different_targets((40, 60, 80))
    targets = targets_of(scenario.contract, [bank.name for bank in scenario.banks])
    assert len(set(targets.values())) == 3
    assert targets["bank_a"] == CREDIT_CONTRACT.label_meaning
    assert [bank.train_rows for bank in scenario.banks] == [40, 60, 80]
    laws = {bank.law for bank in scenario.banks}
    assert len(laws) == 3
