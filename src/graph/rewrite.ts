/**
 * What every transformation of Programs shares: reading one by use and definition (ProgramView), writing one op by op with its
 * types inferred (ProgramBuilder), and the two clean-ups, dead-op and common-subexpression elimination. A transformation
 * never changes a Program; it makes a new one.
 */
import { GraphError, type Tensor } from './ir'
import { outputTypes, reducedDims, sameDims, type OpDraft } from './op-types'
import type { BinaryName, Op, OpName, OpNamed, Program, UnaryName, ValueType } from './program'
import { byteLength, fromFloat32, someBytes, toFloat32 } from './tensor'

/** A Program with its definitions and uses indexed. */
export class ProgramView {
  private readonly producers = new Map<string, Op>()
  private readonly users = new Map<string, Op[]>()

  constructor(readonly program: Program) {
    for (const op of program.ops) {
      for (const output of op.outputs) this.producers.set(output, op)
      for (const input of new Set(op.inputs)) {
        const users = this.users.get(input)
        if (users) users.push(op)
        else this.users.set(input, [op])
      }
    }
  }

  /** @throws GraphError for a name the program does not know */
  type(value: string): ValueType {
    return typeOf(this.program.values, value)
  }

  dims(value: string): readonly number[] {
    return this.type(value).dims
  }

  /** The op that computes a value; undefined for inputs and constants. */
  producer(value: string | undefined): Op | undefined {
    return value === undefined ? undefined : this.producers.get(value)
  }

  /** The op that computes a value as its first output, if it is one of `names`. */
  made<Name extends OpName>(value: string | undefined, ...names: Name[]): OpNamed<Name> | undefined {
    const op = this.producer(value)
    return op !== undefined && op.outputs[0] === value && isOneOf(op, names) ? op : undefined
  }

  consumers(value: string): readonly Op[] {
    return this.users.get(value) ?? []
  }

  isConstant(value: string): boolean {
    return this.program.constants.has(value)
  }

  /** The number in a float constant of one element (of any rank). */
  scalar(value: string | undefined): number | undefined {
    const tensor = value === undefined ? undefined : this.program.constants.get(value)
    if (!tensor || tensor.dims.some((dim) => dim !== 1) || value === undefined) return undefined
    return this.type(value).dtype === 'float32' ? toFloat32(tensor)[0] : undefined
  }

  /** All values that depend on one of `sources` through float values. Integers and conditions carry no gradient. */
  dependents(sources: Iterable<string>): Set<string> {
    const dependent = new Set(sources)
    for (const op of this.program.ops) {
      if (!op.inputs.some((input) => dependent.has(input))) continue
      for (const output of op.outputs) if (this.type(output).dtype === 'float32') dependent.add(output)
    }
    return dependent
  }
}

function isOneOf<Name extends OpName>(op: Op, names: readonly Name[]): op is OpNamed<Name> {
  return names.some((name) => name === op.op)
}

function typeOf(values: ReadonlyMap<string, ValueType>, name: string): ValueType {
  const type = values.get(name)
  if (!type) throw new GraphError(`the program has no value '${name}'`)
  return type
}

/** Both orders of the operands of a commutative op, so that a pattern is written once. */
export function operandOrders(op: Op): readonly (readonly [string, string])[] {
  const [a, b] = op.inputs
  if (a === undefined || b === undefined) return []
  return a === b ? [[a, b]] : [[a, b], [b, a]] // prettier-ignore
}

/**
 * Collects the ops of a new program. Methods that emit an op return the name of its (first) output; `label` is the node name
 * they give it. Ops that would do nothing (a Reshape to the same shape, say) are not emitted.
 */
export class ProgramBuilder {
  /** Name of the ops emitted next, for messages. */
  label = ''
  private readonly ops: Op[] = []
  private readonly inputs: string[]
  private readonly constants: Map<string, Tensor>
  private readonly values: Map<string, ValueType>
  private readonly producers = new Map<string, Op>()
  private readonly scalars = new Map<number, string>()
  private counter = 0

