"""Exports a trained checkpoint in the transformers.js layout: `python export.py CHECKPOINT DESTINATION`.

Writes onnx/model.onnx (fp32) and onnx/model_quantized.onnx (q8), with KV cache inputs, and the small JSON files beside them; then
compares both with torch through onnxruntime and prints the differences.
"""
import json
import os
import shutil
import sys

import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import LlamaForCausalLM
from transformers.cache_utils import DynamicCache

END = "<|endoftext|>"


class WithPast(torch.nn.Module):
    """input_ids, attention_mask, position_ids, past_key_values.* -> logits, present.*: the input names optimum exports use."""

    def __init__(self, model: LlamaForCausalLM):
        super().__init__()
        self.model, self.layers = model, model.config.num_hidden_layers

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = DynamicCache()
        for layer in range(self.layers):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, past_key_values=cache, use_cache=True)
        present = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
        return (output.logits, *present)


def export(model: LlamaForCausalLM, path: str) -> None:
    config = model.config
    heads, width = config.num_key_value_heads, config.hidden_size // config.num_attention_heads
    names = [f"{layer}.{kind}" for layer in range(config.num_hidden_layers) for kind in ("key", "value")]
    batch, length, past_length = 2, 3, 4
    past = [torch.randn(batch, heads, past_length, width) for _ in names]
    arguments = (torch.randint(0, 9, (batch, length)), torch.ones(batch, past_length + length, dtype=torch.long),
                 torch.arange(past_length, past_length + length)[None].repeat(batch, 1), *past)
    tokens, total = {0: "batch_size", 1: "sequence_length"}, {0: "batch_size", 1: "total_sequence_length"}
    axes = {"input_ids": tokens, "attention_mask": total, "position_ids": tokens, "logits": tokens}
    axes |= {f"past_key_values.{name}": {0: "batch_size", 2: "past_sequence_length"} for name in names}
    axes |= {f"present.{name}": {0: "batch_size", 2: "total_sequence_length"} for name in names}
    torch.onnx.export(WithPast(model), arguments, path, opset_version=17, dynamo=False, dynamic_axes=axes,
                      input_names=["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in names)],
                      output_names=["logits", *(f"present.{name}" for name in names)])


def check(model: LlamaForCausalLM, path: str) -> dict:
    config = model.config
    session = ort.InferenceSession(path)
    ids, mask = torch.randint(0, config.vocab_size, (2, 9)), torch.ones(2, 9, dtype=torch.long)
    positions = torch.arange(9)[None].repeat(2, 1)
    empty = np.zeros((2, config.num_key_value_heads, 0, config.hidden_size // config.num_attention_heads), np.float32)
    feeds = {"input_ids": ids.numpy(), "attention_mask": mask.numpy(), "position_ids": positions.numpy()}
    feeds |= {value.name: empty for value in session.get_inputs() if value.name.startswith("past")}
    got = session.run(["logits"], feeds)[0]
    want = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits.detach().numpy()
    return {"file": path, "bytes": os.path.getsize(path), "max_abs_diff": float(np.abs(got - want).max()),
            "top1_agreement": float((got.argmax(-1) == want.argmax(-1)).mean())}


def main(source: str, destination: str) -> None:
    os.makedirs(f"{destination}/onnx", exist_ok=True)
    model = LlamaForCausalLM.from_pretrained(source, attn_implementation="eager").float().eval()
    plain, quantized = f"{destination}/onnx/model.onnx", f"{destination}/onnx/model_quantized.onnx"
    export(model, plain)
    quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True,
                     extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True})
    for path in (plain, quantized):
        print(json.dumps(check(model, path)))
    config = json.loads(model.config.to_json_string()) | {"torch_dtype": "float32"}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "pad_token": END, "unk_token": END,
                 "model_max_length": 512, "clean_up_tokenization_spaces": False}
    for name, content in (("config", config), ("generation_config", ends), ("tokenizer_config", tokenizer)):
        with open(f"{destination}/{name}.json", "w") as file:
            json.dump(content, file, indent=1)
    shutil.copy(f"{source}/tokenizer.json", f"{destination}/tokenizer.json")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
