"""The pruner `example` for smc-harness."""
