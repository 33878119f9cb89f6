"""Trains and judges the models of coalitions, some institutions without the others.

A coalition knows nothing of who is not in it: its encoder is fitted from its members'
sums, its classes are balanced by their counts, and training stops by their validation
rows. So what an institution brings to scaling and categories is part of what it
contributes. All coalitions are judged on the test rows of all institutions.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

from tff_finance import checks
from tff_finance.datasets.contract import Contract
from tff_finance.evaluation.built_methods import BuiltMethods
from tff_finance.evaluation.contribution import coalitions_to_train
from tff_finance.evaluation.judging import judge
from tff_finance.evaluation.methods import Fitted
from tff_finance.institutions.institution import Institution
from tff_finance.metrics.derived import METRICS
from tff_finance.preprocessing.consortium import encode_test, encode_training
from tff_finance.preprocessing.encoder import Encoder
from tff_finance.records.coalition_row import CoalitionRow, join_members
from tff_finance.records.contribution_config import ContributionConfig
from tff_finance.training.folder import TrainingFolder

_METRIC = "auc"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """Where coalitions that are done are kept, so that a killed run has them.

    Attributes:
        finished: A coalition's rows by its name, if it is done.
        finish: Takes a coalition's name and its rows.
        training: Where its training goes on from, by its name; None keeps nothing.
    """

    finished: Callable[[str], tuple[CoalitionRow, ...] | None]
    finish: Callable[[str, tuple[CoalitionRow, ...]], None]
    training: Callable[[str], TrainingFolder | None]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CoalitionRunner:
    """Trains and judges coalitions under one seed.

    Attributes:
        institutions: All of them, members or not.
        asked: Which coalitions train, and by which method.
        contract: The columns that all agreed on.
        methods: Builds the method.
        seed: Of initialisation and order.
        kept: What is done.
        report_progress: Takes a line whenever a coalition is done.
    """

    institutions: Sequence[Institution]
    asked: ContributionConfig
    contract: Contract
    methods: BuiltMethods
    seed: int
    kept: Kept
    report_progress: Callable[[str], None]

    def run(self) -> tuple[CoalitionRow, ...]:
        """Runs every coalition that is asked for and isn't done.

        Must be called in an execution context.

        Returns:
            The AUC of every coalition's model, on all rows and on each
            institution's own.

        Raises:
            RunFailedError: If a coalition can't be trained.
            ValueError: If there are too many institutions for all coalitions.
        """
        names = [institution.name for institution in self.institutions]
        rows: list[CoalitionRow] = []
        for members in coalitions_to_train(names, self.asked.coalitions):
            name = "+".join(str(1 + names.index(member)) for member in members)
            found = self.kept.finished(name)
            done = "was finished before"
            if found is None:
                start = time.monotonic()
                found = self._train_and_judge(members, name)
                self.kept.finish(name, found)
                seconds = time.monotonic() - start
                done = f"{found[0].rounds:>4} rounds  {seconds:5.1f} s"
            self.report_progress(
                f"seed {self.seed}  {self.asked.method} of {', '.join(members)}  {done}"
            )
            rows += found
        return tuple(rows)

    def _train_and_judge(
        self, members: Sequence[str], name: str
    ) -> tuple[CoalitionRow, ...]:
        taking_part = [i for i in self.institutions if i.name in members]
        try:
            encoder, training = encode_training(taking_part, self.contract)
            (method,) = self.methods.suiting((self.asked.method,), encoder, training)
            fitted = method.fit(
                training, seed=self.seed, folder=self.kept.training(name)
            )
        except (ValueError, checks.RunFailedError) as error:
            # Such as members none of whom has a positive row.
            raise checks.RunFailedError(
                f"Under seed {self.seed} the coalition of {', '.join(members)} can't "
                f"train: {error}"
            ) from error
        return tuple(self._judge(fitted, encoder, members))

    def _judge(
        self, fitted: Fitted, encoder: Encoder, members: Sequence[str]
    ) -> Iterator[CoalitionRow]:
        (run,) = fitted.runs
        judgement = judge(
            fitted.scorers,
            encode_test(self.institutions, encoder),
            seed=self.seed,
            method=self.asked.method,
            judged_by={_METRIC: METRICS[_METRIC]},
        )
        for row in judgement.metrics:
            if row.scope != "others":
                yield CoalitionRow(
                    seed=row.seed,
                    method=row.method,
                    members=join_members(members),
                    scope=row.scope,
                    institution=row.institution,
                    metric=row.metric,
                    value=row.value,
                    reason=row.reason,
                    rounds=run.rounds,
                    stopped_by=run.stopped_by,
                    seconds=run.seconds,
                )
