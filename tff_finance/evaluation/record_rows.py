"""What a record says of institutions and of exchanges before training."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import tensorflow_federated as tff

from tff_finance.datasets.contract import Contract
from tff_finance.institutions.institution import Institution
from tff_finance.records.run_rows import InstitutionRow
from tff_finance.training import communication

ExchangedTypes = tuple[Sequence[tff.Type], Sequence[tff.Type]]
"""Of what each institution receives, and of what it sends."""


def traffic_once(types: ExchangedTypes) -> dict[str, Any]:
    """Bytes of an exchange that happens once, as records hold it."""
    received, sent = types
    return {
        "bytes_down": sum(map(communication.type_bytes, received)),
        "bytes_up": sum(map(communication.type_bytes, sent)),
        "source": f"{communication.SOURCE}, for each institution, once",
    }


def institution_row(
    institution: Institution, contract: Contract, seed: int
) -> InstitutionRow:
    """Sizes of an institution's tables, its positive rate, and what that is of."""
    label = contract.label
    tables = (institution.train, institution.validation, institution.test)
    everything = pd.concat([table[label] for table in tables])
    return InstitutionRow(
        seed=seed,
        institution=institution.name,
        train_rows=len(institution.train),
        validation_rows=len(institution.validation),
        test_rows=len(institution.test),
        test_positives=int(institution.test[label].sum()),
        positive_rate=float(everything.mean()),
        target=contract.target_of(institution.name),
    )
