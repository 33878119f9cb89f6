"""What differential privacy costs in time: private client work beside the plain one.

    python -m benchmarks.private_training

The same model on the same tables, in process, rounds in turns; medians. Ratios bear
other work on the machine, seconds less so.
"""

import statistics
import time
from typing import Any

import numpy as np
from absl import flags

from experiments import command_line

_ROWS = flags.DEFINE_integer("rows", 10_000, "Of an institution.", lower_bound=1)
_INSTITUTIONS = flags.DEFINE_integer("institutions", 3, "How many.", lower_bound=1)
_FEATURES = flags.DEFINE_integer("features", 24, "Width of the table.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Rows.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 15, "That are measured.", lower_bound=1)

_HIDDEN_UNITS = (32, 16)


def main() -> None:
    """Prints a line per contestant."""
    from tff_finance.runtime import in_process

    with in_process.execution_context():
        contestants = _contestants()
        clients = _clients()
        states = {name: made.initialize() for name, made in contestants.items()}
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(_ROUNDS.value + 1):
            for name, process in contestants.items():
                start = time.perf_counter()
                states[name] = process.next(states[name], clients).state
                if number:  # the first compiles
                    seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(spent) for name, spent in seconds.items()}
    plain = medians["plain"]
    for name, median in medians.items():
        print(f"{name:24s} {median:.4f} s a round, {median / plain:.2f} x plain")


def _contestants() -> dict[str, Any]:
    import tensorflow_federated as tff

    from tff_finance.algorithms.fed_avg import build_fed_avg
    from tff_finance.client_work.batches import LocalEpochs
    from tff_finance.client_work.poisson_batches import PoissonBatches
    from tff_finance.client_work.private_gradient import build_private_gradient
    from tff_finance.tasks.keras_models import functional_model
    from tff_finance.tasks.mlp import build_mlp

    def keras_model() -> Any:
        return build_mlp(_FEATURES.value, hidden_units=_HIDDEN_UNITS, seed=0)

    model = functional_model(keras_model)

    def fed_avg(**options: Any) -> tff.learning.templates.LearningProcess:
        return build_fed_avg(
            model,
            client_optimizer=tff.learning.optimizers.build_sgdm(0.1),
            weighting=tff.learning.ClientWeighting.UNIFORM,
            **options,
        )

    def private(keras: Any, noise: float = 1.0) -> Any:
        return fed_avg(
            batches=PoissonBatches(epochs=1, batch_size=_BATCH_SIZE.value),
            gradient_estimator=build_private_gradient(
                model, l2_clip_norm=1.0, noise_multiplier=noise, keras_model=keras
            ),
        )

    return {
        "plain": fed_avg(batches=LocalEpochs(epochs=1, batch_size=_BATCH_SIZE.value)),
        "private, dense layers": private(keras_model()),
        "clipped, without noise": private(keras_model(), 0.0),
        "private, any model": private(None),
    }


def _clients() -> list[Any]:
    from tff_finance.institutions.examples import client_dataset, dense_examples

    rng = np.random.default_rng(0)

    def client(number: int) -> Any:
        x = rng.normal(size=(_ROWS.value, _FEATURES.value))
        y = rng.random(_ROWS.value) < 1 / (1 + np.exp(-x[:, 0]))
        return client_dataset(dense_examples(x, y, institution=f"bank_{number}"))

    return [client(number) for number in range(_INSTITUTIONS.value)]


if __name__ == "__main__":
    command_line.run(main)
