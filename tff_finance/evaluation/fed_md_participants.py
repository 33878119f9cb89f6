"""Institutions that take part in FedMD: what each does with a consensus."""

import collections
from typing import Protocol

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from tff_finance import checks
from tff_finance.algorithms.fed_md import digest_and_revisit
from tff_finance.evaluation.methods import Learner, ModelWeights
from tff_finance.evaluation.scorers import Scorer, boosting_scorer
from tff_finance.institutions.examples import Examples


class Participant(Protocol):
    """An institution with a model of its own, trained on its own rows before."""

    def scorer(self) -> Scorer:
        """The model as it is now; what is learnt later doesn't change it."""
        ...

    def learn(self, consensus: np.ndarray) -> float:
        """Digests the consensus, and revisits the institution's own rows.

        Args:
            consensus: Mean scores of the reference rows, float32[rows].

        Returns:
            The mean loss of its own rows.
        """
        ...


class NetworkParticipant:
    """Trains a network on towards the consensus, then on its own rows."""

    def __init__(
        self,
        learner: Learner,
        weights: ModelWeights,
        own: Examples,
        reference: np.ndarray,
        *,
        seed: int,
        digest_epochs: int,
        revisit_epochs: int,
    ) -> None:
        """Takes the trained network.

        Args:
            learner: Training at a single site, one epoch a round.
            weights: From training on the institution's own rows.
            own: These rows.
            reference: Rows that predictions are exchanged on, float32[rows, d].
            seed: Orders the batches.
            digest_epochs: Over the reference rows in each round.
            revisit_epochs: Over its own.
        """
        process = learner.process
        state = process.set_model_weights(process.initialize(), weights)
        hparams = process.get_hparams(state)
        hparams["client_work"]["seed"] = seed
        self._state = process.set_hparams(state, hparams)
        self._learner, self._reference = learner, reference
        self._name = own["institution"]
        self._own = learner.store.client_dataset(own)
        self._epochs = {
            "digest_epochs": digest_epochs,
            "revisit_epochs": revisit_epochs,
        }

    def scorer(self) -> Scorer:
        """See `Participant`."""
        weights = self._learner.process.get_model_weights(self._state)
        return self._learner.scorer(weights)

    def learn(self, consensus: np.ndarray) -> float:
        """See `Participant`."""
        # Labels between 0 and 1, which `dense_examples` refuses from a bank.
        examples = collections.OrderedDict(
            x=self._reference, y=consensus[:, np.newaxis], institution=self._name
        )
        self._state, loss = digest_and_revisit(
            self._learner.process,
            self._state,
            reference=self._learner.store.client_dataset(examples),
            own=self._own,
            **self._epochs,
        )
        return loss


class BoostingParticipant:
    """Fits gradient boosting anew in every round: digest and revisit in one.

    Trees can't be trained on; so each round's model is fitted to the institution's own
    rows and to the reference rows, each of these once as positive with the consensus
    as its weight and once as negative with the rest. The loss of such a pair is the
    cross-entropy to the consensus, which networks digest by, too.
    """

    def __init__(self, own: Examples, reference: np.ndarray, *, seed: int) -> None:
        """Fits the first model, to its own rows alone.

        Args:
            own: The institution's rows.
            reference: Rows that predictions are exchanged on, float32[rows, d].
            seed: Of the boosting.

        Raises:
            RunFailedError: If the rows are of one class only.
        """
        self._x, self._y = own["x"], own["y"][:, 0]
        if len(np.unique(self._y)) < 2:  # noqa: PLR2004
            raise checks.RunFailedError(
                f"{own['institution'].item()!r} has rows of one class only, which "
                "gradient boosting can't be fitted to: give it a network."
            )
        self._reference, self._seed = reference, seed
        self._model = self._fitted(self._x, self._y, np.ones(len(self._y)))

    def scorer(self) -> Scorer:
        """See `Participant`."""
        return boosting_scorer(self._model)

    def learn(self, consensus: np.ndarray) -> float:
        """See `Participant`."""
        rows = len(self._reference)
        self._model = self._fitted(
            np.concatenate([self._x, self._reference, self._reference]),
            np.concatenate([self._y, np.ones(rows), np.zeros(rows)]),
            np.concatenate([np.ones(len(self._y)), consensus, 1.0 - consensus]),
        )
        logits = self.scorer()(self._x)
        return float(np.mean(np.logaddexp(0.0, logits) - self._y * logits))

    def _fitted(
        self, x: np.ndarray, y: np.ndarray, weights: np.ndarray
    ) -> HistGradientBoostingClassifier:
        model = HistGradientBoostingClassifier(random_state=self._seed)
        # On a busy machine OpenMP's threads wait for each other: one is much faster.
        with threadpool_limits(1, user_api="openmp"):
            return model.fit(x, y, sample_weight=weights)
