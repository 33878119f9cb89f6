"""Workers that are killed or hang in the middle of a round, with real processes."""

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import signal
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime import attendance, crew, worker_process, workers
from tff_finance.runtime.worker_list import FailurePolicy, WorkerAddress

# Far quicker than by default, where a live worker must never be given up.
QUICK = FailurePolicy(
    probe_every=0.3, probe_timeout=0.7, retry_seconds=40.0, start_seconds=20.0
)
NAMES = ("bank_a", "bank_b")


@dataclasses.dataclass
class Site:
    """A worker that can be killed and started again at its port."""

    port: int
    stack: contextlib.ExitStack
    process: object = None

    def start(self):
        self.process = self.stack.enter_context(worker_process.serving(self.port))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)


@pytest.fixture
def sites():
    with contextlib.ExitStack() as stack:
        made = [Site(worker_process.free_port(), stack) for _ in NAMES]
        for site in made:
            site.start()
        yield made


def context(sites, **options):
    addresses = [
        WorkerAddress(host="localhost", port=site.port, institutions=(name,))
        for site, name in zip(sites, NAMES, strict=True)
    ]
    return workers.execution_context(
        addresses, policy=dataclasses.replace(QUICK, **options)
    )


ELEMENT = tff.to_type({"institution": np.str_, "rows": np.int32})


def clients():
    return [
        tf.data.Dataset.from_tensors(
            {"institution": np.array(name.encode(), np.object_), "rows": np.int32(rows)}
        )
        for name, rows in zip(NAMES, (1, 10), strict=True)
    ]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class Folder:
    """Through which client graphs tell that they have begun, and wait to end."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.sum_of_rows = self._build()

    def _build(self):
        @tff.tensorflow.computation(tff.SequenceType(ELEMENT))
        def rows_when_told(dataset):
            element = dataset.get_single_element()
            name = element["institution"]
            begun = tf.strings.join([str(self.path), "/begun_", name])
            with tf.control_dependencies([tf.io.write_file(begun, "")]):
                told = tf.strings.join([str(self.path), "/end_", name])
                polls = tf.while_loop(
                    lambda _: tf.equal(tf.size(tf.io.matching_files(told)), 0),
                    lambda n: n + 1,
                    [tf.constant(0, tf.int64)],
                )
            with tf.control_dependencies(polls):
                return tf.identity(element["rows"])

        @tff.federated_computation(
            tff.FederatedType(tff.SequenceType(ELEMENT), tff.CLIENTS)
        )
        def sum_of_rows(data):
            return tff.federated_sum(tff.federated_map(rows_when_told, data))

        return sum_of_rows

    def let_end(self, *names):
        for name in names:
            (self.path / f"end_{name}").touch()

    def when_begun(self, name, action):
        """Acts in a thread once an institution's graph runs; joins it at the end."""
        path = self.path / f"begun_{name}"

        def wait_and_act():
            deadline = time.monotonic() + 30
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            path.unlink()
            action()

        thread = threading.Thread(target=wait_and_act)
        thread.start()
        return contextlib.closing(Joined(thread))


class Joined:
    def __init__(self, thread):
        self.close = thread.join


@pytest.mark.parametrize(
    ("loss", "reason"), [("kill", "UNAVAILABLE"), ("stop", "sign")]
)
def test_the_error_names_the_worker_and_does_not_wait_for_others(
    sites, folder, loss, reason
):
    """bank_a's worker would work for ever."""
    data = clients()
    with context(sites), folder.when_begun("bank_b", getattr(sites[1], loss)):
        with pytest.raises(crew.WorkerFailedError) as raised:
            folder.sum_of_rows(data)
        assert f"localhost:{sites[1].port} (bank_b) was lost" in str(raised.value)
        assert reason in str(raised.value)
        assert "goes on where it was" in str(raised.value)
        folder.let_end(*NAMES)


def test_a_busy_worker_is_not_given_up(sites, folder):
    """However long it says nothing of its own."""
    seconds = 3 * (QUICK.probe_every + 2 * QUICK.probe_timeout)
    timer = threading.Timer(seconds, folder.let_end, NAMES)
    with context(sites), folder.when_begun("bank_a", timer.start):
        assert folder.sum_of_rows(clients()) == 11
    timer.join()


@pytest.mark.parametrize("loss", ["kill", "stop"])
def test_skip_goes_on_with_the_others_until_it_is_back(sites, folder, caplog, loss):
    data = clients()
    folder.let_end("bank_a")
    with context(sites, on_failure="skip") as made:
        with folder.when_begun("bank_b", getattr(sites[1], loss)):
            assert folder.sum_of_rows(data) == 1
        assert folder.sum_of_rows(data) == 1
        target = f"localhost:{sites[1].port}"
        assert made.missed == {f"localhost:{sites[0].port}": 0, target: 2}
        assert caplog.text.count("goes on without its institutions") == 1
        assert f"{target} (bank_b) was lost" in caplog.text
        if loss == "stop":
            os.kill(sites[1].process.pid, signal.SIGCONT)
        else:
            sites[1].start()
        folder.let_end("bank_b")
        deadline = time.monotonic() + 20
        while folder.sum_of_rows(data) == 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert folder.sum_of_rows(data) == 11
        assert f"{target} (bank_b) is back" in caplog.text


