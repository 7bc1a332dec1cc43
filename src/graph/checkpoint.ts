/**
 * Gradient checkpointing (Chen et al. 2016) as a transformation of training programs: the forward half is split where little passes
 * (between layers: the residual stream, and what every layer reads), only that is kept, and what the backward half needs of a
 * segment is computed again just before. The numbers are the same to the bit; the price is at most one more forward pass.
 *
 * It knows op lists, not layers: encoder, decoder and parallel branches are all the same to it. When to use it is the caller's question.
 */
import { elementCount, BYTES_PER_ELEMENT, GraphError } from './ir'
import { peakActivationBytes } from './peak-activations'
import type { Op, Program, ValueType } from './program'
import { eliminateDeadOps } from './rewrite'

export interface Checkpointed {
  readonly program: Program
  /** 1: the program as it was. */
  readonly segments: number
  /** peakActivationBytes of it. */
  readonly peak_bytes: number
}

/**
 * The program itself where its values fit in `budget_bytes`; else with the fewest segments that fit; else with those that need the least.
 * @param turn the value at which the forward half ends: the loss
 * @throws GraphError when no op makes `turn`
 */
export function checkpointToFit(program: Program, turn: string, budget_bytes: number): Checkpointed {
  let best: Checkpointed = { program, segments: 1, peak_bytes: peakActivationBytes(program) }
  if (best.peak_bytes <= budget_bytes) return best
  const forward = new ForwardHalf(program, turn)
  let tried = ''
  for (let segments = 2; segments <= forward.places.length + 1; segments++) {
    const cuts = forward.split(segments)
    // The places may allow no further balance.
    if (cuts.join() === tried) continue
    tried = cuts.join()
    const made = new Recomputation(forward, cuts).program()
    const peak_bytes = peakActivationBytes(made)
    if (peak_bytes < best.peak_bytes) best = { program: made, segments: cuts.length + 1, peak_bytes }
    if (peak_bytes <= budget_bytes) break
  }
  return best
}

/** The program with its forward half in at most so many segments, all but the last computed again. @throws GraphError as above */
export function checkpoint(program: Program, turn: string, segments: number): Program {
  const forward = new ForwardHalf(program, turn)
  const cuts = forward.split(segments)
  return cuts.length === 0 ? program : new Recomputation(forward, cuts).program()
}

function bytesOf(type: ValueType | undefined): number {
  return type ? elementCount(type.dims) * BYTES_PER_ELEMENT[type.dtype] : 0
}

/** The ops up to the turn, and where they can be cut. A cut at c is between ops c - 1 and c. */
class ForwardHalf {
  /** Index of the first op of the backward half. */
  readonly end: number
  /** Cuts where less passes than before and after, ascending. */
  readonly places: readonly number[]
  /** Bytes each forward op makes that the backward half reads. */
  private readonly kept: readonly number[]
  /** Forward values: the op that makes each, and the last forward op that reads it. */
  readonly made = new Map<string, number>()
  readonly lastRead = new Map<string, number>()

  constructor(
    readonly program: Program,
    turn: string,
  ) {
    const at = program.ops.findIndex((op) => op.outputs.includes(turn))
    if (at < 0) throw new GraphError(`no op of the program makes '${turn}'`)
    this.end = at + 1
    program.ops.slice(0, this.end).forEach((op, i) => {
      for (const name of op.inputs) this.lastRead.set(name, i)
      for (const name of op.outputs) this.made.set(name, i)
    })
    this.places = this.narrowPlaces()
    this.kept = this.readByBackward()
  }

  /** At most `segments - 1` cuts that leave segments with about as much in each that the backward half reads. */
  split(segments: number): number[] {
    const { kept } = this
    const total = kept.reduce((sum, bytes) => sum + bytes, 0)
    let [low, high] = [0, total]
    let found = this.cutsBelow(high, kept)
    // Two per cent off the best balance is near enough.
    while (high - low > total / 50) {
      const limit = (low + high) / 2
      const cuts = this.cutsBelow(limit, kept)
      if (cuts.length < segments) [high, found] = [limit, cuts]
      else low = limit
    }
    return found
  }

  /** As few cuts as leave no segment with more than `limit` bytes, as far as the places allow. */
  private cutsBelow(limit: number, kept: readonly number[]): number[] {
    const cuts: number[] = []
    let [inSegment, from] = [0, 0]
    for (const place of [...this.places, this.end]) {
      const bytes = kept.slice(from, place).reduce((sum, more) => sum + more, 0)
      if (inSegment > 0 && inSegment + bytes > limit) {
        cuts.push(from)
        inSegment = 0
      }
      inSegment += bytes
      from = place
    }
    return cuts
  }

  private readByBackward(): number[] {
    const bytes = new Array<number>(this.end).fill(0)
    const read = new Set(this.program.ops.slice(this.end).flatMap((op) => op.inputs))
    for (const [name, i] of this.made) if (read.has(name)) bytes[i] = (bytes[i] ?? 0) + bytesOf(this.program.values.get(name))
    return bytes
  }

  private narrowPlaces(): number[] {
    const passing = this.passingBytes()
    const at = (c: number): number => passing[c] ?? Infinity
    const lows: number[] = []
    for (let c = 1; c < this.end; c++) if (at(c) <= at(c - 1) && at(c) < at(c + 1)) lows.push(c)
    // Between attention and its residual sum two values pass: a low, but not as low as those around it.
    return lows.filter((c, i) => at(c) <= 1.2 * Math.min(at(lows[i - 1] ?? 0), at(lows[i + 1] ?? this.end + 1)))
  }

