"""What institutions' labels stand for: the same thing, or several."""

from collections.abc import Collection, Mapping

from tff_finance import checks
from tff_finance.datasets.contract import Contract

# Whose labels or predictions of all institutions come together.
_POOLING_METHODS = ("centralized", "gradient_boosting", "fed_md")


def pooling(methods: Collection[str]) -> dict[str, list[str]]:
    """The methods that pool labels or average predictions, as `asked` takes them."""
    names = [method for method in methods if method in _POOLING_METHODS]
    return {f"methods={','.join(names)}": names}


def targets_of(contract: Contract, institutions: Collection[str]) -> dict[str, str]:
    """What each institution's label stands for."""
    return {name: contract.target_of(name) for name in institutions}


def differ(targets: Mapping[str, str]) -> bool:
    """Whether labels stand for several things, so that they can't be pooled."""
    return len(set(targets.values())) > 1


def check_nothing_pools(
    targets: Mapping[str, str], asked: Mapping[str, object]
) -> None:
    """Refuses what pools labels where these stand for different things.

    Args:
        targets: By institution.
        asked: What pools labels, by the name of the setting that asks for it.

    Raises:
        RunFailedError: If something does that is asked for.
    """
    names = [name for name, value in asked.items() if value]
    if names and differ(targets):
        raise checks.RunFailedError(
            f"`{names[0]}` needs labels that stand for the same thing at all "
            "institutions, but the contract gives some of them a `label_meaning` of "
            "their own: leave it out."
        )
