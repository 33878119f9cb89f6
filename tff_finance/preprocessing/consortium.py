"""A consortium ready to train: every institution's tables, encoded at home."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from tff_finance.datasets.contract import Contract
from tff_finance.institutions.examples import Examples, dense_examples
from tff_finance.institutions.institution import Institution
from tff_finance.preprocessing.encoder import Encoder, encoder_from_statistics
from tff_finance.preprocessing.statistics import federated_statistics


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingExamples:
    """What training may see of an institution: no test rows.

    Attributes:
        institution: Its name.
        train: Rows that models learn from.
        validation: Rows for early stopping.
    """

    institution: str
    train: Examples
    validation: Examples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consortium:
    """Encoded tables of all institutions.

    Attributes:
        encoder: The encoder that all share.
        training: By institution, in order.
        test: Test rows by institution; for the final evaluation only.
    """

    encoder: Encoder
    training: tuple[TrainingExamples, ...]
    test: Mapping[str, Examples]


def encode_consortium(
    institutions: Sequence[Institution], contract: Contract
) -> Consortium:
    """Fits the shared encoder on training rows and encodes every table.

    Args:
        institutions: Their tables satisfy the contract.
        contract: The columns that all agreed on.

    Returns:
        The consortium. The encoder saw sums over training rows only.

    Raises:
        ValueError: If two institutions have the same name.
    """
    names = [institution.name for institution in institutions]
    if len(set(names)) < len(names):
        raise ValueError(f"`institutions` must have distinct names, got {names}.")
    statistics = federated_statistics(
        [i.train for i in institutions], contract, institutions=names
    )
    encoder = encoder_from_statistics(statistics, contract)

    def encode(institution: Institution, table: pd.DataFrame) -> Examples:
        return dense_examples(
            encoder.features(table),
            encoder.labels(table),
            institution=institution.name,
        )

    return Consortium(
        encoder=encoder,
        training=tuple(
            TrainingExamples(
                institution=i.name,
                train=encode(i, i.train),
                validation=encode(i, i.validation),
            )
            for i in institutions
        ),
        test={i.name: encode(i, i.test) for i in institutions},
    )
