/**
 * A Program: the frozen model for one fixed input shape, as a straight list of device operations.
 *
 * This is the narrow waist between `graph` (which makes programs: cut, specialise, fuse, differentiate) and `engine`
 * (which runs them). Every value has a known shape; integer, shape and mask arithmetic has been folded away or moved to
 * `host`; every remaining op is one of `Op` below. Op names and meanings are ONNX's (opset 17) with the ONNX inputs that
 * are always constant turned into attributes; ops in COMPOSITES have no ONNX node of that form: their meaning is given
 * here, `engine/ort/lower.ts` writes them in standard ONNX, `engine/tfjs` may run each as one kernel.
 *
 * It is not an ONNX graph (that is ir.ts) and it knows nothing of batches, prompts or optimizers.
 */
import type { Tensor } from './ir'
import type { PackedFormat } from './packed'

/** Device values are float32, apart from indices (int32) and conditions (bool); constants may also be quantised bytes. */
export type ValueDType = 'float32' | 'int32' | 'bool' | 'int8' | 'uint8'

export interface ValueType {
  readonly dtype: ValueDType
  readonly dims: readonly number[]
}

interface OpOf<Name extends string, Attrs extends object = object> {
  readonly op: Name
  /** Where it came from, for messages: the ONNX node's name, or the name of the node it is the gradient of. */
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attrs: Attrs
}

/** Element-wise, one input. `Not` maps bool to bool. */
export type UnaryName =
  'Neg' | 'Abs' | 'Reciprocal' | 'Sqrt' | 'Exp' | 'Log' | 'Erf' | 'Tanh' | 'Sigmoid' | 'Relu' | 'Sin' | 'Cos' | 'Not'
/** Element-wise with numpy broadcasting. `Greater` and `Equal` give bool. */
export type BinaryName = 'Add' | 'Sub' | 'Mul' | 'Div' | 'Pow' | 'Max' | 'Min' | 'Greater' | 'Equal'

export type StandardOp =
  | OpOf<UnaryName>
  | OpOf<BinaryName>
  /** (condition bool, x, y), broadcasting. */
  | OpOf<'Where'>
  /** numpy matmul with broadcasting batch dimensions; transA/transB transpose the last two dimensions first (rank >= 2). */
  | OpOf<'MatMul', { readonly transA: boolean; readonly transB: boolean }>
  | OpOf<'Softmax' | 'LogSoftmax', { readonly axis: number }>
  | OpOf<'ReduceSum' | 'ReduceMean' | 'ReduceMax', { readonly axes: readonly number[]; readonly keepdims: boolean }>
  | OpOf<'Reshape' | 'Expand', { readonly dims: readonly number[] }>
  | OpOf<'Transpose', { readonly perm: readonly number[] }>
  | OpOf<'Concat', { readonly axis: number }>
  /** Half-open [start, end) on `axis`, step 1, bounds already non-negative and clamped. */
  | OpOf<'Slice', { readonly axis: number; readonly start: number; readonly end: number }>
  /** Zeros before and after on `axis`: the gradient of Slice. */
  | OpOf<'Pad', { readonly axis: number; readonly before: number; readonly after: number }>
  /** (data, indices int32); indices non-negative. Data is a constant or fed, never differentiated through. */
  | OpOf<'Gather', { readonly axis: number }>
  /** Index of the first maximum along the last axis, int32, that axis dropped. */
  | OpOf<'ArgMax'>

