/**
 * Cross-origin isolation on hosts that can't send headers: registers the build's service worker, which adds them, and
 * reloads once so that they apply to the page. Does nothing where the page is isolated already (our own servers).
 */
const RELOADED = 'promptlathe-isolation-reloaded'

/** Returns true when the page is about to reload. */
export async function ensureIsolation(): Promise<boolean> {
  if (window.crossOriginIsolated || import.meta.env.DEV || !('serviceWorker' in navigator) || !window.isSecureContext)
    return false
  // One try only: a browser that will not isolate the page still runs it, on one thread.
  if (sessionStorage.getItem(RELOADED) !== null) return false
  try {
    await navigator.serviceWorker.register(new URL('headers-sw.js', document.baseURI), { type: 'classic' })
    await navigator.serviceWorker.ready
    sessionStorage.setItem(RELOADED, '1')
    location.reload()
    return true
  } catch {
    // Refused (private window, policy): the page works without, on one thread.
    return false
  }
}
