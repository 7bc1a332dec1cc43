"""Exports a Llama checkpoint in the transformers.js layout: `python3 export.py CHECKPOINT DESTINATION`.

Writes onnx/model.onnx (fp32) with KV cache inputs, model_quantized.onnx (q8) and model_q4.onnx, and the small JSON files beside them. CHECKPOINT
is what train.py --decay saved. Needs torch (1.13 or later) and onnx. `accuracy.ts` measures what the smaller files cost.
"""
import json
import os
import shutil
import sys

import onnx
import torch
from onnx import ModelProto, helper

from export_seq2seq import OPSET, SharedWeights, trace, write_json
from llama import MASKED, Llama
from quantize import quantize
from quantize4 import quantize4

END = "<|endoftext|>"
TOKENS = {0: "batch_size", 1: "sequence_length"}


class WithPast(torch.nn.Module):
    """input_ids, attention_mask, position_ids, past_key_values.* -> logits, present.*: the names optimum's exports use."""

    def __init__(self, model: Llama):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        layers = [past[at:at + 2] for at in range(0, len(past), 2)]
        length, total = input_ids.shape[1], attention_mask.shape[1]
        keys_at = torch.arange(total)
        queries_at = torch.arange(length) + (total - length)
        hidden_from = (keys_at[None, :] > queries_at[:, None])[None, None]
        padded = attention_mask[:, None, None, :] == 0
        bias = torch.where(hidden_from | padded, torch.tensor(MASKED), torch.tensor(0.0))
        hidden, present = self.model.hidden(self.model.model.embed_tokens(input_ids), position_ids, bias, layers)
        return (self.model.logits(hidden), *(tensor for layer in present for tensor in layer))


def onnx_model(model: Llama) -> ModelProto:
    config = model.config
    heads, width = config["num_key_value_heads"], config["hidden_size"] // config["num_attention_heads"]
    names = [f"{layer}.{kind}" for layer in range(config["num_hidden_layers"]) for kind in ("key", "value")]
    past_names, present_names = [f"past_key_values.{name}" for name in names], [f"present.{name}" for name in names]
    batch, length, past_length = 2, 3, 4
    past = [torch.randn(batch, heads, past_length, width) for _ in names]
    arguments = (torch.randint(0, 9, (batch, length)), torch.ones(batch, past_length + length, dtype=torch.long),
                 torch.arange(past_length, past_length + length)[None].repeat(batch, 1), *past)
    axes = {"input_ids": TOKENS, "attention_mask": {0: "batch_size", 1: "total_sequence_length"}, "position_ids": TOKENS, "logits": TOKENS}
    axes |= {name: {0: "batch_size", 2: "past_sequence_length"} for name in past_names}
    axes |= {name: {0: "batch_size", 2: "total_sequence_length"} for name in present_names}
    graph = trace(WithPast(model), arguments, ["input_ids", "attention_mask", "position_ids", *past_names], ["logits", *present_names], axes).graph
    weights = SharedWeights(model, "model.embed_tokens.weight")
    weights.take_from(graph)
    graph.initializer.extend(weights.tensors.values())
    graph.name = "model"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="promptlathe/pretraining")
    onnx.checker.check_model(made)
    return made


@torch.no_grad()
def main(source: str, destination: str) -> None:
    os.makedirs(f"{destination}/onnx", exist_ok=True)
    made = onnx_model(Llama.load(source))
    onnx.save(made, f"{destination}/onnx/model.onnx")
    onnx.save(quantize(made), f"{destination}/onnx/model_quantized.onnx")
    onnx.save(quantize4(made), f"{destination}/onnx/model_q4.onnx")
    with open(f"{source}/config.json") as file:
        write_json(f"{destination}/config.json", json.load(file))
    write_json(f"{destination}/generation_config.json", {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0})
    write_json(f"{destination}/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "pad_token": END, "unk_token": END,
        "model_max_length": 512, "clean_up_tokenization_spaces": False})
    shutil.copyfile(f"{source}/tokenizer.json", f"{destination}/tokenizer.json")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
