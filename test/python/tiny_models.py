"""Saves tiny random models with a tokenizer of words, as transformers loads them: tiny_models.py DIR (DIR/causal-lm and DIR/seq2seq).

Needs torch and transformers. Run by test/unit/python-job.test.ts where there are these.
"""

import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = "<pad> </s> <unk> good bad film book the was is a -> : great dull tone one two three four".split()


def tokenizer(seq2seq):
    made = Tokenizer(models.WordLevel({word: id for id, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if seq2seq:
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def main(folder):
    torch.manual_seed(0)
    size = len(WORDS)
    sizes = transformers.GPT2Config(
        n_embd=16, n_layer=2, n_head=2, vocab_size=size, n_positions=48, initializer_range=0.3, bos_token_id=1, eos_token_id=1
    )
    transformers.GPT2LMHeadModel(sizes).save_pretrained(Path(folder) / "causal-lm")
    tokenizer(False).save_pretrained(Path(folder) / "causal-lm")
    sizes = transformers.T5Config(
        d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=size, decoder_start_token_id=0, eos_token_id=1
    )
    transformers.T5ForConditionalGeneration(sizes).save_pretrained(Path(folder) / "seq2seq")
    tokenizer(True).save_pretrained(Path(folder) / "seq2seq")


if __name__ == "__main__":
    main(sys.argv[1])
