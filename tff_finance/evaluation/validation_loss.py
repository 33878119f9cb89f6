"""How good training settings are by validation rows alone: what a search minimizes.

Nothing here looks at a test row. Under each seed the method is trained as a study
would train it, and worth the validation loss of the weights that it keeps.
"""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence

import numpy as np

from tff_finance import checks
from tff_finance.datasets.contract import Contract
from tff_finance.evaluation.built_methods import BuiltMethods
from tff_finance.evaluation.methods import GLOBAL
from tff_finance.evaluation.run_storage import example_store, state_directory
from tff_finance.evaluation.scorers import Scorer
from tff_finance.evaluation.trials import Settings, UnusableSettingsError
from tff_finance.institutions.institution import Institution
from tff_finance.preprocessing.consortium import TrainingExamples, encode_training
from tff_finance.preprocessing.encoder import Encoder
from tff_finance.records.config import StudyConfig
from tff_finance.records.training_settings import with_settings
from tff_finance.tasks.task import Task
from tff_finance.training.loop import TrainingDivergedError

Context = Callable[[], contextlib.AbstractContextManager[None]]


class ValidationLoss:
    """Trains by settings and yields the validation loss under each seed."""

    def __init__(
        self,
        config: StudyConfig,
        *,
        contract: Contract,
        institutions: Callable[[int], Sequence[Institution]],
        task: Task,
        balanced: bool,
        context: Context,
        report_progress: Callable[[str], None],
    ) -> None:
        """Has trained nothing yet.

        Args:
            config: Of one method; its seeds are those that are tuned on, its training
                gives the settings that aren't varied.
            contract: That the institutions' tables satisfy.
            institutions: Their tables under a seed. Test rows aren't looked at.
            task: Gives the model.
            balanced: Whether both classes weigh the same in the loss of networks.
            context: Where TFF computations run. A new one for each call, so that what
                was compiled for some settings goes with them.
            report_progress: Takes a line for each seed, once: how many rows there are.
        """
        self._config = config
        self._contract = contract
        self._institutions = institutions
        self._task = task
        self._balanced = balanced
        self._context = context
        self._report_progress = report_progress
        self._encoded: dict[int, tuple[Encoder, tuple[TrainingExamples, ...]]] = {}

    def __call__(self, settings: Settings) -> Generator[float, None, None]:
        """Trains by the settings.

        Args:
            settings: Fields of the training configuration by name.

        Yields:
            For each seed the mean log loss, in nats, of validation rows by the weights
            that training keeps.

        Raises:
            UnusableSettingsError: If the settings make no sense together, or if
                training diverges.
            RunFailedError: If a seed's institutions can't be made, or if whatever
                else ends training, such as a worker that is lost: that says nothing
                about the settings, and the trial is run again.
        """
        try:
            config = with_settings(self._config, settings)
        except ValueError as error:
            raise UnusableSettingsError(str(error)) from error
        with (
            self._context(),
            example_store(config.runtime, None) as store,
            state_directory(None) as directory,
        ):
            methods = BuiltMethods(
                config.training,
                task=self._task,
                balanced=self._balanced,
                store=store,
                state_directory=directory,
            )
            for seed in config.seeds:
                encoder, examples = self._examples(seed)
                try:
                    _check_institutions(config, examples)
                    (method,) = methods.suiting(config.methods, encoder, examples)
                    fitted = method.fit(examples, seed=seed)
                except (TrainingDivergedError, checks.UnfitSettingsError) as error:
                    raise UnusableSettingsError(str(error)) from error
                yield validation_loss(fitted.scorers, examples)

    def _examples(self, seed: int) -> tuple[Encoder, tuple[TrainingExamples, ...]]:
        """Encoded once, whatever is tried."""
        if seed not in self._encoded:
            try:
                institutions = self._institutions(seed)
            except ValueError as error:
                raise checks.RunFailedError(
                    f"Under seed {seed} the institutions can't be made: {error}"
                ) from error
            encoder, examples = encode_training(institutions, self._contract)
            rows = "; ".join(
                f"{i.institution} {len(i.train['y']):,} training and "
                f"{len(i.validation['y']):,} validation rows"
                for i in examples
            )
            self._report_progress(f"seed {seed}: {rows}")
            self._encoded[seed] = encoder, examples
        return self._encoded[seed]


def _check_institutions(
    config: StudyConfig, institutions: Sequence[TrainingExamples]
) -> None:
    """Refuses what was tried for so many institutions, or for these."""
    try:
        config.check_suits_institutions(
            {i.institution: len(i.train["y"]) for i in institutions}
        )
    except ValueError as error:
        raise checks.UnfitSettingsError(str(error)) from error


def validation_loss(
    scorers: Mapping[str, Scorer], institutions: Sequence[TrainingExamples]
) -> float:
    """The mean log loss of all institutions' validation rows, in nats.

    Args:
        scorers: By model, "global" or an institution's own, which judges its rows.
        institutions: Whose validation rows these are.

    Returns:
        The loss.
    """
    losses = []
    for i in institutions:
        scorer = scorers.get(i.institution) or scorers[GLOBAL]
        logits = np.asarray(scorer(i.validation["x"]), np.float64)
        labels = i.validation["y"][:, 0]
        losses.append(np.logaddexp(0.0, logits) - labels * logits)
    return float(np.concatenate(losses).mean())
