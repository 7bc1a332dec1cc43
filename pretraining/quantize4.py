"""Makes a q4 file of a float32 ONNX model: `python3 quantize4.py MODEL.onnx MODEL_q4.onnx`. Needs onnx and numpy only.

MatMul with a stored matrix becomes com.microsoft's MatMulNBits (4 bits, blocks of 32 along the inputs, an unsigned value less 8 times the block's
scale), what transformers.js loads as dtype q4, also inside subgraphs. The embedding table stays float32; a tied head, MatMul(x, Transpose(table)),
gets a copy of 4 bits.
"""
import sys
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from quantize import subgraphs, used_names

BLOCK, ZERO = 32, 8


def packed(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[inputs, outputs] -> uint8 [outputs, blocks, BLOCK / 2], the earlier value in the low bits, and scales [outputs * blocks]."""
    inputs, outputs = weight.shape
    blocks = -(-inputs // BLOCK)
    rows = np.zeros((outputs, blocks * BLOCK), np.float32)
    rows[:, :inputs] = weight.T
    rows = rows.reshape(outputs, blocks, BLOCK)
    # The value furthest from zero gets -8, the one end of the range that has 8 steps.
    furthest = np.take_along_axis(rows, np.abs(rows).argmax(-1)[..., None], -1)
    scale = furthest / -ZERO
    scale[scale == 0] = 1
    values = np.clip(np.rint(rows / scale) + ZERO, 0, 15).astype(np.uint8)
    return values[..., 0::2] | values[..., 1::2] << 4, scale.reshape(-1).astype(np.float32)


class Quantizer:
    def __init__(self, model: ModelProto):
        self.graph = model.graph
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
        self.made: set[str] = set()

    def matmul(self, node: NodeProto, name: str, weight: np.ndarray) -> NodeProto:
        values, scales = f"{name}_Q4", f"{name}_scales"
        if name not in self.made:
            self.made.add(name)
            for label, array in zip((values, scales), packed(weight)):
                self.graph.initializer.append(numpy_helper.from_array(array, label))
        return helper.make_node("MatMulNBits", [node.input[0], values, scales], list(node.output), f"{node.name}_Q4", domain="com.microsoft",
                                K=weight.shape[0], N=weight.shape[1], bits=4, block_size=BLOCK, accuracy_level=0)

    def replace(self, node: NodeProto, transposed: dict[str, str]) -> NodeProto:
        if node.op_type == "MatMul" and node.input[1] in transposed:
            table = transposed[node.input[1]]
            return self.matmul(node, f"{table}_transposed", numpy_helper.to_array(self.weights[table]).T)
        if node.op_type == "MatMul" and node.input[1] in self.weights and len(self.weights[node.input[1]].dims) == 2:
            return self.matmul(node, node.input[1], numpy_helper.to_array(self.weights[node.input[1]]))
        return node

    def rewrite(self, graph: GraphProto) -> None:
        transposed = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] in self.weights}
        nodes = []
        for node in graph.node:
            for inner in subgraphs(node):
                self.rewrite(inner)
            nodes.append(self.replace(node, transposed))
        used = used_names(nodes) | {value.name for value in graph.output}
        kept: Iterator[NodeProto] = (node for node in nodes if node.op_type != "Transpose" or node.output[0] in used)
        nodes = list(kept)
        del graph.node[:]
        graph.node.extend(nodes)


def quantize4(model: ModelProto) -> ModelProto:
    """A q4 copy. Weights are the outermost graph's initializers."""
    copy = ModelProto()
    copy.CopyFrom(model)
    Quantizer(copy).rewrite(copy.graph)
    copy.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    used = used_names(list(copy.graph.node))
    kept = [tensor for tensor in copy.graph.initializer if tensor.name in used]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    return copy  # onnx's checker does not know the op


if __name__ == "__main__":
    onnx.save(quantize4(onnx.load(sys.argv[1])), sys.argv[2])
