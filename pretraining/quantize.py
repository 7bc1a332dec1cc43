"""Makes a q8 file of a float32 ONNX model: `python3 quantize.py MODEL.onnx MODEL_quantized.onnx`. Needs onnx and numpy only.

The graph onnxruntime's quantize_dynamic makes (IntegerOps, int8, per channel, reduced range, MatMulConstBOnly), which is what transformers.js loads
as dtype q8, also inside subgraphs:

    MatMul(x, W)  ->  DynamicQuantizeLinear(x) -> MatMulInteger(x, W) -> Cast -> Mul(x_scale * W_scale)
    Gather(table) ->  Gather(int8 table) -> DequantizeLinear, one scale for the table

Three differences: small tables (T5's relative position buckets) stay float32; a tied head, MatMul(x, Transpose(table)), gets its own int8 copy with a
scale per token, for the table's single scale costs it accuracy; and where x is a product itself (a gated feed-forward layer's activation
times its gate, whose few large values leave 8 bits too coarse for the others) it stays float32, with int8 weights that use the whole range, except
in subgraphs:

    MatMul(a * b, W)  ->  MatMul(a * b, DequantizeLinear(int8 W)), one scale for a column
"""
import sys
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

SMALLEST_TABLE = 16_384  # bytes as float32
REDUCED_RANGE, FULL_RANGE = 64, 127  # MatMulInteger's sums of 8-bit products saturate on older CPUs if weights use all 8 bits


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    return (attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH)


def gated(graph: GraphProto) -> set[str]:
    """Products of two linear layers' results, one through an activation: outputs of Mul whose inputs are both computed and both wide."""
    makers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    products = set()
    for node in graph.node:
        if node.op_type != "Mul" or any(name in weights or name not in makers for name in node.input):
            continue
        if any(makers[name].op_type == "MatMul" for name in node.input):  # the gate has no activation of its own
            products.add(node.output[0])
    return products


class Quantizer:
    def __init__(self, model: ModelProto):
        self.graph = model.graph
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
        self.made: set[str] = set()

    def store(self, name: str, weight: np.ndarray, axis: int | None, steps: int) -> tuple[str, str, str]:
        """Symmetric int8 of `weight`, a scale per index of `axis` or one for all -> names of values, scale and zero point."""
        names = f"{name}_quantized", f"{name}_scale", f"{name}_zero_point"
        if name not in self.made:
            self.made.add(name)
            others = tuple(at for at in range(weight.ndim) if at != axis) if axis is not None else None
            scale = (np.abs(weight).max(axis=others) / steps).astype(np.float32)
            scale = np.where(scale == 0, np.float32(1), scale)
            spread = scale if axis is None else np.expand_dims(scale, others)
            values = np.clip(np.rint(weight / spread), -steps, steps).astype(np.int8)
            for label, array in zip(names, (values, scale, np.zeros(scale.shape, np.int8))):
                self.graph.initializer.append(numpy_helper.from_array(array, label))
        return names

    def matmul(self, node: NodeProto, name: str, weight: np.ndarray, rounded: set[str]) -> Iterator[NodeProto]:
        """rounded: the inputs this graph has quantized already."""
        values, scale, zero = self.store(name, weight, 1, REDUCED_RANGE)
        x, label, output = node.input[0], node.name, node.output[0]
        x8 = [f"{x}_quantized", f"{x}_scale", f"{x}_zero_point"]
        if x not in rounded:
            rounded.add(x)
            yield helper.make_node("DynamicQuantizeLinear", [x], x8, f"{x}_QuantizeLinear")
        whole, cast, scales = f"{output}_output_quantized", f"{output}_output_quantized_cast_output", f"{label}_quant_scales_mul"
        yield helper.make_node("MatMulInteger", [x8[0], values, x8[2], zero], [whole], f"{label}_quant")
        yield helper.make_node("Cast", [whole], [cast], f"{whole}_cast", to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [x8[1], scale], [f"{scales}:0"], scales)
        yield helper.make_node("Mul", [cast, f"{scales}:0"], [output], f"{label}_quant_output_scale_mul")

    def weights_only(self, node: NodeProto, weight: np.ndarray) -> Iterator[NodeProto]:
        name = node.input[1]
        floats = f"{node.name}_weight"
        yield helper.make_node("DequantizeLinear", [*self.store(name, weight, 1, FULL_RANGE)], [floats], f"{floats}_DequantizeLinear", axis=1)
        yield helper.make_node("MatMul", [node.input[0], floats], list(node.output), node.name)

    def gather(self, node: NodeProto) -> Iterator[NodeProto]:
        table, output = node.input[0], node.output[0]
        values, scale, zero = self.store(table, numpy_helper.to_array(self.weights[table]), None, FULL_RANGE)
        yield helper.make_node("Gather", [values, node.input[1]], [f"{output}_quantized"], f"{node.name}_quant", axis=0)
        yield helper.make_node("DequantizeLinear", [f"{output}_quantized", scale, zero], [output], f"{output}_DequantizeLinear")

    def replace(self, node: NodeProto, transposed: dict[str, str], products: set[str], rounded: set[str]) -> Iterator[NodeProto]:
        if node.op_type == "MatMul" and node.input[1] in transposed:
            table = transposed[node.input[1]]
            return self.matmul(node, f"{table}_transposed", numpy_helper.to_array(self.weights[table]).T, rounded)
        if node.op_type == "MatMul" and node.input[1] in self.weights:
            weight = numpy_helper.to_array(self.weights[node.input[1]])
            return self.weights_only(node, weight) if node.input[0] in products else self.matmul(node, node.input[1], weight, rounded)
        if node.op_type == "Gather" and node.input[0] in self.weights:
            table = self.weights[node.input[0]]
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
            if axis == 0 and len(table.dims) == 2 and 4 * np.prod(table.dims) >= SMALLEST_TABLE:
                return self.gather(node)
        return iter([node])

    def rewrite(self, graph: GraphProto, outermost: bool = True) -> None:
        transposed = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] in self.weights}
        # onnxruntime 1.2x fuses this pattern, looks for the weight in the subgraph itself and fails.
        products = gated(graph) if outermost else set()
        rounded: set[str] = set()
        nodes = []
        for node in graph.node:
            for inner in subgraphs(node):
                self.rewrite(inner, False)
            nodes += self.replace(node, transposed, products, rounded)
        used = used_names(nodes) | {value.name for value in graph.output}
        nodes = [node for node in nodes if node.op_type != "Transpose" or node.output[0] in used]
        del graph.node[:]
        graph.node.extend(nodes)


def used_names(nodes: list[NodeProto]) -> set[str]:
    names = {name for node in nodes for name in node.input}
    return names.union(*(used_names(list(graph.node)) for node in nodes for graph in subgraphs(node)))


def keep_used(model: ModelProto) -> None:
    """Drops the initializers that no node reads."""
    used = used_names(list(model.graph.node))
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def quantize(model: ModelProto) -> ModelProto:
    """A q8 copy. Weights are the outermost graph's initializers."""
    copy = ModelProto()
    copy.CopyFrom(model)
    Quantizer(copy).rewrite(copy.graph)
    keep_used(copy)
    onnx.checker.check_model(copy)
    return copy


if __name__ == "__main__":
    onnx.save(quantize(onnx.load(sys.argv[1])), sys.argv[2])
