"""The case study on two workers: same numbers; one is killed; the run goes on."""

import contextlib
import json
import time

import pytest

from tests.experiments.bank_case_study_test import MODULE, start
from tests.experiments.quick_call import full_call
from tff_finance.records.run_record import RunRecord
from tff_finance.runtime import worker_process

SMALL = (
    "--first_seed=0",
    "--seeds=1",
    "--methods=fed_avg,centralized",
    "--rounds=4",
    "--max_epochs=2",
    "--hidden_units=4",
    "--checkpoint_seconds=0",
    # Many small steps: a round at a worker takes long enough to be hit.
    "--batch_size=2",
    "--client_learning_rate=0.02",
    "--local_epochs=3",
)


class Site:
    """A worker that can be killed and started again, perhaps elsewhere."""

    def __init__(self, stack):
        self._stack = stack
        self.start()

    def start(self):
        self.port = worker_process.free_port()
        self.process = self._stack.enter_context(worker_process.serving(self.port))

    @property
    def address(self):
        return f"localhost:{self.port}"


@pytest.fixture
def sites():
    with contextlib.ExitStack() as stack:
        yield Site(stack), Site(stack)


def flags(sites):
    """Not in the order of the banks."""
    first, second = sites
    return f"--workers={first.address}=bank_c,{second.address}=bank_b+bank_a"


def losses(record):
    return [
        loss
        for row in record.curves
        for loss in (row.training_loss, row.validation_loss)
    ]


def kill_in_training(run, site, results):
    """Kills the worker when the first round is over."""
    table = results / "metrics" / "seed_0" / "fed_avg" / "global.csv"
    deadline = time.monotonic() + 120
    while not table.exists() or len(table.read_text().splitlines()) < 2:
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    site.process.kill()


def test_a_killed_worker_ends_the_run_which_goes_on_elsewhere(sites, tmp_path):
    """And ends with the numbers of one machine."""
    results = tmp_path / "results"
    run = start(tmp_path, results, *SMALL, flags(sites))
    kill_in_training(run, sites[1], results)
    assert run.wait(timeout=30) == 1
    errors = (tmp_path / "stderr").read_text()
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert last.startswith("bank_case_study: error: worker localhost:")
    assert f"{sites[1].address} (bank_b, bank_a) was lost" in last
    assert "goes on where it was" in last

    sites[1].start()  # at another port
    again = full_call(MODULE, f"--output_dir={results}", *SMALL, flags(sites))
    assert again.returncode == 0, again.stderr
    assert "goes on after round" in again.stderr
    alone = full_call(MODULE, f"--output_dir={tmp_path / 'here'}", *SMALL)
    assert alone.returncode == 0, alone.stderr
    there = RunRecord.read(results / "record")
    here = RunRecord.read(tmp_path / "here" / "record")
    assert losses(there) == pytest.approx(losses(here), abs=1e-5)
    assert len(losses(here)) == 12
    assert there.config == here.config | {"runtime": "workers"}
    # The encoder as well: features are standardised alike.
    for one, other in zip(there.features, here.features, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-5)


def test_what_was_skipped_is_told_and_counted(sites, tmp_path):
    results = tmp_path / "results"
    skip = "--on_worker_failure=skip"
    run = start(tmp_path, results, *SMALL, flags(sites), skip)
    kill_in_training(run, sites[0], results)
    assert run.wait(timeout=100) == 0, (tmp_path / "stderr").read_text()
    errors = (tmp_path / "stderr").read_text()
    assert f"{sites[0].address} (bank_c) was lost" in errors
    assert errors.count("goes on without its institutions") == 1
    counted = json.loads((results / "missed_by_workers.json").read_text())
    assert counted[sites[1].address] == 0
    # Of four rounds and four validations the first ones were complete; two more
    # validations are of centralized training.
    assert 1 <= counted[sites[0].address] <= 8
    assert "computations went on without institutions" in errors