  /** Starts with the inputs, constants and value types of a program; its ops only with `keepOps`. */
  constructor(program: Program, keepOps: boolean) {
    this.inputs = [...program.inputs]
    this.constants = new Map(program.constants)
    this.values = new Map(program.values)
    if (keepOps) for (const op of program.ops) this.push(op)
  }

  type(value: string): ValueType {
    return typeOf(this.values, value)
  }

  dims(value: string): readonly number[] {
    return this.type(value).dims
  }

  producer(value: string): Op | undefined {
    return this.producers.get(value)
  }

  /** Adds an op as it is; the types of its outputs are already known. */
  push(op: Op): void {
    this.ops.push(op)
    for (const output of op.outputs) this.producers.set(output, op)
  }

  /** A new program input. @throws GraphError when the name is taken */
  input(name: string, type: ValueType): string {
    if (this.values.has(name)) throw new GraphError(`the program already has a value '${name}'`)
    this.inputs.push(name)
    this.values.set(name, type)
    return name
  }

  /** A name no value has yet. */
  fresh(base: string): string {
    if (!this.values.has(base)) return base
    let name: string
    do name = `${base}~${++this.counter}`
    while (this.values.has(name))
    return name
  }

  constant(tensor: Tensor, base = 'constant'): string {
    const name = this.fresh(base)
    this.constants.set(name, tensor)
    this.values.set(name, { dtype: tensor.dtype === 'bool' ? 'bool' : 'float32', dims: tensor.dims })
    return name
  }

  /** @throws GraphError for a name that is no constant */
  constantTensor(name: string): Tensor {
    const tensor = this.constants.get(name)
    if (!tensor) throw new GraphError(`'${name}' is not a constant of the program`)
    return tensor
  }

  /** A constant of the given type; the same name for the same Tensor under the same base. */
  sharedConstant(tensor: Tensor, base: string, dtype: ValueType['dtype']): string {
    if (this.constants.get(base) === tensor) return base
    const name = this.fresh(base)
    this.constants.set(name, tensor)
    this.values.set(name, { dtype, dims: tensor.dims })
    return name
  }

  /** A float32 constant of shape []. */
  scalar(value: number): string {
    const known = this.scalars.get(value)
    if (known !== undefined) return known
    const name = this.constant(fromFloat32([], Float32Array.of(value)), `scalar ${value}`)
    this.scalars.set(value, name)
    return name
  }

  /** Emits an op and names its outputs (`<label>:<op>` where no names are given); returns those names. */
  emitAll(draft: OpDraft, outputs?: readonly string[]): readonly string[] {
    const types = outputTypes(
      draft,
      draft.inputs.map((input) => this.type(input)),
    )
    const names = types.map((type, i) => {
      const name = outputs?.[i] ?? this.fresh(`${draft.name}:${draft.op}${i === 0 ? '' : `.${i}`}`)
      this.values.set(name, type)
      return name
    })
    this.push({ ...draft, outputs: names })
    return names
  }

  emit(draft: OpDraft, output?: string): string {
    const [name] = this.emitAll(draft, output === undefined ? undefined : [output])
    if (name === undefined) throw new GraphError(`${draft.op} '${draft.name}' has no output`)
    return name
  }

  unary(op: UnaryName, x: string): string {
    return this.emit({ op, name: this.label, inputs: [x], attrs: {} })
  }

  binary(op: BinaryName, a: string, b: string): string {
    return this.emit({ op, name: this.label, inputs: [a, b], attrs: {} })
  }

  add = (a: string, b: string) => this.binary('Add', a, b)
  sub = (a: string, b: string) => this.binary('Sub', a, b)
  mul = (a: string, b: string) => this.binary('Mul', a, b)
  div = (a: string, b: string) => this.binary('Div', a, b)

  /** x times a number. */
  scale(x: string, factor: number): string {
    if (factor === 1) return x
    return factor === -1 ? this.unary('Neg', x) : this.mul(x, this.scalar(factor))
  }

  where(condition: string, a: string, b: string): string {
    return this.emit({ op: 'Where', name: this.label, inputs: [condition, a, b], attrs: {} })
  }

