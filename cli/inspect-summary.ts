/** What `npm run inspect` says of a model in one sentence, and whether it passed. */
import type { InspectReport } from '../src/protocol'

/** `ok`: it can be tuned, and agrees with whatever it was compared with. */
export function summaryOf(report: InspectReport): { readonly ok: boolean; readonly summary: string } {
  const { model, kind, parameters, self_test } = report
  const what = kind === 'unknown' ? [] : [kind, `${count(parameters)} parameters`]
  const refusal = refusalOf(report)
  const verdict = refusal === null ? 'can be tuned' : `refused: ${refusal}`
  const agreement =
    refusal === null && self_test
      ? `; logits within ${digits(self_test.max_abs_diff)} of onnxruntime (${digits(self_test.tolerance)} allowed)`
      : ''
  return { ok: refusal === null, summary: `${model}: ${[...what, verdict].join(', ')}${agreement}` }
}

function refusalOf({ error, self_test, reference }: InspectReport): string | null {
  if (error !== null) return error
  if (self_test?.ok === false) {
    return `logits differ by ${digits(self_test.max_abs_diff)} from onnxruntime, ${digits(self_test.tolerance)} is allowed`
  }
  if (reference?.ok !== false) return null
  return `${digits(reference.logits_max_abs_diff)} from torch's logits, ${digits(reference.gradient_max_rel_diff)} from its gradient`
}

const digits = (value: number): string => value.toExponential(0)

function count(parameters: number): string {
  for (const [size, unit] of [
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (parameters >= size) return `${(parameters / size).toFixed(1)}${unit}`
  return String(parameters)
}
