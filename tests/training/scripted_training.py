"""Training without TensorFlow: a process that counts, and losses as scripted."""

import collections
import copy
import itertools
import types
from collections.abc import Iterator

from tff_finance.metrics.validation import ValidationResult
from tff_finance.training.checkpoints import Checkpoints
from tff_finance.training.loop import train
from tff_finance.training.progress import StoppingRule

START = 100
EVER_THE_SAME = itertools.repeat(0.5)


class CountingProcess:
    """A process whose weights are a number that grows by one in every round."""

    def __init__(self, *, losses: Iterator[float] | None = EVER_THE_SAME, nested=True):
        self.calls = []
        self._losses = losses  # None for none given away
        self._nested = nested

    def initialize(self):
        work = collections.OrderedDict(learning_rate=0.3, seed=0)
        return {"weights": -1, "hparams": collections.OrderedDict(client_work=work)}

    def get_hparams(self, state):
        return copy.deepcopy(state["hparams"])

    def set_hparams(self, state, hparams):
        return state | {"hparams": hparams}

    def get_model_weights(self, state):
        return state["weights"]

    def set_model_weights(self, state, weights):
        return state | {"weights": weights}

    def next(self, state, client_data):
        self.calls.append((state, client_data))
        loss = {} if self._losses is None else {"loss": next(iter(self._losses))}
        return types.SimpleNamespace(
            state=state | {"weights": state["weights"] + 1},
            metrics={"client_work": loss} if self._nested else loss,
        )


def scripted(losses):
    """Validation whose loss after round r is `losses[r - 1]`."""

    def validate(weights):
        return ValidationResult(
            loss=losses[weights - START - 1], accuracy=weights / 1000, rows=10
        )

    return validate


def run(losses, *, process=None, **stopping):
    defaults = {"max_rounds": len(losses), "patience": 1000}
    return train(
        process or CountingProcess(),
        ["data of bank a", "data of bank b"],
        initial_weights=START,
        seed=5,
        validate=scripted(losses),
        stopping=StoppingRule(**defaults | stopping),
        label="seed 5 fed_avg",
    )


class KilledError(Exception):
    """Stands for a kill."""


def resumable(folder, losses, *, kill_at=None, stopping=None, **options):
    process = CountingProcess()

    def validate(weights):
        if weights - START == kill_at:
            raise KilledError
        return scripted(losses)(weights)

    trained = train(
        process,
        ["data"],
        initial_weights=START,
        seed=5,
        validate=validate,
        stopping=stopping or StoppingRule(max_rounds=len(losses), patience=3),
        label="seed 5 fed_avg",
        checkpoints=Checkpoints.in_folder(folder, every_seconds=0),
        **options,
    )
    return trained, process
