/**
 * `npm run generate -- --prompt DIR [--input TEXT] [parameters]` (`--help` lists them)
 *
 * Answers with a tuned prompt, in the same worker the page uses, in a headless Chromium. The text comes on the standard output as it is written,
 * how it ended and counts on the standard error; with --json one JSON object on the standard output instead. Exit 0: answered; 2: arguments are
 * wrong, each problem as `field: message`; 1: anything else.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import type { Problem } from '../src/job/problem'
import type { Commands, Generation } from '../src/protocol'
import { GENERATE_USAGE, parseArguments, type GenerateArguments } from './generate-arguments'
import { CommandFailed, Headless } from './headless'
import { isDirectory, localName } from './local-model'
import { ProgressLine } from './progress-line'

class InvalidArguments extends Error {
  override readonly name = 'InvalidArguments'
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(({ field, message }) => `${field}: ${message}`).join('\n'))
  }
}

interface Work {
  readonly arguments: GenerateArguments
  /** The adapter's folder; null without a prompt. */
  readonly adapter: string | null
  readonly base_model: string
  /** The folder of this machine that base_model names, if it names one. */
  readonly modelDirectory: string | null
  readonly model_dtype: string
  readonly verbalizer: string
  readonly input: string
}

const CONFIG_FILE = 'adapter_config.json'
const AdapterSchema = v.object({ base_model_name_or_path: v.nullish(v.string(), null) })
/** What `npm run tune` writes beside the adapter. */
const ReportSchema = v.object({ job: v.object({ verbalizer: v.string(), model_dtype: v.string() }) })

/** A JSON file's content, null where it is not there or of another shape. */
function readJson<Output>(path: string, schema: v.GenericSchema<unknown, Output>): Output | null {
  if (!existsSync(path)) return null
  try {
    const parsed = v.safeParse(schema, JSON.parse(readFileSync(path, 'utf8')))
    return parsed.success ? parsed.output : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** The folder of the adapter: the one given, or prompt/ in it. */
function adapterIn(directory: string): string {
  const found = [join(directory, 'prompt'), directory].find((folder) => existsSync(join(folder, CONFIG_FILE)))
  if (found !== undefined) return resolve(found)
  const message = `"${directory}": no ${CONFIG_FILE} in it or in its folder prompt; give what npm run tune wrote, or another PEFT adapter`
  throw new InvalidArguments([{ field: 'prompt', message }])
}

function readInput(given: string | null): string {
  if (given !== null) return given
  if (process.stdin.isTTY) {
    throw new InvalidArguments([{ field: 'input', message: 'missing; give --input TEXT, or the text on the standard input' }])
  }
  // A line's end is not part of the line.
  return readFileSync(0, 'utf8').replace(/\r?\n$/, '')
}

/** Finds the files and fills in what the prompt's own say. @throws InvalidArguments */
function readWork(given: GenerateArguments): Work {
  const adapter = given.prompt === null ? null : adapterIn(given.prompt)
  const report = adapter === null ? null : readJson(join(dirname(adapter), 'report.json'), ReportSchema)
  const named = adapter === null ? null : (readJson(join(adapter, CONFIG_FILE), AdapterSchema)?.base_model_name_or_path ?? null)
  const base = given.base_model ?? named
  if (base === null) {
    throw new InvalidArguments([
      { field: 'base-model', message: `missing; ${CONFIG_FILE} names none, give it with --base-model` },
    ])
  }
  const modelDirectory = isDirectory(resolve(base)) ? resolve(base) : null
  if (modelDirectory === null && base.startsWith('local/')) {
    const message = `"${base}" was a folder where the prompt was tuned; give the folder here with --base-model DIR`
    throw new InvalidArguments([{ field: 'base-model', message }])
  }
  return {
    arguments: given,
    adapter,
    base_model: modelDirectory === null ? base : localName(modelDirectory),
    modelDirectory,
    model_dtype: given.model_dtype ?? report?.job.model_dtype ?? 'auto',
    verbalizer: given.verbalizer ?? report?.job.verbalizer ?? '{{input}}',
    input: readInput(given.input),
  }
}

/** Loads the model, takes the prompt in for the time of the answer, and writes the text out as it comes. */
async function answer(work: Work, headless: Headless, line: ProgressLine): Promise<Generation> {
  const { base_model, model_dtype, modelDirectory, adapter, verbalizer, input } = work
  const { allow_downloads, json, parameters, task } = work.arguments
  if (modelDirectory !== null) await headless.addModel(base_model, modelDirectory)
  await headless.request('load_model', { base_model, model_dtype, allow_downloads })
  const prompt = adapter === null ? null : await headless.importPrompt(basename(adapter), base_model, adapter)
  try {
    let written = 0
    const write = (text: string): void => {
      if (json || text === '') return
      line.end()
      process.stdout.write(text)
      written += text.length
    }
    headless.onProgress = (progress) => (progress.type === 'token' ? write(progress.text) : line.show(progress))
    const payload: Commands['generate'] = { prompt: prompt?.id ?? null, task, base_model, input, verbalizer, parameters }
    const generation = await headless.request('generate', payload)
    // Pieces still on their way here when the answer was done.
    headless.onProgress = () => undefined
    write(generation.text.slice(written))
    if (!json && !generation.text.endsWith('\n')) process.stdout.write('\n')
    return generation
  } finally {
    if (prompt) await headless.request('delete_prompt', { prompt: prompt.id })
  }
}

async function run(work: Work): Promise<void> {
  const { json } = work.arguments
  const line = new ProgressLine(process.stderr, false)
  const headless = await Headless.open((text) => line.note(text))
  try {
    headless.onProgress = (progress) => line.show(progress)
    const generation = await answer(work, headless, line)
    line.end()
    const { tokens, input_tokens, finish_reason, ms, seed } = generation
    if (json) console.log(JSON.stringify(generation))
    else {
      const seeded = work.arguments.parameters.decoding_method === 'SAMPLING' ? `, seed ${seed}` : ''
      console.error(`${finish_reason}: ${tokens} tokens in ${(ms / 1000).toFixed(1)} s after ${input_tokens} of input${seeded}`)
    }
  } finally {
    await headless.close()
  }
}

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2))
  if (parsed === null) {
    console.log(GENERATE_USAGE)
    return 0
  }
  if (!parsed.ok) throw new InvalidArguments(parsed.problems)
  for (const notice of parsed.arguments.notices) console.error(notice)
  await run(readWork(parsed.arguments))
  return 0
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error))
  if (error instanceof InvalidArguments) {
    console.error('npm run generate -- --help lists the options.')
    return 2
  }
  return error instanceof CommandFailed && error.failure.code === 'invalid' ? 2 : 1
})
