"""Trains the embedded encoder-decoder from scratch: `python train_seq2seq.py MINUTES [OUT]`.

T5-style, 4 + 4 layers, width 192, 6 heads, gated GELU 512, byte-level BPE of 4,096, tied embeddings: 4.9 M parameters. Two thirds of the rows are tasks of
the mixture (instruction and input -> output, or few-shot lists), a third is text with spans left out, which the decoder fills in.
Needs torch and tokenizers. Knows the recipe; the model is t5.py's, the rows' text is mixture.py's.
"""
import json
import math
import os
import sys
import time
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy

from mixture import Mixture
from t5 import T5

VOCAB, BATCH, POOL, TEXT_SHARE, PEAK_LR, WARMUP = 4096, 96, 4, 0.35, 2e-2, 150
SENTINELS, SPAN, EVERY = 16, 4, 12  # spans of 1 to 4 tokens are left out, one for 12 tokens
LONGEST_TEXT, LONGEST_SOURCE, LONGEST_TARGET = 72, 95, 40
PAD, END, FIRST_SENTINEL, IGNORED = 0, 1, 2, -100
SPECIAL = ["<pad>", "</s>", *(f"<extra_id_{index}>" for index in range(SENTINELS))]
CONFIG = {
    "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": VOCAB, "d_model": 192, "d_kv": 32, "d_ff": 512,
    "num_layers": 4, "num_decoder_layers": 4, "num_heads": 6, "relative_attention_num_buckets": 32, "relative_attention_max_distance": 64,
    "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": True, "layer_norm_epsilon": 1e-06,
    "is_encoder_decoder": True, "tie_word_embeddings": True, "pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD, "use_cache": True,
}
Row = tuple[list[int], list[int]]


def tokenizer_for(mixture: Mixture, texts: list[str], path: str) -> Tokenizer:
    if not os.path.exists(path):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        sample = texts[:120_000] + [mixture.task_document() for _ in range(40_000)]
        tokenizer.train_from_iterator(sample, trainers.BpeTrainer(
            vocab_size=VOCAB, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
        tokenizer.save(path)
    return Tokenizer.from_file(path)


class Rows:
    def __init__(self, mixture: Mixture, tokenizer: Tokenizer, texts: list[str]):
        self.mixture, self.rng, self.tokenizer, self.texts = mixture, mixture.rng, tokenizer, texts

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def corrupted(self, ids: list[int]) -> Row:
        """Spans replaced by sentinels -> the target gives each sentinel and what it stands for."""
        count = min(max(1, len(ids) // EVERY), SENTINELS)
        source, target, at, sentinel = [], [], 0, FIRST_SENTINEL
        for start in sorted(self.rng.sample(range(len(ids)), count)):
            if start < at:
                continue  # inside the span before
            end = min(len(ids), start + self.rng.randint(1, SPAN))
            source += [*ids[at:start], sentinel]
            target += [sentinel, *ids[start:end]]
            at, sentinel = end, sentinel + 1
        return [*source, *ids[at:], END], [*target, END]

    def draw(self) -> Row:
        if self.rng.random() < TEXT_SHARE:
            ids = self.ids(self.rng.choice(self.texts))[:LONGEST_TEXT]
            if len(ids) >= 6:
                return self.corrupted(ids)
        source, target = self.mixture.task_pair()
        return [*self.ids(source)[:LONGEST_SOURCE], END], [*self.ids(target)[:LONGEST_TARGET], END]

    def batches(self) -> Iterator[list[Row]]:
        """Rows of about equal length together: POOL batches at a time, in random order."""
        while True:
            pool = sorted((self.draw() for _ in range(BATCH * POOL)), key=lambda row: len(row[0]))
            for index in self.rng.sample(range(POOL), POOL):
                yield pool[index * BATCH:(index + 1) * BATCH]


def padded(rows: list[list[int]], filler: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])


def batch_loss(model: T5, rows: list[Row]) -> torch.Tensor:
    sources, targets = [source for source, _ in rows], [target for _, target in rows]
    mask, labels = padded([[1] * len(source) for source in sources], 0), padded(targets, IGNORED)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(model.shared(padded(sources, PAD)), mask, model.shared(model.shift_right(labels)))
    return cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def main(minutes: float, out: str) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    os.makedirs(out, exist_ok=True)
    mixture = Mixture()
    texts = mixture.texts()
    mixture.rng.shuffle(texts)
    batches = Rows(mixture, tokenizer_for(mixture, texts, f"{out}/tokenizer.json"), texts).batches()
    model = T5(CONFIG).initialise()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW([{"params": [parameter]} for parameter in parameters], lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.0)
    started, step, smooth = time.time(), 0, None
    while (elapsed := (time.time() - started) / 60) < minutes:
        rate = PEAK_LR * min(1, (step + 1) / WARMUP) * (0.5 * (1 + math.cos(math.pi * elapsed / minutes)) * 0.95 + 0.05)
        for group, parameter in zip(optimizer.param_groups, parameters):
            # T5's tensors differ a hundredfold in scale: with one step for all it did not train.
            group["lr"] = rate * max(1e-3, parameter.detach().pow(2).mean().sqrt().item())
        loss = batch_loss(model, next(batches))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        step += 1
        if step % 50 == 0:
            print(json.dumps({"step": step, "minutes": round(elapsed, 1), "loss": round(smooth, 3)}), flush=True)
        if step % 400 == 0:
            model.save(out)
    model.save(out)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "out-seq2seq")
