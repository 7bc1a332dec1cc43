/**
 * One line on the terminal that follows a running job: download, steps with loss and time left, epochs. On something that is
 * not a terminal it prints a line an epoch instead of redrawing.
 */
import type { Progress } from '../src/protocol'

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

export class ProgressLine {
  private totalSteps = 0
  /** Exponential mean of the last steps' times, ms: what is left is estimated from it. */
  private stepMs: number | null = null
  private drawn = false

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly silent: boolean,
  ) {}

  show(progress: Progress): void {
    switch (progress.type) {
      case 'model_progress':
        if (progress.stage === 'wait') return this.draw(`waiting for another tab that downloads ${progress.file}`)
        return this.draw(
          `${progress.stage} ${progress.file} ${mebibytes(progress.loaded)}${progress.total === null ? '' : ` of ${mebibytes(progress.total)}`}`,
        )
      case 'tune_started':
        this.totalSteps = progress.total_steps
        this.note(
          `${progress.train_rows} rows, ${progress.validation_rows} held out, ${progress.total_steps} steps on ${progress.device} (${progress.device_reason}), learning rate ${progress.learning_rate.toPrecision(3)}`,
        )
        return progress.notices.forEach((text) => this.note(text))
      case 'step': {
        const { step, loss, ms } = progress.step
        this.stepMs = this.stepMs === null ? ms : 0.95 * this.stepMs + 0.05 * ms
        const left = Math.round(((this.totalSteps - step) * this.stepMs) / 1000)
        return this.draw(
          `step ${step}/${this.totalSteps}  loss ${loss.toFixed(4)}  ${this.stepMs.toFixed(0)} ms/step  ${left} s left`,
        )
      }
      case 'epoch': {
        const { epoch, train_loss, validation_loss, metrics } = progress.epoch
        const held =
          validation_loss === null
            ? ''
            : `  held out: loss ${validation_loss.toFixed(4)}, exact match ${metrics?.exact_match.toFixed(3) ?? 'none'}`
        return this.note(`epoch ${epoch}  loss ${train_loss.toFixed(4)}${held}${progress.best ? '  (best)' : ''}`)
      }
      case 'stage':
        return this.draw(progress.text)
      case 'evaluated':
      case 'paused':
      case 'token':
        return
    }
  }

  /** A line that stays. */
  note(text: string): void {
    if (this.silent) return
    this.end()
    this.stream.write(`${text}\n`)
  }

  /** Leaves the redrawn line. */
  end(): void {
    if (this.drawn) this.stream.write('\r\x1b[K')
    this.drawn = false
  }

  private draw(text: string): void {
    if (this.silent || !this.stream.isTTY) return
    this.stream.write(`\r\x1b[K${text.slice(0, this.stream.columns - 1)}`)
    this.drawn = true
  }
}
