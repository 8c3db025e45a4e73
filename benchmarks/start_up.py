"""What a command costs that computes nothing, beside importing torch once.

    python -m benchmarks.start_up [--rounds 15] [--clock cpu] [--json FILE]

`smc-harness --help`, and `smc-harness --collect-only` of a thousand cells: three pruners on the four mini tasks at 89
levels. Each in a process of its own, as a shell starts it. Claimed: at most an eighth of `import torch`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

from benchmarks.measure import Result, arguments, commands_in_turn

PRUNERS = "gmp,magnitude-after,snip"
LEVELS = ",".join(f"{percent / 100:g}" for percent in range(1, 90))
CELLS = 3 * 4 * 89
CLAIM = 1 / 8


def main() -> int:
    options = arguments(__doc__, rounds=15).parse_args()
    harness = [sys.executable, "-m", "smc_harness"]
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "--help": [*harness, "--help"],
        "--collect-only": [*harness, "--collect-only", "--pruners", PRUNERS, "--levels", LEVELS],
        "nothing": [sys.executable, "-c", "pass"],
    }
    result = Result("Start-up", "python -m benchmarks.start_up")
    with tempfile.TemporaryDirectory() as folder:  # one without a configuration
        listed = subprocess.run(commands["--collect-only"], cwd=folder, capture_output=True, text=True, check=True)
        collected = sum("::" in line for line in listed.stdout.splitlines())
        if collected != CELLS:
            sys.exit(f"{collected} cells are listed; {CELLS} were asked for")
        result.checked.append(f"{collected} cells are listed, as many as were asked for")
        times = commands_in_turn(commands, options.rounds, options.clock, cwd=folder)
    result.add("--help", times, "--help", "import torch", at_most=CLAIM)
    result.add(f"--collect-only, {CELLS} cells", times, "--collect-only", "import torch", at_most=CLAIM)
    result.add("python -c pass", times, "nothing", "import torch")
    return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
