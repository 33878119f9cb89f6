"""What DP-SGD protects at each institution: its rows, or its customers."""

import dataclasses
import secrets
from collections.abc import Sequence

from tff_finance import checks
from tff_finance.evaluation.methods import Federated, Fitted, Learner
from tff_finance.institutions.customers import CustomersInMemory, customer_examples
from tff_finance.institutions.examples import Examples, ExampleStore
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.training.folder import TrainingFolder


def unit_store(config: DpSgdConfig, store: ExampleStore) -> ExampleStore:
    """How clients get at their units, where rows are in `store`."""
    if config.by_customer:
        return CustomersInMemory(config.most_rows_per_customer)
    return store


def by_units(
    institutions: Sequence[TrainingExamples], config: DpSgdConfig
) -> list[TrainingExamples]:
    """Institutions whose training rows are packed by the unit that is protected.

    Customers' numbers stay here: what is packed says which rows are of one customer,
    and not whose they are. Which rows of a customer are left out is drawn anew in every
    training, from a secret of each institution's own.

    Args:
        institutions: As encoded.
        config: The unit, and how many rows of a customer count.

    Returns:
        The institutions, for `unit_store`; as they are if rows are the units.

    Raises:
        UnfitSettingsError: If customers are to be protected and aren't known, or if
            their numbers are a feature.
    """
    try:
        config.check_customers_known(all(i.customers is not None for i in institutions))
        config.check_customers_no_feature(
            any(i.customers_are_feature for i in institutions)
        )
    except ValueError as error:
        raise checks.UnfitSettingsError(str(error)) from error
    if not config.by_customer:
        return list(institutions)
    return [_by_customers(i, config.most_rows_per_customer) for i in institutions]


def num_units(examples: Examples) -> int:
    """How many units an institution's packed training rows are of."""
    return len(examples.get("customer_rows", examples["y"]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FederatedByUnits:
    """A federated algorithm over units, which promises nothing.

    Attributes:
        name: In tables and records.
        learner: Made for `unit_store`.
        config: The unit.
    """

    name: str
    learner: Learner
    config: DpSgdConfig

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains one global model."""
        return Federated(name=self.name, learner=self.learner).fit(
            by_units(institutions, self.config), seed=seed, folder=folder
        )


def _by_customers(institution: TrainingExamples, most_rows: int) -> TrainingExamples:
    assert institution.customers is not None
    packed = customer_examples(
        institution.train["x"],
        institution.train["y"],
        institution.customers,
        institution=institution.institution,
        most_rows=most_rows,
        secret=secrets.token_bytes(32),
    )
    return dataclasses.replace(institution, train=packed, customers=None)
