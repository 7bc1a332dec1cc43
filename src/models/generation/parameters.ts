/**
 * The one schema of an answer's parameters: names as in caikit-nlp's text generation (and TGIS), with type, default, range and help. It drives
 * the form under Try (`generationFields`), the flags of `npm run generate` and the protocol's check. What one parameter means for another is in
 * check.ts; what each does to the next token, in ../sampling.ts.
 */
import * as v from 'valibot'
import { choice, flag, infoOf, integer, optionalPositive } from '../../job/field'
import type { About, Field, FieldInfo } from '../../job/field'

/** A field as a job's, and one more kind: `texts`, a list of texts. `shown_when` marks what matters only to SAMPLING. */
export type GenerationField = Omit<Field, 'type' | 'group'> & { readonly type: Field['type'] | 'texts' }
type OwnInfo = Omit<GenerationField, 'path'>

/** TGIS' limits: as many stop sequences, each of at most so many characters. */
const STOP_SEQUENCES = { most: 6, longest: 240 } as const
const MOST_TOKENS = 4096

const OWN = new WeakMap<object, OwnInfo>()

function own<S extends object>(
  schema: S,
  info: Pick<OwnInfo, 'label' | 'help' | 'level' | 'type' | 'default' | 'accepted'> & Partial<OwnInfo>,
): S {
  OWN.set(schema, { nullable: false, auto: false, min: null, max: null, exclusive_min: false, options: null, ...info })
  return schema
}

const basic = (label: string, help: string): About => ({ label, help, group: 'run', level: 'basic' })
const advanced = (label: string, help: string): About => ({ label, help, group: 'run', level: 'advanced' })
/** Greedy decoding looks at none of these. */
const sampled = (about: About): About => ({ ...about, shown_when: [{ path: 'decoding_method', values: ['SAMPLING'] }] })

const between = (fallback: number, min: number, max: number, about: About) =>
  own(v.optional(v.pipe(v.number(), v.minValue(min), v.maxValue(max)), fallback), {
    ...about,
    type: 'number',
    default: fallback,
    min,
    max,
    accepted: `a number from ${min} to ${max}`,
  })

/** A share of the probability: above 0, at most 1. */
const share = (fallback: number, about: About) =>
  own(v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(1)), fallback), {
    ...about,
    type: 'number',
    default: fallback,
    min: 0,
    max: 1,
    exclusive_min: true,
    accepted: 'a number above 0, up to 1',
  })

/** Both numbers or none: the form leaves them empty, the JSON says null for the whole. */
const LengthPenaltySchema = v.object({
  start_index: own(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_TOKENS)), {
    ...advanced('Length penalty from', 'From this many new tokens on, ending the answer becomes ever more likely. Empty: never.'),
    type: 'integer',
    default: null,
    nullable: true,
    min: 0,
    max: MOST_TOKENS,
    accepted: `a whole number from 0 to ${MOST_TOKENS}`,
  }),
  decay_factor: own(v.pipe(v.number(), v.minValue(1), v.maxValue(10)), {
    ...advanced('Length penalty factor', 'How fast: to the power of the tokens since. 1 changes nothing.'),
    type: 'number',
    default: null,
    nullable: true,
    min: 1,
    max: 10,
    accepted: 'a number from 1 to 10',
  }),
})

const StopSequencesSchema = own(
  v.optional(
    v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(STOP_SEQUENCES.longest))), v.maxLength(STOP_SEQUENCES.most)),
    [],
  ),
  {
    ...basic(
      'Stop sequences',
      String.raw`The first of these texts ends the answer, and stays in it. One a line; \n is a line break.`,
    ),
    type: 'texts',
    default: [],
    accepted: `a list of at most ${STOP_SEQUENCES.most} texts of 1 to ${STOP_SEQUENCES.longest} characters`,
  },
)

export const GenerationSchema = v.object({
  decoding_method: choice(
    ['GREEDY', 'SAMPLING'],
    'GREEDY',
    basic('Decoding', 'GREEDY takes the likeliest token, SAMPLING draws.'),
  ),
  max_new_tokens: integer(24, { min: 1, max: MOST_TOKENS }, basic('Longest answer', 'In tokens.')),
  stop_sequences: StopSequencesSchema,
  seed: integer(73, { min: 0, max: 2 ** 32 - 1 }, sampled(basic('Seed', 'The same seed, the same answer.'))),
  min_new_tokens: integer(
    0,
    { min: 0, max: MOST_TOKENS },
    advanced('Shortest answer', 'In tokens: before, the answer can neither end by itself nor at a stop sequence.'),
  ),
  truncate_input_tokens: integer(
    0,
    { min: 0, max: 1_000_000 },
    advanced(
      'Longest input',
      'In tokens, the template included; a longer input is cut at its end. 0: only where the model has no positions left.',
    ),
  ),
  temperature: between(0.8, 0.05, 100, sampled(advanced('Temperature', 'Higher is wilder, 1 is as the model has it.'))),
  top_k: integer(50, { min: 0, max: 1_000_000 }, sampled(advanced('Top k', 'Only the k likeliest tokens; 0 is all.'))),
  top_p: share(0.95, sampled(advanced('Top p', 'Only the likeliest tokens that together have this share; 1 is all.'))),
  typical_p: share(
    1,
    sampled(
      advanced('Typical p', 'Only the tokens about as surprising as is usual here that together have this share; 1 is all.'),
    ),
  ),
  repetition_penalty: between(
    1,
    0,
    100,
    advanced('Repetition penalty', 'Above 1, tokens that were there already become less likely. 1 (or 0) is none.'),
  ),
  exponential_decay_length_penalty: v.optional(v.nullable(LengthPenaltySchema), null),
  max_time: optionalPositive(advanced('Time limit', 'In seconds; the answer ends with the token that passes it. Empty: none.')),
  preserve_input_text: flag(
    false,
    advanced(
      'Keep the input',
      'The answer begins with the text the model read. Encoder-decoders answer apart from it, so never there.',
    ),
  ),
})

export type GenerationParameters = v.InferOutput<typeof GenerationSchema>

/** The defaults. Not upstream's: max_new_tokens (20 there), and temperature, top_k, top_p, which are off there: small models ramble then. */
export const GENERATION_DEFAULTS: GenerationParameters = v.parse(GenerationSchema, {})

const dropGroup = ({ group: _group, ...info }: FieldInfo): OwnInfo => info

function collect(entries: Record<string, object>, prefix: string): GenerationField[] {
  return Object.entries(entries).flatMap(([key, schema]) => {
    const known = infoOf(schema)
    const info = known ? dropGroup(known) : OWN.get(schema)
    return info ? [{ ...info, path: prefix + key }] : []
  })
}

export const LENGTH_PENALTY = 'exponential_decay_length_penalty'
const ALL: readonly GenerationField[] = Object.entries(GenerationSchema.entries).flatMap(([key, schema]) =>
  key === LENGTH_PENALTY ? collect(LengthPenaltySchema.entries, `${key}.`) : collect({ [key]: schema }, ''),
)

/** Every parameter, in the order of the schema; `path` is dotted, as in `exponential_decay_length_penalty.start_index`. */
export const generationFields = (): readonly GenerationField[] => ALL

export const GENERATION_KEYS: readonly string[] = Object.keys(GenerationSchema.entries)
export const LENGTH_PENALTY_KEYS: readonly string[] = Object.keys(LengthPenaltySchema.entries)
