"""The conformance kit: what every pruner and every task is held to. `smc_harness.testing` publishes it."""
