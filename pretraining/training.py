"""What both trainers share: the optimizer, the schedule, the run that logs, saves and resumes. Knows nothing of the models or the mixture.

The schedule is warm-up, constant, then a decay to zero on a copy (WSD): state.pt stays on the constant part, so that training can go on later, and a
usable model can be decayed off at any step. Budgets are steps, so that a rerun on the same machine and torch gives the same weights.
"""
import json
import os
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

WARMUP, SAVE_EVERY, LOG_EVERY, PROBE_EVERY = 60, 100, 20, 200


@torch.no_grad()
def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """[count, rows, columns] -> about U V^T of each, by Newton-Schulz with Keller Jordan's coefficients, in bfloat16."""
    x = matrices.bfloat16()
    flip = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if flip else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = torch.bmm(x, x.transpose(1, 2))
        x = 3.4445 * x + torch.bmm(-4.7750 * square + 2.0315 * torch.bmm(square, square), x)
    return (x.transpose(1, 2) if flip else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose step for a matrix is orthogonalized. Its root mean square is `lr`, or `lr` times the parameter's own for relative=True
    (T5's tensors differ a hundredfold in scale). Matrices of one shape are handled together."""

    def __init__(self, parameters: list[nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.0, relative: bool = False):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": decay, "relative": relative})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            shapes: dict[tuple, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                shapes.setdefault(tuple(parameter.shape), []).append(parameter)
            for shape, parameters in shapes.items():
                steps = []
                for parameter in parameters:
                    state = self.state[parameter]
                    buffer = state.setdefault("momentum", torch.zeros_like(parameter))
                    buffer.mul_(group["momentum"]).add_(parameter.grad)
                    steps.append(parameter.grad + group["momentum"] * buffer)
                for parameter, step in zip(parameters, orthogonal(torch.stack(steps)) * max(shape) ** 0.5):
                    scale = max(1e-3, parameter.pow(2).mean().sqrt().item()) if group["relative"] else 1.0
                    parameter.mul_(1 - group["lr"] * group["decay"]).add_(step, alpha=-group["lr"] * scale)


class Run:
    """A model with its optimizers in a folder: state.pt holds both and the step; log.jsonl what was seen."""

    def __init__(self, out: str, model: nn.Module, optimizers: list[torch.optim.Optimizer], loss_of: Callable[[int], tuple[Tensor, int]],
                 probe: Callable[[], dict]):
        """loss_of: step -> loss, tokens read. It must depend on the step alone. probe: what to log of the model's abilities."""
        self.out, self.model, self.optimizers, self.loss_of, self.probe = out, model, optimizers, loss_of, probe
        self.step, self.tokens, self.seconds, self.smooth = 0, 0, 0.0, None
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
        if os.path.exists(f"{out}/state.pt"):
            kept = torch.load(f"{out}/state.pt")
            model.load_state_dict(kept["model"])
            for optimizer, state in zip(optimizers, kept["optimizers"]):
                optimizer.load_state_dict(state)
            self.step, self.tokens, self.seconds, self.smooth = kept["step"], kept["tokens"], kept["seconds"], kept["smooth"]

    def save(self) -> None:
        state = {"model": self.model.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                 "step": self.step, "tokens": self.tokens, "seconds": self.seconds, "smooth": self.smooth}
        torch.save(state, f"{self.out}/state.pt.new")
        os.replace(f"{self.out}/state.pt.new", f"{self.out}/state.pt")  # never half a file

    def log(self, entry: dict) -> None:
        line = json.dumps({"step": self.step, "tokens": self.tokens, "minutes": round(self.seconds / 60, 1), **entry})
        print(line, flush=True)
        with open(f"{self.out}/log.jsonl", "a") as file:
            file.write(line + "\n")

    def advance(self, factor: float) -> None:
        """One step at `factor` of the rates."""
        started = time.time()
        for optimizer, rates in zip(self.optimizers, self.rates):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor
        loss, tokens = self.loss_of(self.step)
        self.model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.smooth = loss.item() if self.smooth is None else 0.98 * self.smooth + 0.02 * loss.item()
        self.step, self.tokens, self.seconds = self.step + 1, self.tokens + tokens, self.seconds + time.time() - started
        if self.step % LOG_EVERY == 0:
            self.log({"loss": round(self.smooth, 3), "factor": round(factor, 3)})
        if self.step % PROBE_EVERY == 0:
            self.log(self.probe())

    def constant(self, until: int) -> None:
        while self.step < until:
            self.advance(min(1.0, (self.step + 1) / WARMUP))
            if self.step % SAVE_EVERY == 0:
                self.save()
        self.save()

    def decay(self, steps: int) -> dict:
        """Down to zero; state.pt stays as it was -> how the model was made."""
        start = self.step
        while self.step < start + steps:
            self.advance(1 - (self.step - start + 0.5) / steps)
        made = {"constant_steps": start, "decay_steps": steps, "tokens": self.tokens, "minutes": round(self.seconds / 60, 1), "loss": round(self.smooth, 3)}
        self.log({**made, **self.probe()})
        return made


def command_line(arguments: list[str], run: Callable[[str], Run], save: Callable[[Run, str], None]) -> None:
    """OUT UNTIL_STEP trains on at the constant rate; OUT --decay STEPS DESTINATION decays a copy and saves that model."""
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    torch.manual_seed(0)
    out = arguments[0]
    os.makedirs(out, exist_ok=True)
    if arguments[1] == "--decay":
        steps, destination = int(arguments[2]), arguments[3]
        os.makedirs(destination, exist_ok=True)
        found = run(out)
        found.out = destination  # its log; the run's own stays
        made = found.decay(steps)
        with open(f"{destination}/training.json", "w") as file:
            json.dump(made, file, indent=1)
        save(found, destination)
    else:
        run(out).constant(int(arguments[1]))
