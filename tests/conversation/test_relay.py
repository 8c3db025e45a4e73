"""Who answers a hook."""

from __future__ import annotations

from smc_harness import hookimpl
from smc_harness.conversation.relay import implements, relay
from tests.toys import plugin, pruner_of, toy_task


def test_a_hook_under_another_name_is_found() -> None:
    class Odd:
        phase = "after"

        @hookimpl(specname="compute_scores")
        def my_own_name(self, model):
            return {}

    assert implements(plugin("pruner", "odd", Odd()), "compute_scores")
    assert (
        relay(plugin("task", "toy", toy_task()), plugin("pruner", "odd", Odd())).compute_scores(
            model=None, context=None
        )
        == {}
    )


def test_a_wrapper_is_no_answer() -> None:
    @hookimpl(wrapper=True)
    def compute_scores():
        return (yield)

    assert not implements(plugin("pruner", "wrapping", pruner_of(compute_scores=compute_scores)), "compute_scores")
    assert not implements(None, "compute_scores")
