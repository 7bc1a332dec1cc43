/**
 * Collects the ONNX nodes and initializers a Program is lowered to. It knows names, attributes and small constants; what
 * an op means in ONNX is said in lower.ts and the lower-*.ts files.
 */
import { elementCount, type Attribute, type Node, type Tensor } from '../../graph/ir'
import type { Op, Program, ValueType } from '../../graph/program'
import { fromFloat32, fromIntegers, toFloat32, toIntegerArray, viewAs } from '../../graph/tensor'
import { EngineError } from '../engine'

/** onnxruntime's own operator set, built into every onnxruntime. */
export const MICROSOFT = 'com.microsoft'

export const int = (value: number): Attribute => ({ type: 'int', value })
export const float = (value: number): Attribute => ({ type: 'float', value })
export const ints = (value: readonly number[]): Attribute => ({ type: 'ints', value })

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>
  readonly domain?: string
  /** Names of the outputs; one fresh name if absent. */
  readonly outputs?: readonly string[]
}

/** Weights up to this many elements (norms, biases) are expanded once for all who read them. */
const SHARED_ELEMENTS = 2 ** 15

export function isHalf({ dtype }: Tensor): boolean {
  return dtype === 'float16' || dtype === 'bfloat16'
}

export class GraphBuilder {
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, Tensor>()
  private readonly memo = new Map<string, string>()
  private readonly taken: Set<string>
  private fresh = 0
  /** Name of the op being lowered: every node carries it, so that onnxruntime's messages lead back to the model. */
  private origin = ''

  constructor(readonly program: Program) {
    this.taken = new Set(program.values.keys())
  }

  begin(op: Op): void {
    this.origin = op.name
  }

  /** A node; returns its first output. */
  node(op_type: string, inputs: readonly string[], options: NodeOptions = {}): string {
    const outputs = options.outputs ?? [this.freshName()]
    this.nodes.push({
      op_type,
      domain: options.domain ?? '',
      // onnxruntime wants every name once.
      name: `${this.origin}/${op_type}#${this.nodes.length}`,
      inputs: inputs.map((name) => this.emitted(name)),
      outputs,
      attributes: new Map(Object.entries(options.attributes ?? {})),
    })
    const [first] = outputs
    if (first === undefined) throw new EngineError(`${op_type} '${this.origin}' has no output`)
    return first
  }

  /**
   * A node on weights alone, for the one product that is emitted next: it runs just before that (see `lastFirst` in lower.ts), and no equal
   * node is shared with it (see ort-session.ts).
   */
  expanding(op_type: string, inputs: readonly string[], attributes: NodeOptions['attributes'] = {}): string {
    return this.node(op_type, inputs, { attributes })
  }

  freshName(): string {
    for (;;) {
      const name = `_${this.fresh++}`
      if (!this.taken.has(name)) return name
    }
  }

  /** What `make` returned for this key before, so that ops share sub-expressions. */
  shared(key: string, make: () => string): string {
    const known = this.memo.get(key)
    if (known !== undefined) return known
    const made = make()
    this.memo.set(key, made)
    return made
  }

  /** Lets later ops find a value under a key of `shared`. */
  remember(key: string, name: string): void {
    if (!this.memo.has(key)) this.memo.set(key, name)
  }

  recall(key: string): string | undefined {
    return this.memo.get(key)
  }

  /** Type of a value of the program. */
  type(name: string): ValueType {
    const type = this.program.values.get(name)
    if (!type) throw new EngineError(`'${this.origin}': the program does not say what '${name}' is`)
    return type
  }

  dims(name: string): readonly number[] {
    return this.type(name).dims
  }

  isConstant(name: string): boolean {
    return this.program.constants.has(name)
  }

  /** Input `i` of an op. */
  input(op: Op, i: number): string {
    const name = op.inputs[i]
    if (name === undefined) throw new EngineError(`${op.op} '${op.name}' lacks input ${i}`)
    return name
  }

  /** Output `i` of an op. */
  output(op: Op, i: number): string {
    const name = op.outputs[i]
    if (name === undefined) throw new EngineError(`${op.op} '${op.name}' lacks output ${i}`)
    return name
  }

  /** A small int64 constant: shapes and axes, which ONNX wants as int64. */
  int64s(values: readonly number[]): string {
    return this.shared(`int64 ${values.join()}`, () => this.initializer(fromIntegers('int64', [values.length], values)))
  }

