/** Keeps the screen from sleeping while a run is on: a sleeping laptop trains nothing. Where the browser can't, it does nothing. */

/** Returns a function that lets the screen sleep again. The browser drops the lock when the tab is hidden, so it is asked anew. */
export function keepScreenOn(): () => void {
  let lock: WakeLockSentinel | null = null
  let over = false
  const ask = async (): Promise<void> => {
    if (over || document.visibilityState !== 'visible' || !('wakeLock' in navigator)) return
    try {
      lock = await navigator.wakeLock.request('screen')
      if (over) await lock.release()
    } catch {
      // Refused (battery low, policy): the run goes on without it.
    }
  }
  const shown = (): void => void ask()
  document.addEventListener('visibilitychange', shown)
  void ask()
  return () => {
    over = true
    document.removeEventListener('visibilitychange', shown)
    void lock?.release()
  }
}
