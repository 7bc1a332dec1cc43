"""Runs a Promptlathe job with PEFT: accelerate launch train.py [--out DIR] [--base-model MODEL] [--dtype float32|float16|bfloat16]

Reads job.json, resolved.json, train.jsonl and validation.jsonl beside it; writes DIR/prompt (a PEFT adapter) and DIR/report.json. The same job as in the
browser: same sequences, losses weighted by tokens, the prompt with the lowest validation loss kept. Random numbers are torch's, so the
numbers are not the browser's to the digit. Any number of processes gives the same run but for rounding: each takes its share of every batch.
"""

import argparse
import json
import math
import random
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.optimization import Adafactor

from prompts import Tuned, embedding_std, initialize, new_prompt, parts_of
from sequences import Limits, build_sequence, task_names

HERE = Path(__file__).resolve().parent
# A prediction may say a little more than the longest answer, so that a wrong one can be read.
SHORTEST_PREDICTION = 8


def read_lines(name):
    path = HERE / name
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def schedule_factor(job, step, total_steps):
    """The learning rate's factor for optimizer step `step`, from 0 (transformers.optimization's schedules)."""
    warmup = job["warmup_steps"]
    if step < warmup:
        return step / max(1, warmup)
    span = max(1, total_steps - warmup)
    if job["schedule"] == "linear":
        return max(0.0, (total_steps - step) / span)
    if job["schedule"] == "cosine":
        return max(0.0, 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / span))))
    return 1.0


def load_job():
    """job.json is the job as Promptlathe takes it; resolved.json what "auto" and null came to on this model."""
    job = json.loads((HERE / "job.json").read_text(encoding="utf-8"))
    resolved = json.loads((HERE / "resolved.json").read_text(encoding="utf-8"))
    tuning_config = {**job["tuning_config"], **resolved.pop("tuning_config")}
    return {**job, **resolved, "tuning_config": tuning_config}


def learning_rate_of(job, base_model):
    if job["learning_rate"] is not None:
        return job["learning_rate"]
    # A quarter of the embeddings' spread, which is about how far one step moves the prompt.
    return float(f"{embedding_std(base_model) / 4:.2g}")


def epoch_groups(job, rows, epoch):
    """The epoch's optimizer steps: each up to accumulate_steps batches of row numbers. Depends on seed and epoch alone."""
    order = list(range(rows))
    random.Random(f"{job['seed']} {epoch}").shuffle(order)
    batches = [order[at : at + job["batch_size"]] for at in range(0, rows, job["batch_size"])]
    return [batches[at : at + job["accumulate_steps"]] for at in range(0, len(batches), job["accumulate_steps"])]


