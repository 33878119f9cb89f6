"""Flags that say where TFF's computations run, shared by all experiments."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

from absl import flags

from experiments import command_line
from tff_finance.records import files
from tff_finance.records.config import RUNTIMES
from tff_finance.runtime import worker_list
from tff_finance.runtime.worker_list import FailurePolicy, WorkerAddress

_RUNTIME = flags.DEFINE_enum(
    "runtime",
    None,
    RUNTIMES,
    "What executes: this process, TFF's own worker on this machine, or the workers "
    "of --workers. The first is several times faster; they round differently. "
    "Default: in_process, or workers if --workers is given.",
)
_WORKERS = flags.DEFINE_list(
    "workers",
    None,
    "Workers to run the institutions, each started by python -m experiments.worker: "
    "host:port,host:port,... deals the institutions out in order; "
    "host:port=bank_a+bank_b,... says whose rows each may see.",
)
_ON_WORKER_FAILURE = flags.DEFINE_enum(
    "on_worker_failure",
    None,
    worker_list.ON_FAILURE,
    "What to do when a worker dies or hangs. fail (the default): end, to be started "
    "again. skip: go on without its institutions until it is back. retry: wait for "
    "it and do its part again; with --shared_storage, have another worker do it.",
)
_SHARED_STORAGE = flags.DEFINE_bool(
    "shared_storage",
    False,
    "Every worker may read every institution's rows and files, so that "
    "--on_worker_failure=retry can use another one.",
)
_INSECURE_NETWORK = flags.DEFINE_bool(
    "insecure_network",
    False,
    "Send rows and models to workers on other machines in the clear. Only where the "
    "network itself is protected: see docs/several_machines.md.",
)


class Runtime:
    """Where an experiment runs, as the flags have it.

    Attributes:
        name: One of `RUNTIMES`; part of a run's configuration. Addresses and what
            happens on a failure are not, so that a run may go on elsewhere.
    """

    def __init__(self, institutions: Sequence[str]) -> None:
        """Leaves with a usage error if the flags make no sense together.

        Args:
            institutions: The names of all that take part.
        """
        try:
            self.name = _name()
            self._workers = () if _WORKERS.value is None else _workers(institutions)
            self._policy = FailurePolicy(
                on_failure=_ON_WORKER_FAILURE.value or "fail",
                shared_storage=_SHARED_STORAGE.value,
            )
        except ValueError as error:
            command_line.usage_error(error)

    @contextlib.contextmanager
    def execution_context(self, directory: pathlib.Path) -> Iterator[None]:
        """Runs TFF computations there until the block ends. Imports TensorFlow.

        Args:
            directory: Where missed_by_workers.json tells of institutions that a
                run went on without, should there be any.
        """
        from tff_finance.runtime.choice import execution_context

        context = execution_context(
            self.name, addresses=self._workers, policy=self._policy
        )
        with context as crew:
            try:
                yield
            finally:
                if crew:
                    _keep_count(crew.missed, directory)


def _name() -> str:
    """The runtime; raises ValueError if flags contradict each other."""
    if _WORKERS.value is None:
        if _RUNTIME.value == "workers":
            raise ValueError("flag --runtime=workers needs --workers=host:port,...")
        for flag in (_ON_WORKER_FAILURE, _SHARED_STORAGE, _INSECURE_NETWORK):
            if flag.value:
                raise ValueError(f"flag --{flag.name} needs --workers=host:port,...")
        return _RUNTIME.value or "in_process"
    if _RUNTIME.value not in {None, "workers"}:
        raise ValueError(
            f"flag --workers goes with --runtime=workers, got {_RUNTIME.value}"
        )
    return "workers"


def _workers(institutions: Sequence[str]) -> tuple[WorkerAddress, ...]:
    workers = worker_list.parse_workers(_WORKERS.value)
    if not _INSECURE_NETWORK.value:
        worker_list.check_network(workers)
    return worker_list.with_owners(workers, institutions)


def _keep_count(missed: dict[str, int], directory: pathlib.Path) -> None:
    """Adds what was missed to what an earlier process of this run counted."""
    if not any(missed.values()):
        return
    path = directory / "missed_by_workers.json"
    before = files.read_json(path) if path.exists() else {}
    total = {
        worker: before.get(worker, 0) + missed.get(worker, 0)
        for worker in before | missed
    }
    files.write_json(path, total)
    command_line.report_progress(
        f"warning: computations went on without institutions; counted in {path}"
    )
