/** Between what a person types in a field and the value in the job. Pure; whether a value is accepted is for checkJob to say. */
import type { Field, FieldValue } from '../../job/field'

/** The value of typed text. What is no number stays text, so that checkJob can name it. */
export function valueOf(field: Field, typed: string): FieldValue {
  const text = typed.trim()
  if (text === '' && field.nullable) return null
  if ((field.type !== 'integer' && field.type !== 'number') || text === '') return typed
  if (field.auto && text.toLowerCase() === 'auto') return 'auto'
  const number = Number(text)
  return Number.isFinite(number) ? number : text
}

/** How a value is shown in a text field. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  return JSON.stringify(value)
}

/** "0.2", "auto", "on", "none": the default named in a few letters. */
export function nameOf(value: unknown): string {
  if (value === null || value === '') return 'empty'
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return Array.isArray(value) ? value.join(', ') : textOf(value)
}

/** A field's message without the value it opens with: the value is in the box right above it. */
export const messageFor = (problem: string): string =>
  problem
    .replace(/^("(?:[^"\\]|\\.)*"|-?[\d.e+-]+) is not accepted; give /, 'Give ')
    // An empty box says itself that something is missing.
    .replace(/^(missing|"" is not accepted[^;]*); give /, 'Give ')
