/**
 * The tuning worker's session: takes messages of the protocol, answers each exactly once, and turns every error into a Failure. What a
 * command does is in the files beside this one. It touches nothing of the browser but what the Environment gives, so it also runs in Node.
 */
import { parseCommand, ProtocolError } from '../../src/protocol'
import type { Command, CommandName, Commands, Event, Results } from '../../src/protocol'
import { probeDevices } from './devices'
import { CommandError, failureOf } from './failures'
import { inspect } from './inspect'
import { exportJob } from './export-job'
import { exportPrompt } from './exports'
import { deletePrompt, importPrompt } from './library'
import { modelFiles } from './model-files'
import { Models } from './models'
import { Openings } from './openings'
import { preview } from './preview'
import { Services, type Environment, type Report } from './services'
import { addModelFiles, removeModel, resetStorage, storageReport } from './storage'
import { Trials } from './try'
import { Runs } from './tune'

/** As Command, but generic: TypeScript then sees that a command and its handler belong together. */
type CommandOf<Name extends CommandName> = { [N in Name]: { readonly type: N; readonly request: number } & Commands[N] }[Name]
type Handlers = {
  readonly [N in CommandName]: (command: CommandOf<N>, report: Report, request: number) => Promise<Results[CommandName]>
}
/** The same, each with its own result. */
type TypedHandlers = {
  readonly [N in CommandName]: (command: CommandOf<N>, report: Report, request: number) => Promise<Results[N]>
}

export class Tuner {
  private readonly services: Services
  private readonly handlers: Handlers
  private readonly post: (event: Event) => void

  constructor(environment: Environment) {
    this.post = environment.post
    this.services = new Services(environment)
    this.handlers = handlersOf(this.services)
    void this.services.cache.files.sweep()
  }

  /** Takes whatever arrived. Never rejects: an answer that can't be posted is answered as failed. */
  async receive(data: unknown): Promise<void> {
    let command: Command
    try {
      command = parseCommand(data)
    } catch (error) {
      const request = error instanceof ProtocolError ? error.request : null
      if (request === null) this.services.warn(`A message that is no command was ignored (${String(error)}).`)
      else this.post({ type: 'failed', request, failure: failureOf(error) })
      return
    }
    const { request } = command
    try {
      const result = await this.dispatch(command)
      this.post({ type: 'result', request, result })
    } catch (error) {
      this.post({ type: 'failed', request, failure: failureOf(error) })
    }
  }

  private dispatch<Name extends CommandName>(command: CommandOf<Name>): Promise<Results[CommandName]> {
    const { request } = command
    const report: Report = (progress) => this.post({ ...progress, request })
    return this.handlers[command.type](command, report, request)
  }
}

function handlersOf(services: Services): TypedHandlers {
  const models = new Models(services)
  const runs = new Runs(services, models)
  const trials = new Trials(services, models)
  const openings = new Openings()
  const whileIdle = (what: string): void => {
    if (runs.inProgress)
      throw new CommandError('busy', `${what} has to wait: a run is in progress.`, 'Wait until it is done, or cancel it first.')
  }
  const nothing = <T>(work: () => T): Promise<null> =>
    Promise.resolve()
      .then(work)
      .then(() => null)
  return {
    probe_devices: () => probeDevices(services.ort),
    open_model: (command, report) => openings.run(async (signal) => models.summary(await models.openOn(command, report, signal))),
    cancel_opening: () => nothing(() => openings.cancel()),
    load_model: (command, report) => nothing(() => openings.run((signal) => models.prepare(command, report, signal))),
    model_files: (command) => openings.run((signal) => modelFiles(command, services, signal)),
    add_model_files: (command) =>
      nothing(() => {
        whileIdle('Adding files')
        return addModelFiles(command, services, models)
      }),
    inspect: (command, report) => inspect(command, services, models, report),
    preview: (command, report) => preview(command, models, report),
    tune: (command, report) => runs.tune(command, report),
    resume_run: ({ run }, report) => runs.resumeRun(run, report),
    interrupted_runs: () => runs.interrupted(),
    discard_run: ({ run }) => nothing(() => runs.discard(run)),
    pause: () => nothing(() => runs.pause()),
    resume: () => nothing(() => runs.resume()),
    cancel: () => nothing(() => runs.cancel()),
    generate: (command, report, request) => trials.generate(request, command, report),
    stop_generating: ({ target }) => nothing(() => trials.stop(target)),
    list_prompts: () => services.prompts.list(),
    rename_prompt: ({ prompt, name }) => nothing(() => services.prompts.rename(prompt, name)),
    delete_prompt: ({ prompt }) => nothing(() => deletePrompt(prompt, services)),
    import_prompt: (command, report) => importPrompt(command, services, models, report),
    export_job: (command) => exportJob(command, services, models),
    export_prompt: (command, report) => exportPrompt(command, services, models, trials, report),
    storage: () => storageReport(services),
    remove_model: ({ base_model }) => nothing(() => removeModel(base_model, services, models, runs)),
    reset_storage: () =>
      nothing(() => {
        whileIdle('Resetting the storage')
        return resetStorage(services)
      }),
  }
}
