"""The store's folder: one place for results and artifacts, with the manners of a cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from smc_harness.errors import UsageError
from smc_harness.store import claims

_README = """\
# smc-harness store

Results (results.sqlite) and trained states (artifacts/) of smc-harness runs, keyed by content. Nothing here needs to be
kept: `smc-harness --cache-clear` empties it, and a run computes again what is missing. Do not commit it.
"""
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# A cache folder of smc-harness; see https://bford.info/cachedir/\n"
)


def prepare(folder: Path) -> Path:
    """Make the folder, complete with README, ignore file and cache tag, if it is not there. Returns it.

    It is built under another name and renamed, so that another process sees all of it or nothing.
    Raises UsageError where it cannot be made.
    """
    if (folder / "CACHEDIR.TAG").is_file():
        return folder
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"--store {folder}: a folder with other things in it; an empty or new one would work")
        folder.parent.mkdir(parents=True, exist_ok=True)
        built = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        built.chmod(0o755)
        (built / "README.md").write_text(_README)
        (built / ".gitignore").write_text("*\n")
        (built / "CACHEDIR.TAG").write_text(_TAG)
        (built / "artifacts").mkdir()
        (built / "logs").mkdir()
        try:
            built.replace(folder)
        except OSError:
            # another process was first: its folder is as good
            shutil.rmtree(built)
            if not (folder / "CACHEDIR.TAG").is_file():
                raise
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"--store {folder}: {reason}; a folder that can be written would work") from error
    return folder


def clear(folder: Path) -> None:
    """Remove a store that `prepare` made; anything else is left alone.

    Raises UsageError while a session uses it.
    """
    if not (folder / "CACHEDIR.TAG").is_file():
        return
    if claims.in_use(folder):
        raise UsageError(
            f"--store {folder}: a session is using it; when that has ended, or another --store, would work"
        )
    shutil.rmtree(folder)
