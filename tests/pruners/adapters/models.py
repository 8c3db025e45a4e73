"""Small tasks on models that libraries for pruning were made for, some with tied weights."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from smc_harness import hookimpl
from tests.toys import toy_task

WORDS = 20


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 12, 3, padding=1)
        self.third = nn.Conv2d(12, 12, 3, padding=1)
        self.head = nn.Linear(12 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.first(x)))
        hidden = nn.functional.max_pool2d(torch.relu(self.second(hidden)), 2)
        hidden = hidden + torch.relu(self.third(hidden))
        return self.head(nn.functional.adaptive_avg_pool2d(hidden, 2).flatten(1))


class Transformer(nn.Module):
    """A model of transformers, as a function from token ids to the logits of one answer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=x, attention_mask=torch.ones_like(x)).logits
        return logits if logits.dim() == 2 else logits[:, -1]


def bert() -> nn.Module:
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
        type_vocab_size=1,
        num_labels=3,
    )
    return Transformer(BertForSequenceClassification(config))


def llama(tied: bool = True) -> nn.Module:
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8,
        tie_word_embeddings=tied,
    )
    return Transformer(LlamaForCausalLM(config))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


def images(draw: torch.Generator) -> Tensor:
    return torch.randn(96, 1, 4, 4, generator=draw)


def numbers(draw: torch.Generator) -> Tensor:
    return torch.randn(96, 6, generator=draw)


def sentences(draw: torch.Generator) -> Tensor:
    return torch.randint(WORDS, (96, 6), generator=draw)


def task_of(
    make: Callable[[], nn.Module],
    inputs: Callable[[torch.Generator], Tensor],
    dtype: torch.dtype = torch.float32,
    wanted: Callable[[str, nn.Parameter], bool] = lambda key, weight: weight.dim() > 1,
    head: tuple[str, ...] = (),
) -> ModuleType:
    """A task on random inputs, with the label that the first one gives. wanted: (name, parameter) in the scope?"""
    task = toy_task()

    @hookimpl
    def prepare_data(context):
        features = inputs(torch.Generator().manual_seed(7))
        labels = (features.flatten(1)[:, 0] > 0.5).long()
        rows = list(zip(features, labels.tolist(), strict=True))
        return {"train": rows[:64], "test": rows[64:]}

    @hookimpl
    def compute_loss(model, batch, context):
        x = batch["x"].to(dtype) if batch["x"].is_floating_point() else batch["x"]
        return nn.functional.cross_entropy(model(x).float(), batch["y"])

    @hookimpl
    def prunable(model, context):
        return {"paper": [key for key, weight in model.named_parameters() if wanted(key, weight)]}

    task.prepare_data, task.compute_loss, task.prunable, task.head = prepare_data, compute_loss, prunable, head
    task.prepare_model = hookimpl(lambda context: make().to(dtype))
    return task


def linear_only(key: str, weight: nn.Parameter) -> bool:
    """The weights of linear layers, embeddings and norms left out."""
    return weight.dim() == 2 and "embed" not in key


TASKS: dict[str, Callable[..., ModuleType]] = {
    "perceptron": lambda **options: task_of(perceptron, numbers, **options),
    "convolutions": lambda **options: task_of(Convolutions, images, **options),
    "bert": lambda **options: task_of(bert, sentences, **options),
    "llama": lambda **options: task_of(llama, sentences, **options),
}
