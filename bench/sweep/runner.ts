/** Makes the runs of a sweep with one worker: models stay loaded from run to run, and nothing stays in the prompt library. */
import { RequestFailed } from '../../src/client'
import type { ModelSummary } from '../../src/protocol'
import { NodeWorker } from './node-worker'
import type { RunKey, RunRecord, RunRecords } from './records'
import type { Setting } from './settings'
import type { Task } from './tasks'

/** See node-worker.ts. */
const THREADS = 1

/** A model folder of this machine, and what to call it. */
export interface ModelFolder {
  readonly name: string
  readonly folder: string
}

type Measured = Omit<RunRecord, keyof RunKey | 'model' | 'embedding_std' | 'hidden_size' | 'learning_rate'>

export class Runner {
  /** Prompts that others start from, by what made them. */
  private readonly sources = new Map<string, string>()
  private readonly models = new Map<string, ModelSummary>()
  made = 0

  private constructor(
    private readonly worker: NodeWorker,
    private readonly records: RunRecords,
    private readonly tasks: readonly Task[],
  ) {}

  static async open(records: RunRecords, tasks: readonly Task[]): Promise<Runner> {
    return new Runner(await NodeWorker.open(THREADS), records, tasks)
  }

  /** Makes a folder of this machine the model `name`, which then stands in for the embedded one of its kind. */
  async addModel({ name, folder }: ModelFolder): Promise<void> {
    await this.worker.addModel(name, folder)
    await this.model(name)
  }

  /** May tasks made for `base_model` be tuned on `other`? */
  async sameKind(base_model: string, other: string): Promise<boolean> {
    return (await this.model(base_model)).kind === (await this.model(other)).kind
  }

  /** Opens a model, to know its file and the spread of its embeddings. */
  async model(base_model: string): Promise<ModelSummary> {
    const known = this.models.get(base_model)
    if (known) return known
    const request = { base_model, model_dtype: 'auto', device: 'auto', allow_downloads: false }
    const summary = await this.worker.request('open_model', request)
    this.models.set(base_model, summary)
    return summary
  }

  /** One run, or the record of it. */
  async run(task: Task, model: string, setting: Setting, seed: number): Promise<RunRecord> {
    const { file_sha256: model_sha256, embedding_std, hidden_size } = await this.model(model)
    const key = { task: task.name, data: task.data, model_sha256, setting, seed }
    const known = this.records.find(key)
    if (known) return known
    const learning_rate = Number((setting.ratio * embedding_std).toPrecision(2))
    const job = {
      ...(await this.jobOf(task, model, setting, seed)),
      learning_rate,
      num_epochs: setting.num_epochs,
      batch_size: setting.batch_size,
    }
    const record = { ...key, model, embedding_std, hidden_size, learning_rate, ...(await this.measured(task, job)) }
    this.records.add(record)
    this.made += 1
    const { exact_match, seconds, steps } = record
    const said = Object.entries(setting).map(([name, value]) => `${name} ${value}`)
    console.error(
      `${task.name} on ${model}: ${said.join(', ')}, seed ${seed}: ${(100 * exact_match).toFixed(0)} % in ${seconds.toFixed(1)} s (${steps} steps)`,
    )
    return record
  }

  async close(): Promise<void> {
    try {
      for (const prompt of this.sources.values()) await this.worker.request('delete_prompt', { prompt })
    } finally {
      await this.worker.close()
    }
  }

  private async measured(task: Task, job: object): Promise<Measured> {
    const began = Date.now()
    try {
      const payload = { job, name: `sweep ${task.title}`, train: task.train, validation: task.validation }
      const { prompt, report } = await this.worker.request('tune', payload)
      await this.worker.request('delete_prompt', { prompt: prompt.id })
      const { tuned, steps, best_epoch, seconds } = report
      if (!tuned) throw new Error(`${task.name} holds no rows out: nothing is measured`)
      const { exact_match, label_accuracy, rouge_l, loss } = tuned.metrics
      const held_out = tuned.predictions.length
      return { held_out, steps: steps.length, exact_match, label_accuracy, rouge_l, loss, best_epoch, seconds }
    } catch (error) {
      // Too high a learning rate is a result, not an accident.
      if (!(error instanceof RequestFailed) || !/is not (a )?finite/.test(error.message)) throw error
      await this.forget(`sweep ${task.title}`)
      const nothing = { label_accuracy: null, rouge_l: null, loss: null, best_epoch: 0 }
      return { held_out: 0, steps: 0, exact_match: 0, ...nothing, seconds: (Date.now() - began) / 1000 }
    }
  }

  /** What a run that diverged has left in the library. */
  private async forget(name: string): Promise<void> {
    const sources = new Set(this.sources.values())
    for (const prompt of await this.worker.request('list_prompts', {})) {
      if (prompt.name === name && !sources.has(prompt.id)) await this.worker.request('delete_prompt', { prompt: prompt.id })
    }
  }

  private async jobOf(task: Task, model: string, setting: Setting, seed: number): Promise<Record<string, unknown>> {
    const { num_virtual_tokens, init } = setting
    const shared = { ...task.job, base_model: model, baselines: [], seed }
    const config = { ...task.tuning_config, num_virtual_tokens, prompt_tuning_init_method: init }
    if (init === 'TEXT') return { ...shared, tuning_config: { ...config, prompt_tuning_init_text: task.instruction } }
    if (init !== 'SOURCE') return { ...shared, tuning_config: config }
    const source = await this.sourceOf(task, model, num_virtual_tokens, seed)
    const start = { prompt_tuning_init_method: task.source?.method, prompt_tuning_init_source_model: source }
    return { ...shared, tuning_config: { ...config, ...start } }
  }

  /** The prompt a task starts from: its source sample's with that sample's own settings, as many tokens as this one, and the same seed. */
  private async sourceOf(task: Task, model: string, num_virtual_tokens: number, seed: number): Promise<string> {
    const source = this.tasks.find(({ title }) => title === task.source?.title)
    if (!source) throw new Error(`${task.name} starts from "${task.source?.title ?? ''}", which is no sample`)
    const key = [source.name, model, num_virtual_tokens, seed].join('|')
    const known = this.sources.get(key)
    if (known !== undefined) return known
    const tuning_config = { ...source.tuning_config, num_virtual_tokens }
    const epochs = source.suggested_epochs === null ? {} : { num_epochs: source.suggested_epochs }
    const job = { ...source.job, ...epochs, base_model: model, baselines: [], seed, tuning_config }
    const payload = { job, name: `sweep ${source.title}`, train: source.train, validation: source.validation }
    const { prompt } = await this.worker.request('tune', payload)
    this.sources.set(key, prompt.id)
    return prompt.id
  }
}
