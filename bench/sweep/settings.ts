/** What a sweep varies: settings around the defaults, one factor at a time, then around the best of those. Pure; it runs nothing. */
import * as v from 'valibot'
import { JobSchema } from '../../src/job/parameters'

const count = v.pipe(v.number(), v.integer(), v.minValue(1))

export const SettingSchema = v.object({
  /** Learning rate over the spread (std) of the model's embedding table. */
  ratio: v.pipe(v.number(), v.gtValue(0)),
  num_virtual_tokens: count,
  num_epochs: count,
  init: v.picklist(['RANDOM', 'TEXT', 'SAMPLE_VOCAB', 'SOURCE']),
  batch_size: count,
})
export type Setting = v.InferOutput<typeof SettingSchema>
export type Factor = keyof Setting

/** The values to try of each factor. A factor that is absent keeps the default. */
export type Levels = { readonly [F in Factor]?: readonly Setting[F][] }

export const RATIOS = [0.03, 0.06, 0.125, 0.25, 0.5, 1, 2] as const
export const QUICK_RATIOS = [0.06, 0.125, 0.25, 0.5, 1] as const

export const LEVELS: Levels = {
  ratio: RATIOS,
  num_virtual_tokens: [4, 8, 16, 32],
  num_epochs: [5, 10, 20, 40],
  init: ['RANDOM', 'TEXT', 'SAMPLE_VOCAB'],
  batch_size: [4, 8, 16],
}

/** A sweep of a quarter of the time. */
export const QUICK_LEVELS: Levels = { ratio: [0.125, 0.5], num_virtual_tokens: [8], num_epochs: [10, 40] }

export const FACTORS: readonly Factor[] = ['ratio', 'num_virtual_tokens', 'num_epochs', 'init', 'batch_size']

/** The defaults of the job's schema, but for the learning rate: what "auto" comes to depends on the model. */
export function schemaDefaults(): Omit<Setting, 'ratio'> {
  const { tuning_config, num_epochs, batch_size } = v.parse(JobSchema, { base_model: 'any' })
  const { num_virtual_tokens, prompt_tuning_init_method } = tuning_config
  return { num_virtual_tokens, num_epochs, batch_size, init: v.parse(SettingSchema.entries.init, prompt_tuning_init_method) }
}

export const keyOf = (setting: Setting): string => FACTORS.map((factor) => setting[factor]).join(' ')

const withLevel = <F extends Factor>(center: Setting, factor: F, level: Setting[F]): Setting => ({ ...center, [factor]: level })

function distinct(settings: readonly Setting[]): Setting[] {
  return [...new Map(settings.map((setting) => [keyOf(setting), setting])).values()]
}

/** `center`, and every setting that differs from it in one factor. */
export function oneAtATime(center: Setting, levels: Levels): Setting[] {
  const around = FACTORS.flatMap((factor) => (levels[factor] ?? []).map((level) => withLevel(center, factor, level)))
  return distinct([center, ...around])
}

/** Of a setting: higher is better; undefined: not measured. */
export type Score = (setting: Setting) => number | undefined

/** The best of the measured settings; of equals the earliest. */
export function bestOf(settings: readonly Setting[], score: Score): Setting | undefined {
  let best: { setting: Setting; value: number } | undefined
  for (const setting of settings) {
    const value = score(setting)
    if (value !== undefined && (best === undefined || value > best.value)) best = { setting, value }
  }
  return best?.setting
}

/** The level next to `level`, in both directions. */
function neighbours<T>(levels: readonly T[], level: T): T[] {
  const at = levels.indexOf(level)
  return at < 0 ? [] : levels.slice(Math.max(0, at - 1), at + 2).filter((one) => one !== level)
}

/**
 * The second round, after oneAtATime was measured: the best level of each factor all together, that setting with its learning rate a step
 * lower and higher, and the best setting so far with the second-best factor's change added.
 */
export function secondRound(center: Setting, levels: Levels, score: Score): Setting[] {
  const changes = FACTORS.flatMap((factor) => {
    const options = (levels[factor] ?? []).map((level) => withLevel(center, factor, level))
    const best = bestOf([center, ...options], score)
    const gain = best === undefined ? 0 : (score(best) ?? 0) - (score(center) ?? 0)
    return best !== undefined && gain > 0 ? [{ factor, level: best[factor], gain }] : []
  }).sort((a, b) => b.gain - a.gain)
  const together = (some: typeof changes): Setting =>
    v.parse(SettingSchema, { ...center, ...Object.fromEntries(some.map(({ factor, level }) => [factor, level])) })
  if (changes.length === 0) return []
  const all = together(changes)
  const ratios = levels.ratio ? [...new Set([...RATIOS, center.ratio])].sort((a, b) => a - b) : []
  const around = neighbours(ratios, all.ratio).map((ratio) => withLevel(all, 'ratio', ratio))
  const known = new Set(oneAtATime(center, levels).map(keyOf))
  return distinct([together(changes.slice(0, 2)), all, ...around]).filter((setting) => !known.has(keyOf(setting)))
}
