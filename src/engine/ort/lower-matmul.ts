/**
 * Matrix products. onnxruntime's MatMul and com.microsoft FusedMatMul hand transposition to the matrix kernel, and take
 * [..., M, K] times [K, N] as one product of [... * M, K] rows: nothing is transposed or copied at run time.
 */
import type { OpNamed } from '../../graph/program'
import { float, int, MICROSOFT, type GraphBuilder } from './graph-builder'

export interface MatMulOptions {
  readonly transA?: boolean
  readonly transB?: boolean
  /** Factor on the product, free of charge. */
  readonly alpha?: number
  readonly outputs?: readonly string[]
}

/** alpha * a b over the last two axes, batch axes broadcast. */
export function matMul(builder: GraphBuilder, a: string, b: string, options: MatMulOptions = {}): string {
  const { transA = false, transB = false, alpha = 1, outputs } = options
  const named = outputs ? { outputs } : {}
  if (!transA && !transB && alpha === 1) return builder.node('MatMul', [a, b], named)
  const attributes = { transA: int(Number(transA)), transB: int(Number(transB)), alpha: float(alpha) }
  return builder.node('FusedMatMul', [a, b], { ...named, attributes, domain: MICROSOFT })
}

export function lowerMatMul(op: OpNamed<'MatMul'>, builder: GraphBuilder): void {
  matMul(builder, builder.input(op, 0), builder.input(op, 1), { ...op.attrs, outputs: op.outputs })
}
