/**
 * Text that a file of strangers brought, as it may stand in a message: control characters escaped, long names shortened in the middle, the whole
 * held to what a person reads. Escaping for HTML is not its business: whoever shows text does that.
 */

/** Of one name in quotes, where the message is too long. */
const LONGEST_NAME = 80
/** Of a whole message: the beginning says where, the end says what. */
const LONGEST = 600
/** What is looked at of messages with names of megabytes in them. */
const EXAMINED = 100_000

/** C0 and C1 controls, line and paragraph separators, marks that turn the direction of writing, halves of surrogate pairs. */
// eslint-disable-next-line no-control-regex
const UNSHOWABLE = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu

const escaped = (text: string): string =>
  text.replace(UNSHOWABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)

/** At most `longest` characters (and a few): the rest is cut out of the middle. */
function shortened(text: string, longest: number): string {
  if (text.length <= longest) return text
  const end = Math.floor(longest / 3)
  return `${text.slice(0, longest - end)}...${text.slice(-end)}`
}

/** Text in quotes; the apostrophe of "can't" opens none. */
const QUOTED = /(?<!\p{L})(?:'[^']*'|"[^"]*")/gu

/** A message fit to be shown and logged. Text without anything of the kind comes back as it is. */
export function printable(message: string): string {
  const whole = escaped(shortened(message, EXAMINED))
  if (whole.length <= LONGEST) return whole
  return shortened(
    whole.replace(QUOTED, (name) => shortened(name, LONGEST_NAME)),
    LONGEST,
  )
}
