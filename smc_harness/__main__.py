"""`python -m smc_harness`."""

import sys

from smc_harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
