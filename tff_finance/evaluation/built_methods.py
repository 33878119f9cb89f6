"""Methods built once for all seeds and coalitions that they suit."""

import pathlib
from collections.abc import Sequence

from tff_finance import checks
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.methods import Method
from tff_finance.institutions.examples import ExampleStore
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.preprocessing.encoder import Encoder
from tff_finance.preprocessing.label_counts import federated_label_counts
from tff_finance.records.training_config import TrainingConfig
from tff_finance.tasks.task import Task


class BuiltMethods:
    """Builds methods for institutions, or gives those that it has built.

    The encoder's width may differ between seeds and coalitions, where a rare category
    or a missing value occurs in one only; the balancing weight likewise.
    """

    def __init__(
        self,
        training: TrainingConfig,
        *,
        task: Task,
        balanced: bool,
        store: ExampleStore,
        state_directory: pathlib.Path,
    ) -> None:
        """Has built nothing yet.

        Args:
            training: How models are trained.
            task: Gives the model.
            balanced: Whether both classes weigh the same in the loss of networks.
            store: How clients get at their rows.
            state_directory: Where institutions keep state between rounds.
        """
        self._training = training
        self._task = task
        self._balanced = balanced
        self._store = store
        self._state_directory = state_directory
        self._built: dict[tuple[tuple[str, ...], int, int, float], list[Method]] = {}

    def suiting(
        self,
        names: tuple[str, ...],
        encoder: Encoder,
        institutions: Sequence[TrainingExamples],
    ) -> list[Method]:
        """The methods of these names, for these institutions.

        Args:
            names: Of the methods.
            encoder: That the institutions share.
            institutions: Their training rows give the balancing weight.

        Returns:
            The methods, in the order of their names.

        Raises:
            UnfitSettingsError: If a method can't be built with the settings.
            RunFailedError: If classes are to be balanced and one has no row.
        """
        width, number = len(encoder.feature_names), len(institutions)
        weight = self._positive_weight(institutions)
        key = (names, width, number, weight)
        if key not in self._built:
            try:
                self._built[key] = build_methods(
                    names,
                    width,
                    self._training,
                    store=self._store,
                    num_institutions=number,
                    state_directory=self._state_directory,
                    task=self._task,
                    positive_weight=weight,
                )
            except ValueError as error:
                raise checks.UnfitSettingsError(str(error)) from error
        return self._built[key]

    def _positive_weight(self, institutions: Sequence[TrainingExamples]) -> float:
        if not self._balanced:
            return 1.0
        counts = federated_label_counts([examples.train for examples in institutions])
        try:
            return counts.balancing_weight
        except ValueError as error:  # no other settings of training would mend it
            raise checks.RunFailedError(str(error)) from error
