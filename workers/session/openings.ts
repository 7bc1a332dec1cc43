/** Openings of models that the page asked for and may give up: one switch for all that are going on. A run's own opening is not among them. */
import { CommandError } from './failures'

const cancelled = (): CommandError =>
  new CommandError('cancelled', 'Opening the model was cancelled.', 'Trying again goes on where it stopped.')

export class Openings {
  private readonly going = new Set<AbortController>()

  async run<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController()
    this.going.add(abort)
    try {
      return await work(abort.signal)
    } catch (error) {
      // Whatever the interruption looked like where it struck, it is this.
      throw abort.signal.aborted ? cancelled() : error
    } finally {
      this.going.delete(abort)
    }
  }

  cancel(): void {
    for (const abort of this.going) abort.abort(cancelled())
  }
}
