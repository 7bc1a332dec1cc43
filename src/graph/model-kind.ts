/**
 * What a model is, told from the ops of its graph that nothing here computes: a person learns that it is a mixture of experts, not that
 * com.microsoft.QMoE is unknown. Which ops those are is coverage.ts's business; what config.json tells is models/refusals.ts's.
 */
import type { UnsupportedNode } from './coverage'
import { opKey } from './host/attributes'
import { printable } from './printable'

/** Ops by what a model that has them is; the first row that fits says it, so rows stand from the telling to the vague. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/(^|\.)(Q?MoE|ShardedMoE|MixtureOfExperts)$/, 'a mixture-of-experts model'],
  [
    /(Linear|Lightning)Attention|Gated?DeltaNet|DeltaRule|(^|\.)Retention$/,
    'a model with linear attention, whose layers are recurrences',
  ],
  [/Mamba|SelectiveScan|(^|\.)SSM|CausalConv/, 'a state-space model (Mamba) or one with convolutions over the sequence'],
  [/(^|\.)(LSTM|GRU|RNN|DynamicQuantizeLSTM|RWKV\w*|WKV\w*)$/, 'a recurrent model'],
  [/(^|\.)(Scan|Loop)$/, 'a model that loops over positions, as recurrent and state-space ones do'],
  [/(^|\.)(Q?Conv|ConvInteger|QLinearConv|FusedConv|NhwcConv|NhwcFusedConv|ConvTranspose)$/, 'a model with convolution layers'],
  [/^(STFT|DFT|MelWeightMatrix|HannWindow)$/, 'a speech or audio model'],
  [/^(NonZero|TopK)$/, 'a model that picks what to compute by its values, as the routing of a mixture of experts does'],
]

const KNOWN_DOMAINS: ReadonlySet<string> = new Set(['', 'com.microsoft'])
/** Names in a sentence; more make it a list. */
const NAMED = 4

/**
 * Why a model with these nodes can't be tuned, as "it is a mixture-of-experts model (com.microsoft.QMoE at node '/layers.0/moe')".
 * @param unsupported at least one node
 */
export function describeUnsupported(unsupported: readonly UnsupportedNode[]): string {
  for (const [pattern, kind] of KINDS) {
    const node = unsupported.find((each) => pattern.test(opKey(each)))
    if (node) return printable(`it is ${kind} (${opKey(node)} at node '${node.node}')`)
  }
  const foreign = unsupported.find(({ domain }) => !KNOWN_DOMAINS.has(domain))
  if (foreign)
    return printable(`it needs ops of its own, of the domain '${foreign.domain}' (${foreign.op_type} at node '${foreign.node}')`)
  const names = [...new Set(unsupported.map(opKey))]
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  const verb = names.length === 1 ? 'is not an op' : 'are not ops'
  return printable(
    `${names.slice(0, NAMED).join(', ')}${more} ${verb} known here (first at node '${unsupported[0]?.node ?? ''}')`,
  )
}
