/**
 * What the page and the worker that reads files of records say to each other, and the checks of both sides. One worker reads one file:
 * the page sends one request; the worker answers with reports, the last of which is `done` or `failed`. Ending the worker cancels.
 */
import * as v from 'valibot'

const text = v.string()
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const row = v.object({ line: count, reason: text })
const columns = v.object({ columns: v.array(text), sample: v.array(v.array(text)) })

const Request = v.object({
  /** The file's name tells what kind it is; see parseRecords. */
  name: text,
  data: v.union([text, v.instance(Blob)]),
  mapping: v.nullable(v.object({ input: text, output: text, task: v.exactOptional(v.nullable(text)) })),
})

const Report = v.variant('type', [
  v.object({ type: v.literal('progress'), read: count, total: count }),
  /** Some of the rows, in order: a long list in one message would hold the page up while it is unpacked. */
  v.object({
    type: v.literal('rows'),
    examples: v.array(v.object({ input: text, output: text, task: v.exactOptional(text) })),
    skipped: v.array(row),
    duplicates: v.array(v.object({ line: count, first_line: count })),
  }),
  v.object({ type: v.literal('done'), converted: count, found: columns }),
  v.object({ type: v.literal('failed'), message: text, line: v.nullable(count), found: v.nullable(columns) }),
])

export type RecordsRequest = v.InferOutput<typeof Request>
export type RecordsReport = v.InferOutput<typeof Report>

/** @throws ValiError for what is no request. */
export const parseRequest = (data: unknown): RecordsRequest => v.parse(Request, data)

/** @throws ValiError for what is no report. */
export const parseReport = (data: unknown): RecordsReport => v.parse(Report, data, { abortEarly: true })
