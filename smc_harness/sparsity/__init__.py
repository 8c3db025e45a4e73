"""Exact selection and masks. The functions here are public: scores in, the mask of what lives out."""

from smc_harness.sparsity.select import (
    select_blocks,
    select_erk,
    select_global,
    select_n_m,
    select_rows,
    select_uniform,
)

__all__ = ["select_blocks", "select_erk", "select_global", "select_n_m", "select_rows", "select_uniform"]
