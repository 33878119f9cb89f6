"""Where a training run keeps its checkpoint and releases its metrics."""

import dataclasses

from tff_finance.records.run_folder import RunFolder
from tff_finance.training import releases
from tff_finance.training.begun_rounds import BegunRounds
from tff_finance.training.checkpoints import Checkpoints


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingFolder:
    """The files of the training runs of one method under one seed.

    Attributes:
        run: The experiment's output folder.
        part: What is trained, such as "seed_0/fed_avg".
    """

    run: RunFolder
    part: str

    def checkpoints(self, model: str) -> Checkpoints:
        """In a folder that is deleted when the part is finished."""
        return Checkpoints.in_folder(
            self.run.training(self.part) / model,
            every_seconds=self.run.checkpoint_seconds,
        )

    def begun_rounds(self, model: str) -> BegunRounds:
        """Beside the checkpoints, and deleted with them."""
        return BegunRounds(self.run.training(self.part) / f"{model}_begun_rounds")

    def release_managers(self, model: str) -> list[releases.ReleaseManager]:
        """A CSV file in metrics/, and scalars in tensorboard/."""
        directory = self.run.directory
        return [
            releases.csv_manager(directory / "metrics" / self.part / f"{model}.csv"),
            releases.tensorboard_manager(directory / "tensorboard" / self.part / model),
        ]
