"""Same features, different targets: banks whose labels say different things.

Three banks have customers of the same market and describe them by the same features,
but each predicts something else of them. All three targets follow laws of the same
form: how much each sign of trouble counts depends on the same situations, softly, by
age and income volatility; the laws differ in which signs count at all. So what a
network has to work out of the features first is common to the targets, and what it
makes of that is not. In this population that is so by construction; whether it is so
of real targets, only their tables can tell.
"""

from tff_finance.datasets.population import SEGMENTS, DefaultLaw
from tff_finance.datasets.scenarios import Bank, Scenario
from tff_finance.records.training_config import TrainingConfig

# What a label stands for ("" is what the contract says), and the emphasis of the signs:
# utilisation, debt service, thin savings, late payments, inquiries, loan to value,
# income volatility.
_TARGETS = {
    "bank_a": ("", (1, 1, 1, 1, 1, 1, 1)),
    "bank_b": (
        "request for a consolidation loan within the next 12 months",
        (1.5, 1, -0.5, 0.2, 1.5, 0, 0),
    ),
    "bank_c": (
        "instalment missed when income drops by a quarter",
        (0.2, 1.5, 1.5, 0, 0, 0.5, 1),
    ),
}


def different_targets(train_rows: tuple[int, ...] = (250, 500, 1_000)) -> Scenario:
    """The scenario.

    Args:
        train_rows: Labelled customers of the three banks.

    Returns:
        The banks' customers are alike in kind: they differ by what is predicted.
    """
    return Scenario(
        name="different_targets",
        description=(
            "Three banks have customers of the same market and the same features, and "
            "each predicts something else of them. The targets depend on the same "
            "situations and signs of trouble by construction, so that a shared trunk "
            "can help where labels are few. Nothing is pooled or averaged over banks: "
            "their labels say different things."
        ),
        banks=tuple(
            Bank(
                name=name,
                segment=segment,
                train_rows=rows,
                validation_rows=rows // 2,
                test_rows=4_000,
                target=target,
                law=DefaultLaw(emphasis=emphasis),
            )
            for (name, (target, emphasis)), segment, rows in zip(
                _TARGETS.items(), SEGMENTS, train_rows, strict=True
            )
        ),
        heterogeneity=0.0,
        training=TrainingConfig(client_learning_rate=0.2, batch_size=32),
        law=DefaultLaw(),
    )
