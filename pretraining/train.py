"""Trains the causal embedded model from scratch: `python train.py MINUTES [OUT]`. Resumes from OUT if it holds a checkpoint.

Llama-style, 6 layers, width 192, 6 heads over 3 key/value heads, byte-level BPE of 4,096, tied embeddings: 3.2 M parameters.
Needs torch, transformers and tokenizers (made with torch 2.13, transformers 5.18).
"""
import json
import math
import os
import sys
import time

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from mixture import Mixture

VOCAB, BATCH, LENGTH, TEXT_SHARE, PEAK_LR = 4096, 48, 128, 0.35, 2e-3
END = "<|endoftext|>"


def tokenizer_for(mixture: Mixture, texts: list[str], path: str) -> Tokenizer:
    if not os.path.exists(path):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        sample = texts[:120_000] + [mixture.task_document() for _ in range(40_000)]
        tokenizer.train_from_iterator(sample, trainers.BpeTrainer(
            vocab_size=VOCAB, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        tokenizer.save(path)
    return Tokenizer.from_file(path)


def token_stream(mixture: Mixture, tokenizer: Tokenizer, texts: list[str]):
    """Documents end to end, cut into rows of LENGTH + 1."""
    encoded = [encoding.ids + [0] for encoding in tokenizer.encode_batch(texts)]
    buffer, at = [], 0
    while True:
        if mixture.rng.random() < TEXT_SHARE:
            buffer += encoded[at % len(encoded)]
            at += 1
        else:
            buffer += tokenizer.encode(mixture.task_document()).ids + [0]
        while len(buffer) > LENGTH:
            yield buffer[:LENGTH + 1]
            buffer = buffer[LENGTH + 1:]


def main(minutes: float, out: str) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    os.makedirs(out, exist_ok=True)
    mixture = Mixture()
    texts = mixture.texts()
    mixture.rng.shuffle(texts)
    tokenizer = tokenizer_for(mixture, texts, f"{out}/tokenizer.json")
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=192, intermediate_size=512, num_hidden_layers=6, num_attention_heads=6,
                         num_key_value_heads=3, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=0,
                         eos_token_id=0, pad_token_id=0, attn_implementation="sdpa")
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.95), weight_decay=0.05)
    step, spent, smooth = 0, 0.0, None
    state = f"{out}/state.pt"
    if os.path.exists(state):
        kept = torch.load(state)
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        step, spent = kept["step"], kept["spent"]
    rows = token_stream(mixture, tokenizer, texts)
    for _ in range(step * BATCH):
        next(rows)  # the same rows as an uninterrupted run
    started = time.time()
    while (elapsed := spent + (time.time() - started) / 60) < minutes:
        rate = PEAK_LR * min(1, (step + 1) / 100) * (0.5 * (1 + math.cos(math.pi * elapsed / minutes)) * 0.95 + 0.05)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = torch.tensor([next(rows) for _ in range(BATCH)])
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=batch[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.float().reshape(-1, VOCAB), batch[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        step += 1
        if step % 50 == 0:
            print(json.dumps({"step": step, "minutes": round(elapsed, 1), "loss": round(smooth, 3)}), flush=True)
        if step % 500 == 0:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": elapsed}, state)
    model.save_pretrained(out)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "out")
