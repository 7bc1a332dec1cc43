/**
 * The kinds of field a job is made of. Each helper makes a valibot schema *and* notes what the form, the docs and the error
 * messages say about it, from the same numbers, so that they can't drift apart. It is not the list of fields (parameters.ts).
 */
import * as v from 'valibot'

export type FieldGroup = 'model' | 'prompt' | 'sequence' | 'training' | 'validation' | 'run'

/** Holds while the field at `path` has one of these values (for a list: holds one of them). */
export interface Condition {
  readonly path: string
  readonly values: readonly string[]
}

/** What a person reads beside a field, and when the form offers it. */
export interface About {
  readonly label: string
  readonly help: string
  readonly group: FieldGroup
  /** Basic fields are in the form, advanced ones behind "Advanced". */
  readonly level: 'basic' | 'advanced'
  /** Shown only while all of these hold. */
  readonly shown_when?: readonly Condition[]
  /** Options that are offered only while their condition holds; the others always are. */
  readonly options_when?: Readonly<Record<string, Condition>>
  /** Other names of options that a job file may use: alias -> option. */
  readonly aliases?: Readonly<Record<string, string>>
}

export type FieldValue = string | number | boolean | null | readonly string[]

/** One field as the form needs it; `path` is dotted, as in `tuning_config.num_virtual_tokens`. */
export interface Field extends About {
  readonly path: string
  /** `text` is free text, `choices` a list out of `options`, `prompt` the name of a prompt in the library. */
  readonly type: 'text' | 'integer' | 'number' | 'boolean' | 'choice' | 'choices' | 'prompt'
  /** undefined: required. */
  readonly default: FieldValue | undefined
  /** The form may leave it empty (null). */
  readonly nullable: boolean
  /** A number field that also takes the word "auto". */
  readonly auto: boolean
  /** Bounds are inclusive unless `exclusive_min`. */
  readonly min: number | null
  readonly max: number | null
  readonly exclusive_min: boolean
  readonly options: readonly string[] | null
  /** For error messages: "a whole number from 1 to 100". */
  readonly accepted: string
}

export type FieldInfo = Omit<Field, 'path'>

/** The value of another field, by path. */
export type Lookup = (path: string) => unknown

const holds = ({ path, values }: Condition, valueOf: Lookup): boolean => {
  const value = valueOf(path)
  return (Array.isArray(value) ? value : [value]).some((one) => values.includes(String(one)))
}

/** Whether the form shows a field, given the other fields' values. */
export const isShown = (field: Pick<Field, 'shown_when'>, valueOf: Lookup): boolean =>
  (field.shown_when ?? []).every((condition) => holds(condition, valueOf))

/** The options of a choice that make sense with the other fields' values. A value may still be another one: checkJob says so. */
export const offeredOptions = (field: Field, valueOf: Lookup): readonly string[] =>
  (field.options ?? []).filter((option) => {
    const condition = field.options_when?.[option]
    return condition === undefined || holds(condition, valueOf)
  })

const INFO = new WeakMap<object, FieldInfo>()

/** What is known of a schema made by one of the helpers below. */
export const infoOf = (schema: object): FieldInfo | undefined => INFO.get(schema)

type Partly = About & Pick<FieldInfo, 'type' | 'default' | 'accepted'> & Partial<FieldInfo>

function described<S extends object>(schema: S, info: Partly): S {
  INFO.set(schema, { nullable: false, auto: false, min: null, max: null, exclusive_min: false, options: null, ...info })
  return schema
}

export interface Range {
  readonly min: number
  readonly max: number
}

const within = ({ min, max }: Range): string => `from ${min} to ${max}`
const whole = ({ min, max }: Range) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max))
const between = ({ min, max }: Range) => v.pipe(v.number(), v.finite(), v.minValue(min), v.maxValue(max))
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0))

export const requiredText = (about: About) =>
  described(v.pipe(v.string(), v.regex(/\S/)), { ...about, type: 'text', default: undefined, accepted: 'text that is not empty' })

