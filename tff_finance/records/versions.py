"""What a result was computed with: versions of packages, and of our own source."""

import functools
import hashlib
import importlib.metadata
import pathlib
import platform
from collections.abc import Mapping

_PACKAGES = (
    "tff-finance",
    "tensorflow",
    "tensorflow-federated",
    "numpy",
    "pandas",
    "scikit-learn",
)
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# Renders results and has no part in them.
_NO_PART_IN_RESULTS = "report"


def result_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on.

    Returns:
        Versions by name, and under "tff-finance source" the first digits of the
        SHA-256 of this package's modules, since a checkout's version number
        stays while its code changes.
    """
    return dict(_versions())


@functools.cache  # what runs is what was there at first, whatever is edited since
def _versions() -> Mapping[str, str]:
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "tff-finance source": _source_digest(),
    }


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = path.relative_to(_PACKAGE)
        if name.parts[0] != _NO_PART_IN_RESULTS:
            digest.update(f"{name.as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
