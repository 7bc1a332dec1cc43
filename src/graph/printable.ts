/**
 * Text that a file of strangers brought, as it may stand in a message: control characters escaped, long names shortened in the middle, the whole
 * held to what a person reads. Escaping for HTML is not its business: whoever shows text does that.
 */

/** Of one name in quotes. */
const LONGEST_NAME = 80
/** Of a whole message: the beginning says where, the end says what. */
const LONGEST = 600

/** C0 and C1 controls, line and paragraph separators, marks that turn the direction of writing, halves of surrogate pairs. */
// eslint-disable-next-line no-control-regex
const UNSHOWABLE = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu

const escaped = (text: string): string =>
  text.replace(UNSHOWABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)

/** At most `longest` characters (and a few): the rest is cut out of the middle. */
function shortened(text: string, longest: number): string {
  if (text.length <= longest) return text
  const end = Math.floor(longest / 3)
  return `${text.slice(0, longest - end)}... (${text.length} characters) ...${text.slice(-end)}`
}

/** A message fit to be shown and logged. Text without anything of the kind comes back as it is. */
export function printable(message: string): string {
  const names =
    message.length > LONGEST_NAME ? message.replace(/'[^']*'|"[^"]*"/g, (name) => shortened(name, LONGEST_NAME)) : message
  return shortened(escaped(shortened(names, LONGEST)), LONGEST)
}