  int32s(dims: readonly number[], values: readonly number[]): string {
    return this.shared(`int32 [${dims.join()}] ${values.join()}`, () => this.initializer(fromIntegers('int32', dims, values)))
  }

  /** A float32 scalar. */
  scalar(value: number): string {
    return this.shared(`float32 ${value}`, () => this.initializer(fromFloat32([], Float32Array.of(value))))
  }

  float32s(dims: readonly number[], values: readonly number[]): string {
    return this.shared(`float32 [${dims.join()}] ${values.join()}`, () =>
      this.initializer(fromFloat32(dims, Float32Array.from(values))),
    )
  }

  /** `x` with other dims; `x` itself if they are what it has and no output is named. */
  reshape(x: string, from: readonly number[], to: readonly number[], outputs?: readonly string[]): string {
    if (!outputs && sameDims(from, to)) return x
    return this.node('Reshape', [x, this.int64s(to)], { ...allowZero(to), ...(outputs && { outputs }) })
  }

  /** A tensor as an initializer, once for each key. */
  held(key: string, tensor: Tensor): string {
    return this.shared(`held ${key}`, () => this.initializer(tensor))
  }

  private initializer(tensor: Tensor): string {
    const name = this.freshName()
    this.initializers.set(name, tensor)
    return name
  }

  /** The name under which a node can read a value: puts a constant of the program into the model when it is first used. */
  private emitted(name: string): string {
    const tensor = this.program.constants.get(name)
    if (!tensor || this.initializers.has(name)) return name
    const { dtype, dims } = this.type(name)
    if (tensor.dtype === dtype && sameDims(tensor.dims, dims)) {
      this.initializers.set(name, tensor)
      return name
    }
    // What is expanded anew at every use is not shared.
    if (isHalf(tensor) && elementCount(dims) > SHARED_ELEMENTS) return this.converted(name, tensor, { dtype, dims })
    return this.shared(`constant ${name}`, () => this.converted(name, tensor, { dtype, dims }))
  }

  /** A constant whose type in the file is not its type on the device. */
  private converted(name: string, tensor: Tensor, { dtype, dims }: ValueType): string {
    if (elementCount(tensor.dims) !== elementCount(dims)) {
      throw new EngineError(
        `'${this.origin}': constant '${name}' is [${tensor.dims.join(', ')}], the program says [${dims.join(', ')}]`,
      )
    }
    if (dtype !== 'float32') return this.initializer(fromIntegers(dtype, dims, toIntegerArray(tensor)))
    if (!isHalf(tensor)) return this.initializer(fromFloat32(dims, toFloat32(tensor)))
    // The file's own bytes go in and are expanded for the node that reads them: no other copy stays.
    if (tensor.dtype === 'float16') {
      // A Cast of an initializer itself onnxruntime computes while it loads, whatever is disabled: 6 times the memory. Of a view it doesn't.
      const flat = this.held(`half ${name}`, viewAs(tensor, [elementCount(dims)]))
      const half = this.expanding('Reshape', [flat, this.int64s(dims)])
      return this.expanding('Cast', [half], { to: int(FLOAT) })
    }
    // onnxruntime's CPU provider has no Cast from bfloat16.
    const bits = this.held(`half ${name}`, viewAs(tensor, dims, 'uint16'))
    const table = this.shared('bfloat16 values', () => this.initializer(fromFloat32([65536], bfloat16Values())))
    return this.expanding('Gather', [table, this.expanding('Cast', [bits], { to: int(INT32) })])
  }
}

/** The number each 16 bits stand for. */
function bfloat16Values(): Float32Array {
  return new Float32Array(Uint32Array.from({ length: 65536 }, (_, bits) => bits << 16).buffer)
}

/** TensorProto.DataType, for Cast. */
export const FLOAT = 1
export const INT32 = 6
export const BOOL = 9

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}

/** Size of the last axis. */
export function lastOf(dims: readonly number[]): number {
  return dims.at(-1) ?? 1
}

/** Without allowzero a 0 in the shape means "as in the input". */
function allowZero(to: readonly number[]): NodeOptions {
  return to.includes(0) ? { attributes: { allowzero: int(1) } } : {}
}
