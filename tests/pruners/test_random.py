from __future__ import annotations

import torch
from smc_pruners import random

from smc_harness.conversation.scoring import compute_scores
from tests.pruners.pruning import mask_of, pruned, talk_of


def test_scores_follow_the_seed_and_nothing_else() -> None:
    def draw(seed: int) -> torch.Tensor:
        talk, model = talk_of(random.after, seed=seed)
        model[0].weight.data.fill_(float(seed))
        torch.manual_seed(torch.seed())
        return compute_scores(talk, model)["0.weight"]

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_every_weight_has_the_same_chance_to_go() -> None:
    totals = torch.zeros(16, 6)
    for seed in range(200):
        talk, model = talk_of(random.before, seed=seed)
        totals += mask_of(talk, model, 0.25)["0.weight"]
    # binomial(200, 3/4): standard deviation 6.1; five of them on either side
    assert totals.min() >= 119 and totals.max() <= 181


def test_the_original_keeps_each_weight_with_the_density_as_its_chance() -> None:
    counts = []
    for seed in range(60):
        talk, model = talk_of(random.before, random.before.params(compat="smc-bench"), seed=seed)
        counts.append(pruned(mask_of(talk, model, 0.5)))
    counts = torch.tensor(counts, dtype=torch.double)
    # binomial(128, 1/2): mean 64, standard deviation 5.66
    assert abs(counts.mean() - 64) < 5 * 5.66 / 60**0.5
    assert 4 < counts.std() < 7.5
