"""What the server that workers are forked from has imported before the first of them: they share the memory of it.

That server alone imports this module, after the others that it is told to. Whatever goes wrong here must not end it:
who needs a module that cannot be imported will say why.
"""

from __future__ import annotations

import gc
import os
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from pkgutil import resolve_name

from smc_harness.execution.processes import SHARED

# what a module prints while it is imported is nobody's
with Path(os.devnull).open("w") as _nowhere, redirect_stdout(_nowhere), redirect_stderr(_nowhere):
    for _name in os.environ.get(SHARED, "").split():
        with suppress(Exception, SystemExit):
            resolve_name(_name)
gc.collect()
gc.freeze()  # else a collection in a worker writes to every one of these objects, and their pages are shared no more
