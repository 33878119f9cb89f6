"""Ledgers: everything that was released about the same units, and what it cost.

Every institution has a ledger of its own for record and customer level, with its own
number of units; the consortium has one for institution level. A ledger gives a
guarantee only when nothing in it was forgotten.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tff_finance import checks
from tff_finance.privacy import accounting, mechanisms
from tff_finance.privacy.guarantee import RELATIONS, UNITS, Guarantee, default_delta
from tff_finance.privacy.mechanisms import Mechanism

STAGES = ("preprocessing", "training", "validation", "tuning", "evaluation")


class IncompleteLedgerError(ValueError):
    """A ledger in which a stage has no entry."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a ledger.

    Attributes:
        stage: From `STAGES`.
        what: What was released, or that nothing was.
        mechanism: That protects it; None if nothing does.
        reason: Without a mechanism: why none is needed, or why it is left so.
        released: Whether anything was. Without a mechanism, what was released is
            not protected, and the guarantee says so.
    """

    stage: str
    what: str
    mechanism: Mechanism | None = None
    reason: str = ""
    released: bool = True

    def __post_init__(self) -> None:
        """Refuses entries that don't say what they must."""
        checks.check_one_of("stage", self.stage, STAGES)
        if not self.what:
            raise ValueError("`what` must say what was released, got an empty text.")
        if self.mechanism is None and not self.reason:
            raise ValueError(f"`reason` must say why {self.what!r} has no mechanism.")
        if self.mechanism is not None and not self.released:
            raise ValueError(f"{self.what!r} has a mechanism but is not released.")

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        made = self.mechanism and mechanisms.to_mapping(self.mechanism)
        return {
            "stage": self.stage,
            "what": self.what,
            "mechanism": made,
            "reason": self.reason,
            "released": self.released,
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Entry":
        """From what `to_mapping` gave."""
        made = mapping["mechanism"]
        mechanism = mechanisms.from_mapping(made) if made else None
        return cls(**{**mapping, "mechanism": mechanism})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ledger:
    """All releases about one population of units. Values: adding gives a new ledger.

    Attributes:
        owner: The institution, or "consortium".
        unit: From `guarantee.UNITS`.
        neighbouring: From `guarantee.RELATIONS`; the same for all entries.
        population: Number of units, which is public.
        delta: Defaults to `default_delta(population)`.
        entries: In the order in which they were made.
    """

    owner: str
    unit: str
    neighbouring: str
    population: int
    delta: float | None = None
    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        """Refuses unknown names, bad numbers and what has no bound."""
        checks.check_one_of("unit", self.unit, UNITS)
        checks.check_one_of("neighbouring", self.neighbouring, RELATIONS)
        checks.check_at_least("population", self.population, 1)
        if self.delta is None:
            object.__setattr__(self, "delta", default_delta(self.population))
        checks.check_positive("delta", self.target_delta)
        checks.check_in_range("delta", self.target_delta, 0, 1)
        for mechanism in self.mechanisms:
            if self.neighbouring not in mechanism.relations:
                raise accounting.UnsupportedMechanismError(
                    f"The ledger of {self.owner!r} is under {self.neighbouring!r}; "
                    f"{type(mechanism).__name__} needs "
                    f"{' or '.join(mechanism.relations)}."
                )

    @property
    def target_delta(self) -> float:
        """The delta, given or by default."""
        return default_delta(self.population) if self.delta is None else self.delta

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """Those of all protected releases."""
        return tuple(e.mechanism for e in self.entries if e.mechanism is not None)

    @property
    def missing_stages(self) -> tuple[str, ...]:
        """Stages of which the ledger knows nothing."""
        entered = {entry.stage for entry in self.entries}
        return tuple(stage for stage in STAGES if stage not in entered)

    def with_release(self, stage: str, what: str, mechanism: Mechanism) -> "Ledger":
        """With a release that has noise."""
        return self._with(Entry(stage=stage, what=what, mechanism=mechanism))

    def with_unprotected(self, stage: str, what: str, reason: str) -> "Ledger":
        """With a release that is declared as not protected; the guarantee lists it."""
        return self._with(Entry(stage=stage, what=what, reason=reason))

    def with_nothing_released(self, stage: str, reason: str) -> "Ledger":
        """With the statement that a stage released nothing and chose nothing."""
        return self._with(
            Entry(stage=stage, what="nothing", reason=reason, released=False)
        )

    def guarantee(self, *, accountant: str | None = None) -> Guarantee:
        """What all releases cost together.

        Args:
            accountant: "pld" or "rdp"; None chooses as `accounting.epsilon` does.

        Returns:
            The guarantee, with all that it doesn't cover.

        Raises:
            IncompleteLedgerError: If a stage has no entry.
            ValueError: If no release has a mechanism: there is nothing to guarantee.
        """
        if self.missing_stages:
            raise IncompleteLedgerError(
                f"The ledger of {self.owner!r} has no entry for "
                f"{', '.join(self.missing_stages)}: enter what was released there "
                "with its noise, or declare it as not protected, or say that nothing "
                "was released."
            )
        return _guarantee((self,), self.target_delta, accountant)

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "owner": self.owner,
            "unit": self.unit,
            "neighbouring": self.neighbouring,
            "population": self.population,
            "delta": self.target_delta,
            "entries": [entry.to_mapping() for entry in self.entries],
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Ledger":
        """From what `to_mapping` gave."""
        entries = tuple(Entry.from_mapping(entry) for entry in mapping["entries"])
        return cls(**{**mapping, "entries": entries})

    def _with(self, entry: Entry) -> "Ledger":
        return dataclasses.replace(self, entries=(*self.entries, entry))


def guarantee_across(
    ledgers: Sequence[Ledger], *, accountant: str | None = None
) -> Guarantee:
    """For somebody with one unit at each of several institutions.

    The institutions' releases about them add up: an epsilon of one bank alone says
    less about a customer of two. Of the ledgers' deltas the least is taken.

    Args:
        ledgers: Complete, of the same unit and relation.
        accountant: As for `Ledger.guarantee`.

    Returns:
        The guarantee of all of them together.

    Raises:
        IncompleteLedgerError: If a ledger is not complete.
        ValueError: If there is no ledger, or if units or relations differ.
    """
    kinds = {(ledger.unit, ledger.neighbouring) for ledger in ledgers}
    if len(kinds) != 1:
        raise ValueError(
            "`ledgers` must be some of one unit and relation, got "
            f"{sorted(kinds) or 'none'}."
        )
    for ledger in ledgers:
        ledger.guarantee(accountant="rdp")
    delta = min(ledger.target_delta for ledger in ledgers)
    return _guarantee(ledgers, delta, accountant)


def _guarantee(
    ledgers: Sequence[Ledger], delta: float, accountant: str | None
) -> Guarantee:
    made = [mechanism for ledger in ledgers for mechanism in ledger.mechanisms]
    owners = ", ".join(repr(ledger.owner) for ledger in ledgers)
    if not made:
        raise ValueError(f"The ledger of {owners} has no protected release.")
    loss = accounting.epsilon(
        made,
        neighbouring=ledgers[0].neighbouring,
        delta=delta,
        accountant=accountant,
    )
    return Guarantee(
        unit=ledgers[0].unit,
        neighbouring=ledgers[0].neighbouring,
        epsilon=loss.value,
        delta=delta,
        accountant=loss.accountant,
        not_covered=tuple(
            f"{ledger.owner}: {entry.stage}: {entry.what} ({entry.reason})"
            for ledger in ledgers
            for entry in ledger.entries
            if entry.mechanism is None and entry.released
        ),
    )
