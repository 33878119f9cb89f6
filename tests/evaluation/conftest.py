"""What tests of methods share."""

import pytest


@pytest.fixture(scope="module")
def uncompiled():
    """Training without XLA, which compiles for longer than small banks train.

    The tests of learning processes have it; here it is the methods that count.
    """
    from tff_finance.client_work import local_training

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(local_training, "_LARGEST_COMPILED_BATCH", 0)
        yield
