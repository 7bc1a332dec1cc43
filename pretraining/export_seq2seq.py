"""Exports a T5 checkpoint in the transformers.js layout: `python3 export_seq2seq.py CHECKPOINT DESTINATION [REFERENCE.json]`.

Writes onnx/encoder_model.onnx and onnx/decoder_model_merged.onnx (optimum's layout: one If on use_cache_branch), their q8 and q4 copies,
and the small JSON files beside them. REFERENCE.json gets torch's own numbers for a few rows, so that onnxruntime can be held against them
(test/unit/tiny-seq2seq.test.ts does). Needs torch (1.13 or later) and onnx.
"""
import copy
import inspect
import io
import json
import os
import shutil
import sys

import numpy as np
import onnx
import torch
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from quantize import quantize
from quantize4 import quantize4
from t5 import T5

OPSET, PAD, END = 17, "<pad>", "</s>"
LOGITS_KEPT, MOST_TOKENS = 200, 12  # of the reference
SIDES = [f"{side}.{kind}" for side in ("decoder", "encoder") for kind in ("key", "value")]
SOURCE = {0: "batch_size", 1: "encoder_sequence_length"}
TARGET = {0: "batch_size", 1: "decoder_sequence_length"}


class Encoder(torch.nn.Module):
    def __init__(self, model: T5):
        super().__init__()
        self.shared, self.encoder = model.shared, model.encoder

    def forward(self, input_ids, attention_mask):
        return self.encoder.encode(self.shared(input_ids), attention_mask)


class Decoder(torch.nn.Module):
    """Without a past -> logits and, a layer at a time, the four tensors of the cache."""

    def __init__(self, model: T5):
        super().__init__()
        self.model = model

    def forward(self, encoder_attention_mask, input_ids, encoder_hidden_states):
        hidden, present = self.model.decoder.decode(self.model.shared(input_ids), encoder_hidden_states, encoder_attention_mask)
        return (self.model.logits(hidden), *(tensor for layer in present for tensor in layer))


class DecoderWithPast(torch.nn.Module):
    """-> logits and each layer's decoder key and value. The encoder's don't change."""

    def __init__(self, model: T5):
        super().__init__()
        self.model = model

    def forward(self, encoder_attention_mask, input_ids, *past):
        layers = [past[at:at + 4] for at in range(0, len(past), 4)]
        hidden, present = self.model.decoder.decode(self.model.shared(input_ids), None, encoder_attention_mask, layers)
        return (self.model.logits(hidden), *(tensor for layer in present for tensor in layer[:2]))


def trace(module: torch.nn.Module, arguments: tuple, inputs: list[str], outputs: list[str], axes: dict) -> ModelProto:
    file = io.BytesIO()
    # Newer torch would take another exporter, whose graphs differ; older torch does not know the option.
    choice = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(module, arguments, file, opset_version=OPSET, input_names=inputs, output_names=outputs, dynamic_axes=axes, **choice)
    return onnx.load_from_string(file.getvalue())


class SharedWeights:
    """The initializers of several exports of one model: each content once, named like the model's parameter."""

    def __init__(self, model: torch.nn.Module, table: str = "shared.weight"):
        """table: the parameter that is embedding and head."""
        self.table = table
        self.parameters = {}  # content -> parameter, and whether it is stored transposed
        for name, tensor in model.state_dict().items():
            self.parameters[self.key(tensor.t().numpy())] = name, tensor.ndim == 2
            self.parameters[self.key(tensor.numpy())] = name, False
        self.tensors: dict[str, TensorProto] = {}

    @staticmethod
    def key(array: np.ndarray) -> tuple:
        return array.shape, array.dtype.str, np.ascontiguousarray(array).tobytes()

    def take_from(self, graph: GraphProto) -> None:
        """Moves the graph's initializers here. A tied head's copy of the table becomes Transpose(table)."""
        renamed = {}
        for tensor in graph.initializer:
            array = numpy_helper.to_array(tensor)
            name, transposed = self.parameters.get(self.key(array), (f"{graph.name}.{tensor.name}", False))
            if transposed and name == self.table:
                graph.node.insert(0, helper.make_node("Transpose", [name], [tensor.name], "lm_head.Transpose", perm=[1, 0]))
                continue
            if transposed:
                name += ".transposed"
            if name not in self.tensors:
                self.tensors[name] = numpy_helper.from_array(array, name)
            renamed[tensor.name] = name
        for node in graph.node:
            for index, name in enumerate(node.input):
                node.input[index] = renamed.get(name, name)
        del graph.initializer[:]


def finish(graph: GraphProto, weights: SharedWeights) -> ModelProto:
    graph.initializer.extend(weights.tensors.values())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="promptlathe/pretraining")
    onnx.checker.check_model(model)
    return model


def encoder_model(model: T5, ids: torch.Tensor, mask: torch.Tensor) -> ModelProto:
    names = ["input_ids", "attention_mask"]
    axes = dict.fromkeys([*names, "last_hidden_state"], SOURCE)
    graph, weights = trace(Encoder(model), (ids, mask), names, ["last_hidden_state"], axes).graph, SharedWeights(model)
    weights.take_from(graph)
    graph.name = "encoder"
    return finish(graph, weights)


