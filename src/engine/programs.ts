/**
 * The programs of a cut model, for one shape of batch: encoding, training, scoring. What GraphModel runs and what the memory estimate looks at
 * is made here, so that both are of the same thing.
 */
import type { CutModel } from '../graph/cut'
import { fuse } from '../graph/fuse'
import { scoreProgram, trainingProgram } from '../graph/objective'
import { specialize, specializeSeq2Seq, type Specialized } from '../graph/specialize'
import { EngineError } from './engine'
import type { GradientLengths } from './frozen-model'

/** What a program is made for. */
export interface BatchShape {
  readonly batch_size: number
  /** S: positions of the stack that makes the logits. */
  readonly sequence_length: number
  /** L: label slots. */
  readonly label_length: number
  /** null: a causal model. `width`: of states that are fed; null where the encoder itself runs before the decoder. */
  readonly encoder: { readonly sequence_length: number; readonly width: number | null } | null
}

/** The forward program up to all logits. @throws EngineError when the shape is not of such a model; GraphError as specialize */
export function forwardProgram(cut: CutModel, shape: BatchShape, simulate_rounding: boolean): Specialized {
  const { batch_size, sequence_length, encoder } = shape
  const shared = { batch_size, sequence_length, simulate_rounding }
  if (cut.kind === 'causal-lm') {
    if (encoder !== null) throw new EngineError('a causal model has no encoder')
    // Right padding under a causal model: no label ever attends to padding, so the mask is all ones and folds into constants.
    return fused(specialize(cut, { ...shared, mask: 'ones' }))
  }
  if (encoder === null) throw new EngineError('an encoder-decoder needs what its encoder reads')
  const { width, sequence_length: encoder_length } = encoder
  if (width === null) return fused(specializeSeq2Seq(cut, { ...shared, encoder_length }))
  return fused(specialize(cut.decoder, { ...shared, mask: 'fed', encoder: { sequence_length: encoder_length, width } }))
}

/** An encoder alone. @throws EngineError on a causal model */
export function encoderProgram(
  cut: CutModel,
  batch_size: number,
  sequence_length: number,
  simulate_rounding: boolean,
): Specialized {
  if (cut.kind === 'causal-lm') throw new EngineError('a causal model has no encoder')
  return fused(specialize(cut.encoder, { batch_size, sequence_length, mask: 'fed', simulate_rounding }))
}

/** Loss of the labels and gradients of the first positions of each stack. */
export function trainingOf({ program, host }: Specialized, { label_length }: BatchShape, lengths: GradientLengths): Specialized {
  const { decoder, encoder } = lengths
  const gradient_lengths = {
    ...(decoder > 0 && { inputs_embeds: decoder }),
    ...(encoder > 0 && { encoder_inputs_embeds: encoder }),
  }
  return { program: trainingProgram(program, { label_length, gradient_lengths }), host }
}

/** Log probabilities of the labels. */
export function scoringOf({ program, host }: Specialized, { label_length }: BatchShape): Specialized {
  return { program: scoreProgram(program, { label_length }), host }
}

function fused({ program, host }: Specialized): Specialized {
  return { program: fuse(program), host }
}
