/**
 * What our reading of a model is held to besides torch: onnxruntime's logits of the file, and its derivative along our gradient. The latter
 * runs the file's own nodes behind the embedding lookup, with the looked-up rows moved a little either way.
 */
import { cutGraphs, ENCODER_STATES, type CutGraph, type CutModel } from '../../../src/graph/cut'
import { concatBytes, writeModel } from '../../../src/graph/write'
import { open, runFile, type Given } from './run-file'
import { embedsOf, lossOf, type Embeds, type Gradients, type Task } from './task'

const grid = (batch: number, data: readonly number[]) => ({ dims: [batch, data.length / batch], data })

/** Logits [2,6,V] of the untouched file, or of the encoder's and the decoder's. */
export async function fileLogits(
  files: readonly Uint8Array[],
  { batch, length, encoder_length, ...task }: Task,
): Promise<Float32Array> {
  const [first, second] = files
  if (!first) throw new Error('a model of no files')
  if (!second)
    return runFile(
      first,
      'logits',
      { batch, length },
      { input_ids: grid(batch, task.ids), attention_mask: grid(batch, task.mask) },
    )
  const mask = grid(batch, task.mask)
  const encoded = { input_ids: grid(batch, task.encoder_ids), attention_mask: mask }
  const states = await runFile(first, 'last_hidden_state', { batch, length: encoder_length }, encoded)
  const ids = grid(batch, task.ids)
  return runFile(
    second,
    'logits',
    { batch, length },
    { input_ids: ids, decoder_input_ids: ids, ...statesOf(states, batch, encoder_length), encoder_attention_mask: mask },
  )
}

const statesOf = (data: Float32Array, batch: number, length: number): Given => ({
  [ENCODER_STATES]: { dims: [batch, length, data.length / (batch * length)], data },
})

/** A cut graph as a file whose first input is the looked-up rows. */
function cutFile({ graph, opsets, output }: CutGraph): Uint8Array {
  const outputs = [{ name: output, dtype: 'float32', dims: [null, null, null] }] as const
  return concatBytes(writeModel({ ir_version: 8, producer_name: 'cut', opsets, graph: { ...graph, outputs } }))
}

/** Runs the cut graphs of a model on looked-up rows and gives the loss. */
async function openLoss(
  cut: CutModel,
  task: Task,
): Promise<{ loss: (embeds: Embeds) => Promise<number>; close: () => Promise<void> }> {
  const { batch, length, encoder_length, ids, encoder_ids } = task
  const mask = grid(batch, task.mask)
  const parts = cutGraphs(cut)
  const files = await Promise.all(parts.map((part) => open(cutFile(part))))
  const rows = (part: CutGraph, data: Float32Array, positions: number): Given => ({
    [part.inputs_embeds]: { dims: [batch, positions, part.hidden_size], data },
  })
  const [first, second] = files
  const [encoder, decoder] = parts
  if (!first || !encoder) throw new Error('a model of no parts')
  const loss = async ({ inputs_embeds, encoder_inputs_embeds }: Embeds): Promise<number> => {
    if (!second || !decoder || !encoder_inputs_embeds) {
      // Exports ask the ids for their shape.
      const given = { ...rows(encoder, inputs_embeds, length), input_ids: grid(batch, ids), attention_mask: mask }
      return lossOf(await first('logits', { batch, length }, given), cut.vocab_size, task)
    }
    const encoded = {
      ...rows(encoder, encoder_inputs_embeds, encoder_length),
      input_ids: grid(batch, encoder_ids),
      attention_mask: mask,
    }
    const states = await first(encoder.output, { batch, length: encoder_length }, encoded)
    const given = {
      ...rows(decoder, inputs_embeds, length),
      ...statesOf(states, batch, encoder_length),
      input_ids: grid(batch, ids),
      decoder_input_ids: grid(batch, ids),
      encoder_attention_mask: mask,
    }
    return lossOf(await second('logits', { batch, length }, given), decoder.vocab_size, task)
  }
  return { loss, close: async () => void (await Promise.all(files.map((file) => file.close()))) }
}

/**
 * How far the rows move, as shares of their own size. Small steps drown in float32's rounding, large ones in curvature and ReLU's kinks:
 * the step that agrees best tells, since a wrong gradient is wrong for all.
 */
const STEPS = [3e-3, 1e-3, 3e-4]

/**
 * |derivative along our gradient - its length| / its length, by central differences in onnxruntime. Sees a wrong gradient whatever is
 * wrong with it, but no finer than float32 sums allow: about 1e-3.
 */
export async function finiteDifference(cut: CutModel, task: Task, gradients: Gradients): Promise<number> {
  const embeds = embedsOf(cut, task)
  const size = Math.hypot(norm(embeds.inputs_embeds), norm(embeds.encoder_inputs_embeds))
  const length = Math.hypot(norm(gradients.inputs_embeds), norm(gradients.encoder_inputs_embeds))
  const { loss, close } = await openLoss(cut, task)
  const moved = (by: number) =>
    loss({
      inputs_embeds: plus(embeds.inputs_embeds, gradients.inputs_embeds, by),
      encoder_inputs_embeds:
        embeds.encoder_inputs_embeds &&
        gradients.encoder_inputs_embeds &&
        plus(embeds.encoder_inputs_embeds, gradients.encoder_inputs_embeds, by),
    })
  try {
    let least = Infinity
    for (const share of STEPS) {
      const step = (share * size) / length
      const slope = ((await moved(step)) - (await moved(-step))) / (2 * step)
      least = Math.min(least, Math.abs(slope - length ** 2) / length ** 2)
    }
    return least
  } finally {
    await close()
  }
}

const norm = (values: Float32Array | null): number => Math.sqrt((values ?? new Float32Array()).reduce((sum, x) => sum + x * x, 0))
const plus = (a: Float32Array, b: Float32Array, by: number): Float32Array => a.map((x, i) => x + by * (b[i] ?? NaN))