def test_nobody_left_is_an_error_also_when_skipping(sites, folder):
    with context(sites, on_failure="skip"):
        for site in sites:
            site.kill()
        with pytest.raises(crew.WorkerFailedError, match="No worker is left"):
            folder.sum_of_rows(clients())


def test_what_needs_everyone_is_not_skipped(sites, folder):
    folder.let_end("bank_a")
    with context(sites, on_failure="skip"):
        sites[1].kill()
        with (
            attendance.everyone_needed("the encoder"),
            pytest.raises(crew.WorkerFailedError, match="the encoder can't do without"),
        ):
            folder.sum_of_rows(clients())
        assert folder.sum_of_rows(clients()) == 1


def test_retry_waits_for_the_same_worker(sites, folder, caplog):
    def kill_and_start_again():
        sites[1].kill()
        folder.let_end("bank_b")
        sites[1].start()

    folder.let_end("bank_a")
    with (
        context(sites, on_failure="retry"),
        folder.when_begun("bank_b", kill_and_start_again),
    ):
        assert folder.sum_of_rows(clients()) == 11
    assert "is back" in caplog.text


def test_retry_gives_up_at_last(sites, folder):
    folder.let_end("bank_a")
    with (
        context(sites, on_failure="retry", retry_seconds=0.5),
        folder.when_begun("bank_b", sites[1].kill),
        pytest.raises(crew.WorkerFailedError, match=r"wasn't back in 0.5 s"),
    ):
        folder.sum_of_rows(clients())


def test_what_ends_its_worker_every_time_ends_the_run(sites, folder, monkeypatch):
    """Else a worker that is started again for each trial would keep it going on."""
    monkeypatch.setattr(crew, "_MOST_LOSSES", 2)

    def kill_and_start_again():
        sites[1].kill()
        sites[1].start()

    def kill_twice():
        kill_and_start_again()
        with folder.when_begun("bank_b", sites[1].kill):
            pass

    folder.let_end("bank_a")
    with (
        context(sites, on_failure="retry"),
        folder.when_begun("bank_b", kill_twice),
        pytest.raises(
            crew.WorkerFailedError, match=r"\(bank_b\) was lost.*ended 2 workers"
        ),
    ):
        folder.sum_of_rows(clients())


def test_with_shared_storage_another_worker_does_it(sites, folder, caplog):
    def kill():
        sites[1].kill()
        folder.let_end("bank_b")

    folder.let_end("bank_a")
    with (
        context(sites, on_failure="retry", shared_storage=True),
        folder.when_begun("bank_b", kill),
    ):
        assert folder.sum_of_rows(clients()) == 11
        assert folder.sum_of_rows(clients()) == 11
    said = f"localhost:{sites[0].port} (bank_a) does its part"
    assert caplog.text.count(said) == 1


def test_a_worker_started_again_between_rounds_has_forgotten_all(sites, folder):
    folder.let_end(*NAMES)
    data = clients()
    with context(sites, on_failure="retry"):
        assert folder.sum_of_rows(data) == 11
        sites[1].kill()
        sites[1].start()
        assert folder.sum_of_rows(data) == 11


def test_a_worker_that_is_not_there_is_named_at_the_start(sites, folder):
    sites[0].kill()
    with (
        pytest.raises(crew.WorkerFailedError, match=f"--port={sites[0].port}"),
        context(sites, start_seconds=0.5),
    ):
        pass


@pytest.fixture
def interruptible():
    """Ctrl-C raises; background jobs of a shell, and what they start, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_hanging_worker_holds_up_nobody_who_leaves(sites, folder):
    def interrupted():
        with context(sites, probe_every=60.0):
            folder.sum_of_rows(clients())

    folder.let_end("bank_a")
    interrupt = folder.when_begun("bank_b", lambda: _interrupt(sites[1]))
    with interrupt, pytest.raises(KeyboardInterrupt):
        interrupted()


def _interrupt(site):
    site.stop()
    # To this thread of the process, which waits and is to be woken.
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


class Prepared:
    """Stands in for a worker whose results come when they are told to."""

    def __init__(self, port):
        self.address = WorkerAddress(host="localhost", port=port)
        self.lost = None
        self.result = concurrent.futures.Future()

    def submit(self, *_):
        return self.result


def test_results_have_the_order_of_the_shares():
    """Not that in which they come: sums would differ in their last bits."""
    slow, fast = Prepared(1), Prepared(2)
    fast.result.set_result("fast")
    timer = threading.Timer(0.2, slow.result.set_result, ["slow"])
    timer.start()
    shares = [crew.Share(worker=worker, data=[0]) for worker in (slow, fast)]
    assert crew.Crew([slow, fast]).run(None, None, shares) == ["slow", "fast"]
    timer.join()


def test_loss_is_noticed_within_30_seconds():
    policy = FailurePolicy()
    assert policy.probe_every + 2 * policy.probe_timeout < 30
