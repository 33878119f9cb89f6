"""A consortium ready to train: every institution's tables, encoded at home."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
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
        customers: Whose each training row is, any[n]; None if that isn't known. It
            doesn't leave the institution.
        customers_are_feature: Whether models see that column as well.
    """

    institution: str
    train: Examples
    validation: Examples
    customers: np.ndarray | None = None
    customers_are_feature: bool = False


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
    encoder, training = encode_training(institutions, contract)
    return Consortium(
        encoder=encoder, training=training, test=encode_test(institutions, encoder)
    )


def encode_training(
    institutions: Sequence[Institution], contract: Contract
) -> tuple[Encoder, tuple[TrainingExamples, ...]]:
    """As `encode_consortium`, without a look at test rows.

    Args:
        institutions: Their tables satisfy the contract.
        contract: The columns that all agreed on.

    Returns:
        The encoder that the institutions share, and what training may see.

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
    features = {column.name for column in contract.features}
    return encoder, tuple(
        TrainingExamples(
            institution=i.name,
            train=_encode(i.train, encoder, i.name),
            validation=_encode(i.validation, encoder, i.name),
            customers=i.train[i.clusters].to_numpy() if i.clusters else None,
            customers_are_feature=i.clusters in features,
        )
        for i in institutions
    )


def encode_test(
    institutions: Sequence[Institution], encoder: Encoder
) -> dict[str, Examples]:
    """Encodes test rows, by institution, with an encoder that may be of others."""
    return {i.name: _encode(i.test, encoder, i.name) for i in institutions}


def _encode(table: pd.DataFrame, encoder: Encoder, institution: str) -> Examples:
    return dense_examples(
        encoder.features(table), encoder.labels(table), institution=institution
    )