export type CompositeOp =
  /** (x, scale [H], bias [H]) over the last axis: (x - mean) / sqrt(var + epsilon) * scale + bias (Ba et al. 2016). */
  | OpOf<'LayerNorm', { readonly epsilon: number }>
  /** (dy, x, scale) -> dx. */
  | OpOf<'LayerNormGrad', { readonly epsilon: number }>
  /** (x, scale [H]) over the last axis: x / sqrt(mean(x^2) + epsilon) * scale (Zhang & Sennrich 2019). */
  | OpOf<'RMSNorm', { readonly epsilon: number }>
  /** (dy, x, scale) -> dx. */
  | OpOf<'RMSNormGrad', { readonly epsilon: number }>
  /** Gelu(x); 'none' is the erf form, 'tanh' the approximation (Hendrycks & Gimpel 2016). */
  | OpOf<'Gelu', { readonly approximate: 'none' | 'tanh' }>
  /** (dy, x) -> dx. */
  | OpOf<'GeluGrad', { readonly approximate: 'none' | 'tanh' }>
  /** x * sigmoid(x). */
  | OpOf<'Silu'>
  /** (dy, x) -> dx. */
  | OpOf<'SiluGrad'>
  /** (x [..., D], cos, sin broadcastable to x): x * cos + rotate_half(x) * sin, rotate_half(x) = [-x2, x1] (Su et al. 2021). */
  | OpOf<'RotaryEmbedding'>
  /** (dy, cos, sin) -> dx = dy * cos + unrotate_half(dy * sin), unrotate_half(y) = [y2, -y1]. */
  | OpOf<'RotaryEmbeddingGrad'>
  /**
   * (q [B,N,S,D], k [B,M,T,D], v [B,M,T,E], mask?) -> (y [B,N,S,E], p [B,N,S,T]); N a multiple of M (grouped-query: query head i
   * reads key head floor(i * M / N)). p = softmax(scale * q k^T + mask), y = p v; mask is additive, broadcastable to p.
   */
  | OpOf<'Attention', { readonly scale: number }>
  /** (dy, q, k, v, p) -> (dq, dk, dv). */
  | OpOf<'AttentionGrad', { readonly scale: number }>
  /** (x [B,S,H], positions int32 [B,L]) -> [B,L,H]: row positions[b,l] of x[b]. */
  | OpOf<'GatherRows'>
  /** (dy [B,L,H], positions int32 [B,L]) -> [B,S,H]: adds each row where it was gathered; rows may repeat. */
  | OpOf<'GatherRowsGrad', { readonly sequence_length: number }>
  /** (logits [B,L,V], ids int32 [B,L], weights [B,L]) -> (loss scalar [] = sum of weights * -log softmax(logits)[ids], d_logits [B,L,V]). */
  | OpOf<'SoftmaxCrossEntropy'>
  /** (logits [B,L,V], ids int32 [B,L]) -> log softmax(logits)[ids], [B,L]. */
  | OpOf<'LabelLogProbability'>
  /** (logits [B,L,V], weights [B,L,V]) -> (loss [] = sum of weights * log softmax(logits), d_logits): a dense target, for reference checks. */
  | OpOf<'WeightedLogSoftmax'>
  /**
   * A q8 linear layer (quantize_dynamic): (x [...,K], w [K,N] int8|uint8, w_scale [1] or [N], w_zero_point same length). With
   * `simulate_rounding`, x is rounded as DynamicQuantizeLinear does (uint8, one scale for the whole tensor), so that the result
   * is what onnxruntime computes; without, x stays float.
   */
  | OpOf<'DynamicQuantizedMatMul', { readonly simulate_rounding: boolean }>
  /** (dy [...,N], w, w_scale, w_zero_point) -> dx [...,K] = dy ((w - zp) * scale)^T: straight through the rounding of x. */
  | OpOf<'DynamicQuantizedMatMulGrad'>
  /**
   * A linear layer whose weight stays packed (q4, q8 without rounding, bnb4): (x [...,K], codes uint8|int8, scales, zero_points?) -> x w, w the
   * [K,N] matrix that packed.ts makes of the codes. `scales` (and `zero_points`: uint8, int8 or float32) hold one number a block, of any shape.
   */
  | OpOf<'PackedMatMul', PackedFormat>
  /** (dy [...,N], codes, scales, zero_points?) -> dx [...,K] = dy w^T. */
  | OpOf<'PackedMatMulGrad', PackedFormat>
  /** (x, after) -> x as it is, of any type; `after` is not read, but computed first: what is made of the result can't be made earlier. */
  | OpOf<'Barrier'>

export type Op = StandardOp | CompositeOp
export type OpName = Op['op']
/** The member of Op that has this name, also where several names share one member (Extract would find none of those). */
export type OpNamed<Name extends OpName, Member extends Op = Op> = Member extends Op
  ? Name extends Member['op']
    ? Member
    : never
  : never

/** Ops whose meaning is defined here and not by ONNX. */
export const COMPOSITES = [
  'LayerNorm',
  'LayerNormGrad',
  'RMSNorm',
  'RMSNormGrad',
  'Gelu',
  'GeluGrad',
  'Silu',
  'SiluGrad',
  'RotaryEmbedding',
  'RotaryEmbeddingGrad',
  'Attention',
  'AttentionGrad',
  'GatherRows',
  'GatherRowsGrad',
  'SoftmaxCrossEntropy',
  'LabelLogProbability',
  'WeightedLogSoftmax',
  'DynamicQuantizedMatMul',
  'DynamicQuantizedMatMulGrad',
  'PackedMatMul',
  'PackedMatMulGrad',
  'Barrier',
] as const satisfies readonly CompositeOp['op'][]

export interface Program {
  /** In execution order: every input of an op is a program input, a constant, or an earlier output. */
  readonly ops: readonly Op[]
  /** Fed on every run. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /**
   * Frozen weights and folded constants. Weights are the file's own tensors, shared (by identity) among all programs of a
   * model, so an engine can keep one copy per Tensor object. A float16/bfloat16 weight is float32 by its value type: the engine expands it.
   */
  readonly constants: ReadonlyMap<string, Tensor>
  /** Shape and type of every name above and of every op output. */
  readonly values: ReadonlyMap<string, ValueType>
}