/** @param accepted what may be in it, where a rule (rules.ts) asks for more than text */
export const text = (fallback: string, about: About, accepted = 'text') =>
  described(v.optional(v.string(), fallback), { ...about, type: 'text', default: fallback, accepted })

/** The id or name of a prompt in the library; empty: none. */
export const promptName = (about: About) =>
  described(v.optional(v.string(), ''), {
    ...about,
    type: 'prompt',
    default: '',
    accepted: 'the id or name of a prompt in the library',
  })

export const flag = (fallback: boolean, about: About) =>
  described(v.optional(v.boolean(), fallback), { ...about, type: 'boolean', default: fallback, accepted: 'true or false' })

export const integer = (fallback: number, range: Range, about: About) =>
  described(v.optional(whole(range), fallback), {
    ...about,
    ...range,
    type: 'integer',
    default: fallback,
    accepted: `a whole number ${within(range)}`,
  })

/** An integer that may be null: the thing it limits is then off. */
export const optionalInteger = (range: Range, about: About) =>
  described(v.optional(v.nullable(whole(range)), null), {
    ...about,
    ...range,
    type: 'integer',
    default: null,
    nullable: true,
    accepted: `null or a whole number ${within(range)}`,
  })

export const number = (fallback: number, range: Range, about: About) =>
  described(v.optional(between(range), fallback), {
    ...about,
    ...range,
    type: 'number',
    default: fallback,
    accepted: `a number ${within(range)}`,
  })

export const optionalPositive = (about: About) =>
  described(v.optional(v.nullable(positive), null), {
    ...about,
    type: 'number',
    default: null,
    nullable: true,
    min: 0,
    exclusive_min: true,
    accepted: 'null or a number above 0',
  })

export const autoOrPositive = (about: About) =>
  described(v.optional(v.union([v.literal('auto'), positive]), 'auto'), {
    ...about,
    type: 'number',
    default: 'auto',
    auto: true,
    min: 0,
    exclusive_min: true,
    accepted: '"auto" or a number above 0',
  })

const listed = (options: readonly string[]): string => options.map((option) => `"${option}"`).join(', ')

export const choice = <const O extends readonly string[]>(options: O, fallback: O[number], about: About) =>
  described(v.optional(v.picklist(options), fallback), {
    ...about,
    type: 'choice',
    default: fallback,
    options,
    accepted: `one of ${listed(options)}`,
  })

/** A choice that may be null: nothing chosen. */
export const optionalChoice = <const O extends readonly string[]>(options: O, about: About) =>
  described(v.optional(v.nullable(v.picklist(options)), null), {
    ...about,
    type: 'choice',
    default: null,
    nullable: true,
    options,
    accepted: `null or one of ${listed(options)}`,
  })

/** A list of distinct options, in the order of `options` however they are given. */
const distinctOf = <const O extends readonly string[]>(options: O, least: number) => {
  // One check of the whole list: a hostile one must not become a million issues.
  const known: ReadonlySet<unknown> = new Set(options)
  const fits = (list: unknown): boolean =>
    Array.isArray(list) &&
    list.length >= least &&
    list.length <= options.length &&
    new Set(list).size === list.length &&
    list.every((item) => known.has(item))
  const inOrder = (items: O[number][]): O[number][] => options.filter((option: O[number]) => items.includes(option))
  return v.pipe(v.custom<O[number][]>(fits), v.transform(inOrder))
}

/** A list of options, each at most once. It may be empty. */
export const choices = <const O extends readonly string[]>(options: O, fallback: O[number][], about: About) =>
  described(v.optional(distinctOf(options, 0), fallback), {
    ...about,
    type: 'choices',
    default: fallback,
    options,
    accepted: `a list of any of ${listed(options)}, each once`,
  })

/** A list of at least one option, or null: what suits the model. */
export const optionalChoices = <const O extends readonly string[]>(options: O, about: About) =>
  described(v.optional(v.nullable(distinctOf(options, 1)), null), {
    ...about,
    type: 'choices',
    default: null,
    nullable: true,
    options,
    accepted: `null or a list of one or more of ${listed(options)}, each once`,
  })