  matMul(a: string, b: string, transA = false, transB = false): string {
    return this.emit({ op: 'MatMul', name: this.label, inputs: [a, b], attrs: { transA, transB } })
  }

  reduceSum(x: string, axes: readonly number[], keepdims: boolean): string {
    // Where only axes of length 1 go, nothing is added up.
    const kept = reducedDims(this.dims(x), axes, true)
    if (sameDims(kept, this.dims(x))) return this.reshape(x, reducedDims(kept, axes, keepdims))
    return this.emit({ op: 'ReduceSum', name: this.label, inputs: [x], attrs: { axes, keepdims } })
  }

  reshape(x: string, dims: readonly number[]): string {
    const producer = this.producers.get(x)
    const source = producer?.op === 'Reshape' ? (producer.inputs[0] ?? x) : x
    if (sameDims(this.dims(source), dims)) return source
    return this.emit({ op: 'Reshape', name: this.label, inputs: [source], attrs: { dims } })
  }

  expand(x: string, dims: readonly number[]): string {
    if (sameDims(this.dims(x), dims)) return x
    return this.emit({ op: 'Expand', name: this.label, inputs: [x], attrs: { dims } })
  }

  transpose(x: string, perm: readonly number[]): string {
    if (perm.every((axis, i) => axis === i)) return x
    return this.emit({ op: 'Transpose', name: this.label, inputs: [x], attrs: { perm } })
  }

  slice(x: string, axis: number, start: number, end: number): string {
    if (start === 0 && end === this.dims(x)[axis]) return x
    return this.emit({ op: 'Slice', name: this.label, inputs: [x], attrs: { axis, start, end } })
  }

  pad(x: string, axis: number, before: number, after: number): string {
    if (before === 0 && after === 0) return x
    return this.emit({ op: 'Pad', name: this.label, inputs: [x], attrs: { axis, before, after } })
  }

  concat(parts: readonly string[], axis: number): string {
    const [only] = parts
    if (parts.length === 1 && only !== undefined) return only
    return this.emit({ op: 'Concat', name: this.label, inputs: parts, attrs: { axis } })
  }

  /** Gives a value the name of a program output: a copy, which `tidy` turns into a plain renaming where it can. */
  outputAs(value: string, name: string): void {
    if (value === name) return
    if (this.values.has(name)) throw new GraphError(`the program already has a value '${name}'`)
    this.emit({ op: 'Reshape', name, inputs: [value], attrs: { dims: this.dims(value) } }, name)
  }

  /** The program, cleaned up. */
  finish(outputs: readonly string[]): Program {
    return tidy({ ops: this.ops, inputs: this.inputs, outputs, constants: this.constants, values: this.values })
  }
}

/** Common subexpressions merged, copies removed, and everything dropped that no output needs. Inputs stay, used or not. */
export function tidy(program: Program): Program {
  return eliminateDeadOps(renameCopiedOutputs(eliminateDeadOps(eliminateCommonSubexpressions(program))))
}

/** Drops ops, constants and value types that no output depends on. */
export function eliminateDeadOps(program: Program): Program {
  const live = new Set(program.outputs)
  const ops: Op[] = []
  for (const op of program.ops.toReversed()) {
    if (!op.outputs.some((output) => live.has(output))) continue
    ops.push(op)
    for (const input of op.inputs) live.add(input)
  }
  ops.reverse()
  const named = new Set([...live, ...program.inputs, ...ops.flatMap((op) => op.outputs)])
  return {
    ...program,
    ops,
    constants: new Map([...program.constants].filter(([name]) => live.has(name))),
    values: new Map([...program.values].filter(([name]) => named.has(name))),
  }
}

const COMMUTATIVE: ReadonlySet<OpName> = new Set<OpName>(['Add', 'Mul', 'Max', 'Min', 'Equal'])
/** Bigger constants are weights: told apart by identity alone. */
const COMPARED_BYTES = 2 ** 20

