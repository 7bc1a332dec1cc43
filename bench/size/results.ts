/** Results of `npm run size`: their schema, a straight line through times, and the page that shows them. Pure. */
import * as v from 'valibot'

const ok = v.boolean()
const real = v.number()

export const MeasuredSchema = v.object({
  rows: real,
  tokens: real,
  loss: real,
  gradient: real,
  stored_bytes: real,
  weight_bytes: real,
  activation_bytes: real,
  segments: real,
  wasm_bytes: real,
  resident_bytes: real,
  read_ms: real,
  estimate_ms: real,
  first_ms: real,
  step_ms: v.nullable(real),
})
const memory = v.optional(v.object({ ...MeasuredSchema.entries, wasm_ratio: real, resident_ratio: real, ok }))

const grown = v.object({ live_tensors: real, bytes: real, wasm_bytes: real, heap_bytes: real, array_bytes: real })

export const SoakSchema = v.object({ steps: real, first_loss: real, last_loss: real, grown })

export const ResultsSchema = v.object({
  gpt2: memory,
  llama: memory,
  webgpu: v.optional(
    v.object({
      loss: real,
      gradient: real,
      loss_difference: real,
      gradient_difference: real,
      device_bytes: real,
      milliseconds: real,
      ok,
    }),
  ),
  linear: v.optional(
    v.object({ points: v.array(v.object({ tokens: real, milliseconds: real })), offset: real, slope: real, r2: real, ok }),
  ),
  soak: v.optional(v.object({ ...SoakSchema.entries, ok })),
})
export type Results = v.InferOutput<typeof ResultsSchema>

/** Least squares: y = offset + slope x, and the share of the variance it explains. */
export function fitLine(points: readonly (readonly [number, number])[]): { offset: number; slope: number; r2: number } {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean(([a]) => a), mean(([, b]) => b)]
  const slope = mean(([a, b]) => (a - x) * (b - y)) / mean(([a]) => (a - x) ** 2)
  const offset = y - slope * x
  const left = mean(([a, b]) => (b - offset - slope * a) ** 2)
  return { offset, slope, r2: 1 - left / mean(([, b]) => (b - y) ** 2) }
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`

export function markdown(results: Results, at: { readonly virtual_tokens: number; readonly processor: string }): string {
  const { gpt2, llama, webgpu, linear, soak } = results
  const rows = Object.entries({ 'GPT-2 shape, 124M, fp32': gpt2, 'Llama shape, 0.5B, q4': llama }).flatMap(([name, it]) =>
    it === undefined
      ? []
      : [
          `| ${name} | ${mb(it.stored_bytes)} | ${mb(it.weight_bytes)} | ${mb(it.activation_bytes)} | ${mb(it.wasm_bytes)} | **${it.wasm_ratio.toFixed(2)}** | ${mb(it.resident_bytes)} | **${it.resident_ratio.toFixed(2)}** | ${it.estimate_ms.toFixed(0)} | ${(it.first_ms / 1000).toFixed(1)} | ${((it.step_ms ?? NaN) / 1000).toFixed(1)} |`,
        ],
  )
  const parts = [
    '# Models of real size',
    `Made by \`npm run size\` (random weights), on ${at.processor}, one thread of wasm in Node. Times are of a shared machine.`,
    `## Memory\n\nLoading and training steps of 4 rows of 64 tokens, ${at.virtual_tokens} of them virtual, in a fresh process. "Stored" is the model's file, "held" what a session has of it: the embedding table stays in the file. The ratios are to stored and activations (peakActivationBytes); 1.3 is allowed.`,
    [
      '| model | stored | held | activations | wasm memory | ratio | process | ratio | estimate, ms | first step with loading, s | step, s |',
      '|---|---|---|---|---|---|---|---|---|---|---|',
      ...rows,
    ].join('\n'),
  ]
  if (webgpu) {
    const took = `${(webgpu.milliseconds / 1000).toFixed(0)} s`
    parts.push(
      `## WebGPU\n\nOne step of the 124M model (2 rows of 24 tokens) in headless Chromium: loss ${webgpu.loss.toFixed(4)}, gradient ${webgpu.gradient.toPrecision(3)} (root mean square), off wasm's by ${webgpu.loss_difference.toExponential(1)} and ${webgpu.gradient_difference.toExponential(1)} of them, ${mb(webgpu.device_bytes)} on the device, ${took}.`,
    )
  }
  if (linear) {
    const { points, offset, slope, r2 } = linear
    parts.push(
      `## Time against tokens\n\nMilliseconds of the fastest of several steps of the embedded model: ${offset.toFixed(1)} + ${slope.toFixed(4)} x tokens, R² = ${r2.toFixed(4)}.`,
      [
        '| tokens | ms | line |',
        '|---|---|---|',
        ...points.map(
          ({ tokens, milliseconds }) => `| ${tokens} | ${milliseconds.toFixed(1)} | ${(offset + slope * tokens).toFixed(1)} |`,
        ),
      ].join('\n'),
    )
  }
  if (soak) {
    const { grown, steps, first_loss, last_loss } = soak
    parts.push(
      `## ${steps} steps\n\nOf the embedded model, two shapes in turn; growth after the first tenth: ${grown.live_tensors} tensors, ${grown.bytes} bytes held by programs, ${grown.wasm_bytes} bytes of wasm memory, ${(grown.heap_bytes / 1024).toFixed(0)} KiB of heap, ${(grown.array_bytes / 1024).toFixed(0)} KiB of arrays. Loss ${first_loss.toFixed(3)} to ${last_loss.toFixed(3)}.`,
    )
  }
  return `${parts.join('\n\n')}\n`
}