def decoder_model(model: T5, ids: torch.Tensor, mask: torch.Tensor) -> ModelProto:
    layers, heads, width = model.config["num_decoder_layers"], model.config["num_heads"], model.config["d_kv"]
    names = [f"{layer}.{side}" for layer in range(layers) for side in SIDES]
    past_names, present_names = [f"past_key_values.{name}" for name in names], [f"present.{name}" for name in names]
    hidden = model.encoder.encode(model.shared(ids), mask)
    target, step = torch.tensor([[0, 5, 6], [0, 7, 8]]), torch.tensor([[9, 10], [11, 12]])
    length = {name: "past_decoder_sequence_length" if ".decoder." in name else "encoder_sequence_length_out" for name in past_names}
    axes = {"encoder_attention_mask": SOURCE, "encoder_hidden_states": SOURCE, "input_ids": TARGET, "logits": TARGET}
    axes |= {name: {0: "batch_size", 2: length[name]} for name in past_names}
    axes |= {name: {0: "batch_size", 2: "total_decoder_sequence_length" if ".decoder." in name else "encoder_sequence_length_out"}
             for name in present_names}
    axes_of = lambda *lists: {name: axes[name] for names in lists for name in names}

    first = ["encoder_attention_mask", "input_ids", "encoder_hidden_states"]
    outputs = ["logits", *present_names]
    no_past = trace(Decoder(model), (mask, target, hidden), first, outputs, axes_of(first, outputs)).graph
    past = [tensor for layer in model.decoder.decode(model.shared(target), hidden, mask)[1] for tensor in layer]
    then = [*first[:2], *past_names]
    own = ["logits", *(name for name in present_names if ".decoder." in name)]
    with_past = trace(DecoderWithPast(model), (mask, step, *past), then, own, axes_of(then, own)).graph

    # Both branches must give every output. The encoder's cache is unchanged, so the second gives an empty tensor as optimum's
    # merge does, and whoever runs it keeps the one it has.
    for name in present_names:
        if ".encoder." in name:
            empty = numpy_helper.from_array(np.zeros((0, 1, 1, 1), np.float32))
            with_past.node.append(helper.make_node("Constant", [], [name], name, value=empty))
    declared = {value.name: value for graph in (no_past, with_past) for value in graph.input}
    results = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*TARGET.values(), model.config["vocab_size"]])]
    results += [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch_size" if ".decoder." in name else f"{name}_batch",
                heads if ".decoder." in name else f"{name}_heads", axes[name][2] if ".decoder." in name else f"{name}_length",
                width if ".decoder." in name else f"{name}_width"]) for name in present_names]
    weights = SharedWeights(model)
    for graph, name in ((no_past, "no_past"), (with_past, "with_past")):
        graph.name = name
        weights.take_from(graph)
        del graph.input[:], graph.output[:], graph.value_info[:]
        graph.output.extend(copy.deepcopy(results))
    choose = helper.make_node("If", ["use_cache_branch"], outputs, "optimum::if", then_branch=with_past, else_branch=no_past)
    inputs = [*(declared[name] for name in [*first, *past_names]), helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])]
    return finish(helper.make_graph([choose], "merged", inputs, results), weights)


def reference(model: T5, inputs: list[list[int]]) -> list[dict]:
    """What torch says to a few rows of ids: the first hidden state, a part of the start token's logits, and the greedy ids."""
    rows = []
    for ids in inputs:
        source, said = torch.tensor([ids]), [model.config["decoder_start_token_id"]]
        mask = torch.ones_like(source)
        hidden = model.encoder.encode(model.shared(source), mask)
        while len(said) <= MOST_TOKENS and (len(said) == 1 or said[-1] != model.config["eos_token_id"]):
            logits = model.logits(model.decoder.decode(model.shared(torch.tensor([said])), hidden, mask)[0])[0]
            said.append(int(logits[-1].argmax()))
        rows.append({"input_ids": ids, "first_hidden": hidden[0, 0].tolist(), "first_logits": logits[0, :LOGITS_KEPT].tolist(), "greedy": said[1:]})
    return rows


def write_json(path: str, content) -> None:
    with open(path, "w") as file:
        json.dump(content, file, indent=1)


@torch.no_grad()
def main(source: str, destination: str, reference_path: str | None = None) -> None:
    os.makedirs(f"{destination}/onnx", exist_ok=True)
    model = T5.load(source)
    ids, mask = torch.tensor([[20, 21, 22, 23, 1], [24, 25, 1, 0, 0]]), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    for name, made in (("encoder_model", encoder_model(model, ids, mask)), ("decoder_model_merged", decoder_model(model, ids, mask))):
        for suffix, file in (("", made), ("_quantized", quantize(made)), ("_q4", quantize4(made))):
            path = f"{destination}/onnx/{name}{suffix}.onnx"
            onnx.save(file, path)
            print(json.dumps({"file": path, "bytes": os.path.getsize(path)}))
    ends = {name: model.config[name] for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id")}
    write_json(f"{destination}/config.json", model.config | {"torch_dtype": "float32"})
    write_json(f"{destination}/generation_config.json", ends)
    write_json(f"{destination}/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": PAD, "model_max_length": 512,
        "additional_special_tokens": [f"<extra_id_{index}>" for index in range(16)], "clean_up_tokenization_spaces": False})
    shutil.copyfile(f"{source}/tokenizer.json", f"{destination}/tokenizer.json")
    if reference_path:
        torch.manual_seed(0)
        inputs = [[*torch.randint(18, model.config["vocab_size"], (length,)).tolist(), 1] for length in (3, 9, 30)]
        with open(reference_path, "w") as file:
            json.dump(reference(model, inputs), file)


if __name__ == "__main__":
    main(*sys.argv[1:])