/** Computes equal ops once and keeps one of equal constants. Copies (a Reshape to the same shape) give way to their source. */
export function eliminateCommonSubexpressions(program: Program): Program {
  const outputs = new Set(program.outputs)
  const same = mergeConstants(program)
  const known = new Map<string, readonly string[]>()
  const ops: Op[] = []
  for (const op of program.ops) {
    const inputs = op.inputs.map((input) => same.get(input) ?? input)
    const [source] = inputs
    const isOutput = op.outputs.some((output) => outputs.has(output))
    if (
      op.op === 'Reshape' &&
      source !== undefined &&
      !isOutput &&
      sameDims(typeOf(program.values, source).dims, op.attrs.dims)
    ) {
      for (const output of op.outputs) same.set(output, source)
      continue
    }
    const key = JSON.stringify([op.op, op.attrs, COMMUTATIVE.has(op.op) ? inputs.toSorted() : inputs])
    const twin = known.get(key)
    if (twin && !isOutput) {
      op.outputs.forEach((output, i) => same.set(output, twin[i] ?? output))
      continue
    }
    known.set(key, twin ?? op.outputs)
    ops.push({ ...op, inputs })
  }
  return { ...program, ops }
}

/** Maps every constant that equals an earlier one (same bytes, or the same Tensor object) to that one. */
function mergeConstants(program: Program): Map<string, string> {
  const same = new Map<string, string>()
  const groups = new Map<string, [string, Tensor][]>()
  for (const [name, tensor] of program.constants) {
    const type = typeOf(program.values, name)
    const key = JSON.stringify([tensor.dtype, tensor.dims, type.dtype, type.dims, fingerprint(tensor)])
    const group = groups.get(key) ?? []
    groups.set(key, group)
    const twin = group.find(([, other]) => other === tensor || equalBytes(other, tensor))
    if (twin) same.set(name, twin[0])
    else group.push([name, tensor])
  }
  return same
}

/** Bytes a fingerprint looks at. */
const PRINTED_BYTES = 256

const prints = new WeakMap<Tensor, number>()

/**
 * Tells apart most small constants, so that a graph of a hundred thousand of them is not compared pair by pair. Kept: of a tensor that is not in
 * memory every look is a read, and programs are tidied many times.
 */
function fingerprint(tensor: Tensor): number {
  const known = prints.get(tensor)
  if (known !== undefined) return known
  let print = 0x811c9dc5
  // Large ones are weights: told apart by identity, never read.
  if (byteLength(tensor) <= COMPARED_BYTES) {
    for (const byte of someBytes(tensor, 0, Math.min(byteLength(tensor), PRINTED_BYTES)))
      print = Math.imul(print ^ byte, 0x01000193)
  }
  prints.set(tensor, print)
  return print
}

function equalBytes(first: Tensor, second: Tensor): boolean {
  // Sizes before bytes: looking at the bytes of a stored tensor reads it.
  if (byteLength(first) !== byteLength(second) || byteLength(first) > COMPARED_BYTES) return false
  const [a, b] = [first.bytes, second.bytes]
  for (let i = 0; i < a.byteLength; i++) if (a[i] !== b[i]) return false
  return true
}

/** Where an output is a copy of a value that an op computes, the op gets the output's name and the copy goes. */
function renameCopiedOutputs(program: Program): Program {
  const outputs = new Set(program.outputs)
  const computed = new Set(program.ops.flatMap((op) => op.outputs))
  const renamed = new Map<string, string>()
  const copies = new Set<Op>()
  for (const op of program.ops) {
    const [source, output] = [op.inputs[0], op.outputs[0]]
    if (op.op !== 'Reshape' || source === undefined || output === undefined || !outputs.has(output)) continue
    if (!computed.has(source) || outputs.has(source) || renamed.has(source)) continue
    if (!sameDims(typeOf(program.values, source).dims, op.attrs.dims)) continue
    renamed.set(source, output)
    copies.add(op)
  }
  if (copies.size === 0) return program
  const name = (value: string) => renamed.get(value) ?? value
  const ops = program.ops
    .filter((op) => !copies.has(op))
    .map((op) => ({ ...op, inputs: op.inputs.map(name), outputs: op.outputs.map(name) }))
  return { ...program, ops }
}