class Run:
    def __init__(self, job, options):
        self.job = job
        self.accelerator = Accelerator()
        torch.manual_seed(job["seed"])
        dtype = getattr(torch, options.dtype or job["torch_dtype"])
        kind = AutoModelForSeq2SeqLM if job["kind"] == "seq2seq" else AutoModelForCausalLM
        self.name = options.base_model or job["base_model"]
        base_model = kind.from_pretrained(self.name, dtype=dtype)
        self.tokenizer = AutoTokenizer.from_pretrained(self.name)
        self.examples = read_lines("train.jsonl")
        self.held_examples = read_lines("validation.jsonl")
        self.tasks = task_names(self.examples, job["tuning_config"]["num_tasks"])
        limits = self.limits(base_model.config)
        self.train = [self.sequence(example, limits) for example in self.examples]
        self.held = [self.sequence(example, limits) for example in self.held_examples]

        self.learning_rate = learning_rate_of(job, base_model)
        model = new_prompt(base_model, job, job["base_model"])
        source = HERE / "source_prompt.safetensors"
        outputs = [example["output"] for example in self.examples]
        initialize(model, job, self.tokenizer, outputs, source if source.exists() else None)
        self.tuned = Tuned(model, job)
        self.tuned.eval()  # no dropout, as in the browser
        self.parameters = [parameter for parameter in self.tuned.parameters() if parameter.requires_grad]
        self.module, self.optimizer = self.accelerator.prepare(self.tuned, self.new_optimizer())

    def limits(self, config):
        job, n = self.job, self.job["tuning_config"]["num_virtual_tokens"]
        return Limits(
            kind=job["kind"],
            max_source_length=job["max_source_length"],
            max_target_length=job["max_target_length"],
            encoder_tokens=n if "ENCODER" in parts_of(job) else 0,
            decoder_tokens=n if "DECODER" in parts_of(job) else 0,
            max_positions=job["max_positions"],
            decoder_start_token_id=getattr(config, "decoder_start_token_id", None),
        )

    def sequence(self, example, limits):
        task = self.tasks.index(example["task"]) if len(self.tasks) > 1 else 0
        return build_sequence(example, self.job["verbalizer"], limits, self.tokenizer, task, self.job["preset"])

    def new_optimizer(self):
        settings = {"lr": self.learning_rate, "weight_decay": self.job["weight_decay"]}
        if self.job["optimizer"] == "adafactor":
            fixed = {"scale_parameter": False, "relative_step": False, "warmup_init": False}
            return Adafactor(self.parameters, **fixed, **settings)
        return torch.optim.AdamW(self.parameters, **settings)

    def share(self, rows):
        """This process's part of a batch, and whether it counts: a process without rows computes one for nothing."""
        own = rows[self.accelerator.process_index :: self.accelerator.num_processes]
        return (own, 1.0) if own else (rows[:1], 0.0)

    def step(self, group, rate):
        """One optimizer step over a group of batches; the loss per label token."""
        job, accelerator = self.job, self.accelerator
        labels = sum(len(self.train[row].target) for batch in group for row in batch)
        total = torch.zeros((), device=accelerator.device)
        for index, batch in enumerate(group):
            own = sum(len(self.train[row].target) for row in batch)
            caikit = job["preset"] == "caikit"
            weight = 1 / (own * job["accumulate_steps"]) if caikit else 1 / labels
            rows, counts = self.share(batch)

            def backward():
                loss = self.module([self.train[row] for row in rows]).sum() * counts
                total.add_(loss.detach())
                # Gradients are averaged over processes; each holds a part of a sum.
                accelerator.backward(loss * weight * accelerator.num_processes)

            if index < len(group) - 1:
                with accelerator.no_sync(self.module):
                    backward()
            else:
                backward()
        if job["max_grad_norm"] is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, job["max_grad_norm"])
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss = accelerator.reduce(total, "sum").item() / labels
        if not math.isfinite(loss):
            raise SystemExit(f"the loss is not finite; lower the learning rate (it was {rate})")
        return loss, labels

    @torch.no_grad()
    def validation_loss(self):
        total = torch.zeros((), device=self.accelerator.device)
        for at in range(0, len(self.held), self.job["batch_size"]):
            rows, counts = self.share(list(range(at, min(at + self.job["batch_size"], len(self.held)))))
            total += self.tuned([self.held[row] for row in rows]).sum() * counts
        return self.accelerator.reduce(total, "sum").item() / sum(len(sequence.target) for sequence in self.held)

    def evaluate(self, prompted):
        """Exact match and greedy predictions on the held-out rows: rows equally long go together, so that nothing is padded."""
        longest = max(len(sequence.target) for sequence in self.held)
        groups = {}
        for row, sequence in enumerate(self.held):
            groups.setdefault((len(sequence.encoder or []), len(sequence.source)), []).append(row)
        batches = [rows[at : at + self.job["batch_size"]] for rows in groups.values() for at in range(0, len(rows), self.job["batch_size"])]
        own = []
        eos = self.tokenizer.eos_token_id
        for rows in batches[self.accelerator.process_index :: self.accelerator.num_processes]:
            sequences = [self.held[row] for row in rows]
            most = max(longest, SHORTEST_PREDICTION)
            if self.job["max_positions"] is not None:
                taken = len(sequences[0].source) + (self.tuned.n if prompted and "DECODER" in self.tuned.parts else 0)
                most = max(1, min(most, self.job["max_positions"] - taken + 1))
            for row, ids in zip(rows, self.tuned.answer(sequences, most, eos, prompted)):
                ended = ids[-1] == eos
                text = self.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True).strip()
                expected = self.held_examples[row]["output"]
                exact = ended and text == expected.strip()
                found = {"input": self.held_examples[row]["input"], "expected": expected, "predicted": text, "exact": exact}
                own.append((row, {**found, "task": self.held_examples[row].get("task")}))
        predictions = [found for _, found in sorted(gather_object(own), key=lambda pair: pair[0])]
        result = {"exact_match": _share(predictions)}
        if len(self.tasks) > 1:
            result["by_task"] = {task: _share([p for p in predictions if p["task"] == task]) for task in self.tasks}
        return {**result, "predictions": predictions}

    def state(self):
        return [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def restore(self, state):
        for parameter, kept in zip(self.parameters, state):
            parameter.copy_(kept)

    def run(self):
        job = self.job
        batches = math.ceil(len(self.train) / job["batch_size"])
        steps_per_epoch = math.ceil(batches / job["accumulate_steps"])
        total_steps = (batches if job["preset"] == "caikit" else steps_per_epoch) * job["num_epochs"]
        report = {"learning_rate": self.learning_rate, "steps": [], "epochs": [], "finished": "completed"}
        report["baseline"] = self.evaluate(prompted=False) if self.held else None
        best = None
        for epoch in range(1, job["num_epochs"] + 1):
            loss_sum = labels_sum = 0.0
            for group in epoch_groups(job, len(self.train), epoch):
                step = len(report["steps"])
                rate = self.learning_rate * schedule_factor(job, step, total_steps)
                loss, labels = self.step(group, rate)
                report["steps"].append({"step": step + 1, "epoch": epoch, "loss": loss, "learning_rate": rate})
                loss_sum, labels_sum = loss_sum + loss * labels, labels_sum + labels
            validation_loss = self.validation_loss() if self.held else None
            record = {"epoch": epoch, "train_loss": loss_sum / labels_sum, "validation_loss": validation_loss}
            report["epochs"].append(record)
            if not job["silence_progress_bars"]:
                self.accelerator.print(json.dumps(record), flush=True)
            if validation_loss is not None and (best is None or validation_loss < best[0]):
                best = (validation_loss, epoch, self.state())
            patience = job["early_stopping_patience"]
            if patience is not None and best is not None and epoch - best[1] >= patience:
                report["finished"] = "early_stopped"
                break
        if best is not None:
            self.restore(best[2])
        report["best_epoch"] = best[1] if best else len(report["epochs"])
        report["tuned"] = self.evaluate(prompted=True) if self.held else None
        return report


def _share(predictions):
    return sum(p["exact"] for p in predictions) / len(predictions) if predictions else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="out", help="folder for the prompt and the report")
    parser.add_argument("--base-model", help="hub id or folder of the model in safetensors; else job.json's base_model")
    parser.add_argument("--dtype", choices=["float32", "float16", "bfloat16"], help="of the frozen model; the prompt is float32")
    options = parser.parse_args()
    run = Run(load_job(), options)
    report = run.run()
    if run.accelerator.is_main_process:
        out = Path(options.out)
        run.tuned.model.save_pretrained(out / "prompt", save_embedding_layers=False)
        (out / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        if report["tuned"]:
            print(f"held out: exact match {report['baseline']['exact_match']:.1%} untuned, {report['tuned']['exact_match']:.1%} tuned")
    run.accelerator.end_training()


if __name__ == "__main__":
    main()
