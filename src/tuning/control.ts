/** Pause, resume and cancel for a run in progress: the caller turns the switches, the loop passes the gate between batches. */

/**
 * Lets everything that waits in the event loop through once. A posted message is used because it costs microseconds, where timers are
 * throttled in hidden tabs and clamped to 4 ms.
 */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
}

/** Passed between batches. False: stop here, what is under way is thrown away. */
export type Gate = () => Promise<boolean>

export class TuneControl {
  private waiting: (() => void)[] = []
  private cancelled = 0
  private isPaused = false
  private pausedSince = 0
  private pausedTotal = 0

  /** Takes effect after the batch in progress. */
  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.pausedSince = performance.now()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.pausedTotal += performance.now() - this.pausedSince
    for (const go of this.waiting.splice(0)) go()
  }

  /** Ends the run, also a paused one; the best prompt so far is kept. Again: skips the closing evaluation too. */
  cancel(): void {
    this.cancelled += 1
    this.resume()
  }

  get paused(): boolean {
    return this.isPaused
  }

  /** How often cancel was called. */
  get cancels(): number {
    return this.cancelled
  }

  /** Milliseconds spent paused, so that they don't count as work. */
  get paused_ms(): number {
    return this.pausedTotal + (this.isPaused ? performance.now() - this.pausedSince : 0)
  }

  /**
   * A gate that lets waiting messages through, holds while paused, and closes at the first cancel after it was made.
   * @param onPause told when it begins to hold and when it goes on.
   */
  gate(onPause: (paused: boolean) => void | Promise<void>): Gate {
    const before = this.cancelled
    return async () => {
      await breathe()
      if (this.isPaused) {
        await onPause(true)
        // The answer may have come while onPause was at work.
        while (this.paused) await new Promise<void>((resolve) => this.waiting.push(resolve))
        await onPause(false)
      }
      return this.cancelled === before
    }
  }
}
