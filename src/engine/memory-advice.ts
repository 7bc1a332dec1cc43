/** What to change when training does not fit: the smallest changes first, each tried before it is recommended. */
import type { MemoryEstimate, StepShape } from './memory'

/** Bytes a parameter takes in the files that other precisions have, about: scales and what stays unquantised included. */
const PRECISIONS = [
  ['fp16', 2],
  ['q8', 1.1],
  ['q4', 0.7],
] as const

/**
 * @param needed bytes needed by the same step in another shape
 * @returns sentences; never empty
 */
export function adviceFor(
  estimate: Pick<MemoryEstimate, 'limit_bytes' | 'device' | 'weight_bytes' | 'obstacle'>,
  shape: StepShape,
  parameters: number,
  needed: (changed: Partial<StepShape>) => number,
): string[] {
  const { limit_bytes, device, weight_bytes } = estimate
  const limit = limit_bytes ?? Infinity
  const advice: string[] = []
  if (estimate.obstacle === null && weight_bytes < limit) {
    const rows = fittingRows(shape.batch_size, limit, (batch_size) => needed({ batch_size }))
    if (rows > 0) {
      const steps = Math.ceil(shape.batch_size / rows)
      advice.push(`Set batch_size to ${rows}, with accumulate_steps ${steps} times what it is for the same steps.`)
    }
    const length = fittingLength(shape, limit, needed)
    if (length !== null)
      advice.push(`Or cut inputs shorter with max_source_length: ${length} tokens a row fit, prompt and answer included.`)
  }
  const smaller = PRECISIONS.filter(([, bytes]) => parameters * bytes < 0.9 * weight_bytes && parameters * bytes < limit)
  if (smaller.length > 0) {
    const sizes = smaller.map(([name, bytes]) => `${name} (about ${Math.round((parameters * bytes) / 2 ** 20)} MiB)`)
    advice.push(
      `${advice.length > 0 ? 'Or choose' : 'Choose'} another model_dtype, where the model has one: ${sizes.join(', ')}.`,
    )
  }
  const other = device === 'wasm' ? 'webgpu, where there is a GPU' : 'wasm'
  advice.push(advice.length > 0 ? `Or choose another device (${other}).` : `Choose another device (${other}) or a smaller model.`)
  return advice
}

/** The most rows that fit; 0: not even one. What a step needs grows by the same with every row. */
function fittingRows(batch_size: number, limit: number, needed: (rows: number) => number): number {
  for (let rows = Math.floor(batch_size / 2); rows >= 1; rows = Math.floor(rows / 2)) if (needed(rows) <= limit) return rows
  return 0
}

/** A half or a quarter of the positions, where that is enough. */
function fittingLength(shape: StepShape, limit: number, needed: (changed: Partial<StepShape>) => number): number | null {
  const { sequence_length, encoder, lengths } = shape
  const longer = encoder && encoder.sequence_length > sequence_length ? encoder : null
  for (const part of [2, 4]) {
    const length = Math.floor((longer?.sequence_length ?? sequence_length) / part)
    if (length <= Math.max(lengths.decoder, lengths.encoder, shape.label_length)) return null
    const changed = longer ? { encoder: { ...longer, sequence_length: length } } : { sequence_length: length }
    if (needed(changed) <= limit) return length
  }
  return null
}
