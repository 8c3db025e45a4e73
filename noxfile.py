"""The ends of the ranges that pyproject.toml promises: the tests with the oldest and the newest of two libraries.

`make test` has whatever is newest on the day. torch is tested at the one version of constraints.txt, and no older one
is promised.
"""

from __future__ import annotations

import nox
from packaging.requirements import Requirement

LIBRARIES = ("pluggy", "transformers")
"""Those whose interfaces we use most, and whose releases have broken plugins before."""

ROOMS = ("tests/discovery", "tests/conversation", "tests/tasks", "tests/test_hookspecs.py", "tests/test_config.py")

nox.options.default_venv_backend = "venv"


@nox.session
def lowest(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows."""
    _test(session, [f"{name}=={bound}" for name, bound in _bounds().items()])


@nox.session
def newest(session: nox.Session) -> None:
    """The newest releases."""
    _test(session, ["--upgrade", *LIBRARIES])


def _bounds() -> dict[str, str]:
    project = nox.project.load_toml("pyproject.toml")["project"]
    needed = {found.name: found for found in map(Requirement, project["dependencies"])}
    return {name: next(s.version for s in needed[name].specifier if s.operator == ">=") for name in LIBRARIES}


def _test(session: nox.Session, pins: list[str]) -> None:
    session.install("pip>=25.1", "--upgrade")
    session.install("--constraint", "constraints.txt", "--editable", ".", "--group", "dev", *pins)
    session.run("pytest", "-n", "auto", "-m", "not slow and not browser", *ROOMS, env={"OMP_NUM_THREADS": "1"})
