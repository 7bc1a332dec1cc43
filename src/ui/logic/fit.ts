/** The panel before training in words: ops, self-test and memory, each with a badge that says in text what its colour says. Pure. */
import type { MemoryEstimate, ModelSummary } from '../../protocol'
import { bytes, count, figure } from './format'

export interface FitCheck {
  readonly label: 'ops' | 'self-test' | 'memory'
  readonly state: 'good' | 'bad' | 'open'
  readonly badge: string
  readonly text: string
}

export interface FitBar {
  readonly parts: readonly {
    readonly kind: 'weights' | 'activations' | 'rest'
    readonly label: string
    readonly percent: number
  }[]
  readonly limit: string
  readonly over: boolean
  readonly text: string
}

export interface FitFacts {
  readonly checks: readonly FitCheck[]
  readonly bar: FitBar | null
  readonly advice: readonly string[]
}

/** @param summary null: no model is open. @param memory null: no examples yet to say how long a step's rows are */
export function fitFacts(summary: ModelSummary | null, memory: MemoryEstimate | null): FitFacts {
  const known = summary === null ? null : memory
  return {
    checks: [ops(summary), selfTest(summary), fits(known)],
    bar: known && bar(known),
    advice: known?.advice ?? [],
  }
}

function ops(summary: ModelSummary | null): FitCheck {
  if (!summary) return { label: 'ops', state: 'open', badge: 'not checked yet', text: 'Which ops the model is made of.' }
  const { supported, total } = summary.ops
  const all = supported === total
  return {
    label: 'ops',
    state: all ? 'good' : 'bad',
    badge: all ? 'supported' : 'not supported',
    text: `${count(supported)} of ${count(total)} ops can be computed here.`,
  }
}

function selfTest(summary: ModelSummary | null): FitCheck {
  if (!summary)
    return { label: 'self-test', state: 'open', badge: 'not checked yet', text: 'Whether results are those of onnxruntime.' }
  const { max_abs_diff, tolerance, ok } = summary.self_test
  return {
    label: 'self-test',
    state: ok ? 'good' : 'bad',
    badge: ok ? 'checked' : 'failed',
    text: `${ok ? 'Checked against' : 'Differs from'} onnxruntime on ${summary.device}: max difference ${figure(max_abs_diff)} (allowed ${figure(tolerance)}).`,
  }
}

function fits(memory: MemoryEstimate | null): FitCheck {
  if (!memory)
    return {
      label: 'memory',
      state: 'open',
      badge: 'not checked yet',
      text: 'Whether a step fits in memory, once there are a model and examples.',
    }
  const { verdict, segments } = memory
  if (verdict === 'does_not_fit')
    return { label: 'memory', state: 'bad', badge: 'does not fit', text: 'A training step does not fit in memory.' }
  if (verdict === 'fits') return { label: 'memory', state: 'good', badge: 'fits', text: 'A training step fits in memory.' }
  const text = `A training step fits in memory when layers are computed again (gradient checkpointing, ${segments} segments): slower.`
  return { label: 'memory', state: 'good', badge: 'fits with checkpointing', text }
}

function bar(memory: MemoryEstimate): FitBar {
  const { weight_bytes, activation_bytes, needed_bytes, limit_bytes, summary } = memory
  const rest = Math.max(0, needed_bytes - weight_bytes - activation_bytes)
  const whole = Math.max(limit_bytes ?? 0, needed_bytes)
  const part = (kind: FitBar['parts'][number]['kind'], what: string, size: number) => ({
    kind,
    label: `${what} ${bytes(size)}`,
    percent: (100 * size) / whole,
  })
  return {
    parts: [
      part('weights', 'weights', weight_bytes),
      part('activations', 'activations', activation_bytes),
      part('rest', 'runtime and reserve', rest),
    ],
    limit: limit_bytes === null ? 'the device does not say what it has' : `of ${bytes(limit_bytes)}`,
    over: limit_bytes !== null && needed_bytes > limit_bytes,
    text: summary,
  }
}
