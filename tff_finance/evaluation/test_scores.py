"""Scores of test rows under a method's models, for paired comparisons of methods.

Raw scores stay in the run's own folder, beside its checkpoints; records hold what
was computed of them.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from tff_finance.evaluation.scorers import Scorer
from tff_finance.institutions.examples import Examples
from tff_finance.records import files

_SEPARATOR = "/"  # no institution's name has one


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TestScores:
    """Logits of all test rows under each model of one method.

    Attributes:
        logits: By model ("global", or an institution) and institution whose rows
            they are, real[n], in the order of the rows.
    """

    __test__ = False  # no test, whatever pytest makes of the name

    logits: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def of(
        cls, scorers: Mapping[str, Scorer], test: Mapping[str, Examples]
    ) -> "TestScores":
        """Scores every institution's test rows with every model."""
        return cls(
            logits={
                model: {name: scorer(rows["x"]) for name, rows in test.items()}
                for model, scorer in scorers.items()
            }
        )

    def own(self, institution: str) -> np.ndarray:
        """Logits of an institution's rows under the model that it would use."""
        model = institution if institution in self.logits else next(iter(self.logits))
        return self.logits[model][institution]

    def pooled(self) -> np.ndarray:
        """Logits of all institutions' rows, [n, models]."""
        columns = [np.concatenate(list(by.values())) for by in self.logits.values()]
        return np.stack(columns, axis=1)

    def write(self, path: pathlib.Path) -> None:
        """Writes them to an `.npz` file, atomically."""
        arrays = {
            f"{model}{_SEPARATOR}{name}": logits
            for model, by_institution in self.logits.items()
            for name, logits in by_institution.items()
        }
        files.write_atomically(path, lambda p: np.savez(p, **arrays))

    @classmethod
    def read(cls, path: pathlib.Path) -> "TestScores":
        """Reads what `write` wrote."""
        logits: dict[str, dict[str, np.ndarray]] = {}
        with np.load(path) as arrays:
            for key in arrays.files:
                model, _, name = key.partition(_SEPARATOR)
                logits.setdefault(model, {})[name] = arrays[key]
        return cls(logits=logits)
