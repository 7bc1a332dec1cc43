"""How well a trained model does each family on words it never saw: `python probe.py causal|seq2seq CHECKPOINT EACH > table.md`, EACH examples a family and shape.

In torch, with the numbers the trainers log (bfloat16, teacher-forced, which is right exactly where greedy decoding is). accuracy.ts asks the exported files.
"""
import sys

import torch
from tokenizers import Tokenizer

import train
import train_seq2seq
from llama import Llama
from mixture import Mixture
from probing import shares
from t5 import T5


def main(kind: str, folder: str, each: int) -> None:
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    if kind == "causal":
        probe = train.Probe(tokenizer, Llama.load(folder), each)
    else:
        probe = train_seq2seq.Probe(train_seq2seq.Rows(Mixture(held_out=True), tokenizer), T5.load(folder), each)
    found = shares(probe.examples, probe.right())
    print("| family | instructed | few-shot |\n| --- | --- | --- |")
    for family, share in found["instructed"].items():
        print(f"| {family or '**all**'} | {share:.2f} | {found['few-shot'][family]:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
