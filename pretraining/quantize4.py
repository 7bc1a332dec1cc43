"""Makes a q4 file of a float32 ONNX model: `python3 quantize4.py MODEL.onnx MODEL_q4.onnx`. Needs onnx and numpy only.

Like quantize.py, but MatMul with a stored matrix becomes com.microsoft's MatMulNBits (4 bits, blocks of 32 along the inputs, an unsigned value less
8 times the block's scale; activations stay float32), which is what transformers.js loads as dtype q4. The embedding table is int8.
"""
import sys
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from quantize import Quantizer, keep_used

BLOCK, ZERO = 32, 8


def packed(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[inputs, outputs] -> uint8 [outputs, blocks, BLOCK / 2], the earlier value in the low bits, and scales [outputs * blocks]."""
    inputs, outputs = weight.shape
    blocks = -(-inputs // BLOCK)
    rows = np.zeros((outputs, blocks * BLOCK), np.float32)
    rows[:, :inputs] = weight.T
    rows = rows.reshape(outputs, blocks, BLOCK)
    # The value furthest from zero becomes -8: that end of the range has one step more.
    furthest = np.take_along_axis(rows, np.abs(rows).argmax(-1)[..., None], -1)
    scale = furthest / -ZERO
    scale[scale == 0] = 1
    values = np.clip(np.rint(rows / scale) + ZERO, 0, 15).astype(np.uint8)
    return values[..., 0::2] | values[..., 1::2] << 4, scale.reshape(-1).astype(np.float32)


class Quantizer4(Quantizer):
    def matmul(self, node: NodeProto, name: str, weight: np.ndarray, rounded: set[str]) -> Iterator[NodeProto]:
        values, scales = f"{name}_Q4", f"{name}_scales"
        if name not in self.made:
            self.made.add(name)
            for label, array in zip((values, scales), packed(weight)):
                self.graph.initializer.append(numpy_helper.from_array(array, label))
        yield helper.make_node("MatMulNBits", [node.input[0], values, scales], list(node.output), f"{node.name}_Q4", domain="com.microsoft",
                               K=weight.shape[0], N=weight.shape[1], bits=4, block_size=BLOCK, accuracy_level=0)

    def weights_only(self, node: NodeProto, weight: np.ndarray) -> Iterator[NodeProto]:
        return self.matmul(node, node.input[1], weight, set())


def quantize4(model: ModelProto) -> ModelProto:
    """A q4 copy. Weights are the outermost graph's initializers."""
    copy = ModelProto()
    copy.CopyFrom(model)
    Quantizer4(copy).rewrite(copy.graph)
    copy.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    keep_used(copy)
    return copy  # onnx's checker does not know the op


if __name__ == "__main__":
    onnx.save(quantize4(onnx.load(sys.argv[1])), sys.argv[2])
