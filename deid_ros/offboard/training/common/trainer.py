# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The training loop: mean squared error, Adam, cosine learning rate, exact resume.

All random numbers are seeded by (seed, epoch). So a run that was stopped gives the same result as
one that was not (on the CPU, with the same number of threads).
"""

import csv
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from deid_ros.offboard.training.common.recipe import Recipe

#: epoch → (inputs, targets), both (N, …) float32 on the CPU.
EpochData = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
CHECKPOINT = 'checkpoint.pt'
CURVE = 'curve.csv'


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of one epoch."""
    return seed * 1_000_003 + epoch


def choose_device(name: str = 'auto') -> torch.device:
    """Return the named device; `auto` is CUDA where there is one, else the CPU."""
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    return torch.device(name)


class Stateful(Protocol):
    """A module or an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Set its state."""


def save(run: Path, parts: Mapping[str, Stateful], epoch: int, losses: Mapping[str, float]) -> None:
    """Write the checkpoint after an epoch, and its losses into the run's curve (CSV)."""
    with open(run / CURVE, 'a', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        if epoch == 1:
            writer.writerow(['epoch', *losses])
        writer.writerow([epoch, *(f'{loss:.6f}' for loss in losses.values())])
    partial = (run / CHECKPOINT).with_suffix('.partial')
    torch.save({**{name: part.state_dict() for name, part in parts.items()}, 'epoch': epoch},
               partial)
    partial.replace(run / CHECKPOINT)


def restore(run: Path, parts: Mapping[str, Stateful]) -> int:
    """Read the run's checkpoint, if there is one, and return after which epoch it was written."""
    path = run / CHECKPOINT
    if not path.exists():
        return 0
    # weights_only: a pickle from elsewhere could run any code.
    state = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state['epoch'])


def _loss(module: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, device: torch.device,
          precision: str) -> torch.Tensor:
    inputs = inputs.to(device)
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == 'bfloat16'):
        outputs = module(inputs)
    return functional.mse_loss(outputs.float(), targets.to(device))


def fit(module: nn.Module, recipe: Recipe, data: EpochData, validation: EpochData, run: Path, *,
        device: torch.device, until: int | None = None) -> None:
    """Train the module in place, from the run's checkpoint where there is one.

    :param data: faces and targets of an epoch.
    :param validation: the same of people that are not trained on; called with epoch 0.
    :param run: folder for the checkpoint and the curve (CSV: epoch, loss, validation loss).
    :param until: stop after that many epochs in all, as if interrupted.
    """
    run.mkdir(parents=True, exist_ok=True)
    module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(module.parameters(), recipe.learning_rate,
                                  weight_decay=recipe.weight_decay)
    parts: dict[str, Stateful] = {'module': module, 'optimizer': optimizer}
    start = restore(run, parts)
    last = recipe.epochs if until is None else until
    if start < last:
        held_out = validation(0)
    for epoch in range(start, last):
        inputs, targets = data(epoch)
        order = torch.randperm(
            len(inputs), generator=torch.Generator().manual_seed(epoch_seed(recipe.seed, epoch)))
        batches = order.split(recipe.batch_size)
        total = 0.0
        module.train()
        label = f'{recipe.name} {epoch + 1}/{recipe.epochs}'
        for step, batch in enumerate(tqdm(batches, desc=label, mininterval=1)):
            progress = (epoch + step / len(batches)) / recipe.epochs
            for group in optimizer.param_groups:
                group['lr'] = recipe.learning_rate * (0.5 + 0.5 * math.cos(math.pi * progress))
            loss = _loss(module, inputs[batch], targets[batch], device, recipe.precision)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        module.eval()
        with torch.no_grad():
            validated = sum(
                _loss(module, part, expected, device, recipe.precision).item() * len(part)
                for part, expected in zip(held_out[0].split(recipe.batch_size),
                                          held_out[1].split(recipe.batch_size), strict=True))
        save(run, parts, epoch + 1, {'loss': total / len(inputs),
                                     'validation_loss': validated / len(held_out[0])})
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    module.eval()