  /** Bytes made before and read at or after each cut, by the forward half. Nowhere to cut: infinite. */
  private passingBytes(): number[] {
    const change = new Array<number>(this.end + 1).fill(0)
    for (const [name, from] of this.made) {
      const until = this.lastRead.get(name) ?? from
      const bytes = bytesOf(this.program.values.get(name))
      change[from + 1] = (change[from + 1] ?? 0) + bytes
      if (until + 1 <= this.end) change[until + 1] = (change[until + 1] ?? 0) - bytes
    }
    let now = 0
    const passing = change.map((bytes) => (now += bytes))
    passing[0] = Infinity
    passing.length = this.end
    return passing
  }
}

/** Writes the program anew: forward half, then the backward one with what it reads computed again where it is first read. */
class Recomputation {
  private readonly ops: Op[]
  private readonly values: Map<string, ValueType>
  /** Forward value -> its second copy. */
  private readonly again = new Map<string, string>()
  /** By segment: the value that is there before anything of it is computed again. */
  private readonly after = new Map<number, string>()
  private readonly barriers = new Map<string, string>()
  private readonly backward = new Set<string>()
  private readonly outputs: ReadonlySet<string>

  constructor(
    private readonly forward: ForwardHalf,
    private readonly cuts: readonly number[],
  ) {
    const { program, end } = forward
    this.ops = program.ops.slice(0, end)
    this.values = new Map(program.values)
    this.outputs = new Set(program.outputs)
    // What the turn itself gives is the first gradient.
    for (const name of program.ops[end - 1]?.outputs ?? []) this.backward.add(name)
  }

  program(): Program {
    const { program, end } = this.forward
    for (const op of program.ops.slice(end)) {
      // The gradient it continues; an op of forward values alone waits for the op before it.
      const gradient = op.inputs.find((name) => this.backward.has(name)) ?? this.ops.at(-1)?.outputs[0] ?? ''
      const inputs = op.inputs.map((name) => this.read(name, gradient))
      this.ops.push({ ...op, inputs })
      for (const name of op.outputs) this.backward.add(name)
    }
    return eliminateDeadOps({ ...program, ops: this.ops, values: this.values })
  }

  /** The segment of an op. */
  private segment(op: number): number {
    const later = this.cuts.findIndex((cut) => op < cut)
    return later < 0 ? this.cuts.length : later
  }

  /** The op and segment that make a value again; null for what is kept. */
  private source(name: string): { readonly op: Op; readonly segment: number } | null {
    const made = this.forward.made.get(name)
    const op = made === undefined ? undefined : this.forward.program.ops[made]
    if (made === undefined || op === undefined || this.outputs.has(name)) return null
    const segment = this.segment(made)
    const passes = this.segment(this.forward.lastRead.get(name) ?? made) > segment
    const fromNothing = op.inputs.every((input) => this.forward.program.constants.has(input))
    return segment === this.cuts.length || passes || fromNothing ? null : { op, segment }
  }

  /** The name under which the backward half finds a value from now on. */
  private read(name: string, gradient: string): string {
    const known = this.again.get(name)
    if (known !== undefined) return known
    const source = this.source(name)
    if (source === null) return name
    const { op, segment } = source
    if (!this.after.has(segment)) this.after.set(segment, gradient)
    const inputs = op.inputs.map((input) => this.read(input, gradient))
    // One input that is computed late makes the op late.
    if (inputs.every((input, i) => input === op.inputs[i])) {
      const late = this.smallest(inputs)
      inputs[late] = this.barrier(inputs[late] ?? '', segment)
    }
    const outputs = op.outputs.map((output) => this.fresh(output, 'again'))
    op.outputs.forEach((output, i) => this.again.set(output, outputs[i] ?? ''))
    this.ops.push({ ...op, inputs, outputs })
    return this.again.get(name) ?? name
  }

  /** Index of the smallest input that is no constant. */
  private smallest(inputs: readonly string[]): number {
    const size = (i: number): number => {
      const name = inputs[i] ?? ''
      return this.forward.program.constants.has(name) ? Infinity : bytesOf(this.values.get(name))
    }
    return inputs.reduce((least, _, i) => (size(i) < size(least) ? i : least), 0)
  }

  /** A kept value as the second pass over a segment reads it: not before the gradient that the pass is for. */
  private barrier(value: string, segment: number): string {
    const key = `${segment} ${value}`
    const known = this.barriers.get(key)
    if (known !== undefined) return known
    const made = this.fresh(value, 'kept')
    const inputs = [value, this.after.get(segment) ?? '']
    this.ops.push({ op: 'Barrier', name: `checkpoint ${segment + 1}`, inputs, outputs: [made], attrs: {} })
    this.barriers.set(key, made)
    return made
  }

  /** A new name of the type of `value`. */
  private fresh(value: string, why: string): string {
    const type = this.values.get(value)
    if (!type) throw new GraphError(`the program has no value '${value}'`)
    let name = `${value}~${why}`
    for (let i = 2; this.values.has(name); i++) name = `${value}~${why} ${i}`
    this.values.set(name, type)
    return name
  }
}
