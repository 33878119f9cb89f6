"""Which workers there are, and whose rows each of them may see."""

import dataclasses
import ipaddress
import math
import re
from collections.abc import Sequence

from tff_finance import checks

ON_FAILURE = ("fail", "skip", "retry")

_ENTRY = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>\d+)(=(?P<owned>.+))?"
)
_HIGHEST_PORT = 65535


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerAddress:
    """Where a worker listens, and which institutions it serves.

    Attributes:
        host: A name, an IPv4 address, or an IPv6 address in brackets.
        port: 1 to 65535.
        institutions: Names of those whose clients it runs; none where clients
            are dealt out by their position in the list.
    """

    host: str
    port: int
    institutions: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """As gRPC and users write it, `host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether no other machine can listen in; a name but localhost is unsure."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        """With its institutions, for messages."""
        return f"{self.target} ({', '.join(self.institutions) or 'any institution'})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FailurePolicy:
    """What happens when a worker is lost, and when it counts as lost.

    Attributes:
        on_failure: "fail": the run ends. "skip": the round goes on without the
            institutions of that worker. "retry": its part is done again.
        shared_storage: Whether every worker may read every institution's files
            and rows. Then "retry" goes to another worker, else to the same one.
        retry_seconds: How long "retry" waits for a worker to come back.
        probe_every: Seconds of silence after which a busy worker is asked for a
            sign of life.
        probe_timeout: Seconds that it has to give it, twice in a row.
        start_seconds: How long workers may take to answer at the start.
    """

    on_failure: str = "fail"
    shared_storage: bool = False
    retry_seconds: float = 600.0
    probe_every: float = 5.0
    probe_timeout: float = 8.0
    start_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_one_of("on_worker_failure", self.on_failure, ON_FAILURE)
        if self.shared_storage and self.on_failure != "retry":
            raise ValueError(
                "`shared_storage` only tells where to retry; it needs "
                f"`on_worker_failure` retry, got {self.on_failure}."
            )
        for name in ("retry_seconds", "probe_every", "probe_timeout", "start_seconds"):
            checks.check_positive(name, getattr(self, name))


def parse_workers(entries: Sequence[str]) -> tuple[WorkerAddress, ...]:
    """Reads addresses as users write them.

    Args:
        entries: Each `host:port` or `host:port=bank_a+bank_b`; all of them with
            institutions, or none.

    Returns:
        The workers, in order.

    Raises:
        ValueError: If an entry can't be read, an address or an institution is
            there twice, or some entries name institutions and others don't.
    """
    workers = tuple(_parse(entry) for entry in entries)
    if not workers:
        raise ValueError("`workers` must be host:port,host:port,...; got none.")
    _check_distinct([worker.target for worker in workers])
    _check_distinct([name for worker in workers for name in worker.institutions])
    if len({bool(worker.institutions) for worker in workers}) > 1:
        raise ValueError(
            "`workers` must name institutions for every worker or for none, got "
            f"{','.join(entries)}."
        )
    return workers


def with_owners(
    workers: Sequence[WorkerAddress], institutions: Sequence[str]
) -> tuple[WorkerAddress, ...]:
    """Gives every institution its worker, once for a whole run.

    Args:
        workers: If they don't name institutions, these are dealt out in order,
            as `shares` does.
        institutions: All that take part.

    Returns:
        The workers, with institutions.

    Raises:
        ValueError: If there are more workers than institutions, an institution
            has no worker, or a worker one that doesn't take part.
    """
    if len(workers) > len(institutions):
        raise ValueError(
            f"`workers` are {len(workers)} for {len(institutions)} institutions "
            f"({', '.join(institutions)}): give at most one for each."
        )
    if not any(worker.institutions for worker in workers):
        return tuple(
            dataclasses.replace(worker, institutions=tuple(share))
            for worker, share in zip(
                workers, shares(institutions, len(workers)), strict=True
            )
        )
    owned = {name for worker in workers for name in worker.institutions}
    if strangers := sorted(owned - set(institutions)):
        raise ValueError(
            f"`workers` name {', '.join(strangers)}; the institutions are "
            f"{', '.join(institutions)}."
        )
    if homeless := [name for name in institutions if name not in owned]:
        raise ValueError(f"`workers` must name a worker for {', '.join(homeless)}.")
    return tuple(workers)


def check_network(workers: Sequence[WorkerAddress]) -> None:
    """Raises ValueError if rows would leave this machine unprotected."""
    if beyond := [worker.target for worker in workers if not worker.is_loopback]:
        raise ValueError(
            f"{', '.join(beyond)} is not on this machine, and TFF's worker has neither "
            "encryption nor credentials: whoever reads along sees rows and models, "
            "whoever reaches the port runs code. Connect through a mutual-TLS tunnel "
            "that ends on localhost (docs/several_machines.md), or pass "
            "--insecure_network if the network itself is protected."
        )


def shares(items: Sequence[str], parts: int) -> list[Sequence[str]]:
    """Deals items out in order, to each of the parts ceil(rest / parts left)."""
    dealt, start = [], 0
    for left in range(parts, 0, -1):
        end = start + math.ceil((len(items) - start) / left)
        dealt.append(items[start:end])
        start = end
    return dealt


def _parse(entry: str) -> WorkerAddress:
    match = _ENTRY.fullmatch(entry.strip())
    names = tuple((match["owned"] or "").split("+")) if match else ()
    port = int(match["port"]) if match else 0
    if not match or not 1 <= port <= _HIGHEST_PORT or ("" in names and len(names) > 1):
        raise ValueError(
            "`workers` must be host:port or host:port=institution+institution, with "
            f"ports from 1 to {_HIGHEST_PORT}; got {entry!r}."
        )
    return WorkerAddress(
        host=match["host"], port=port, institutions=tuple(filter(None, names))
    )


def _check_distinct(values: Sequence[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"`workers` has {', '.join(twice)} more than once.")
