"""The example in docs/composition.md runs as it stands."""

import pathlib
import re

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "composition.md"


def test_the_example_runs_and_learns():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names = {}
    exec(compile(example, PAGE.name, "exec"), names)

    losses = names["metrics"]["client_work"]
    assert losses["num_institutions"] == 2
    assert losses["loss"] < 0.6  # a coin's is 0.69
