/**
 * The response headers the app needs, in one place: used by the dev and preview servers (vite.config.ts), written into the
 * build for static hosts (`_headers`, `headers-sw.js`), and asserted by the tests.
 */

/** Hosts the model hub answers from: model files, and on a person's own request its search and lists of files. Nothing else is asked of them. */
const HUB = ['https://huggingface.co', 'https://*.huggingface.co', 'https://*.hf.co', 'https://*.xethub.hf.co']

/** Content-Security-Policy. wasm compilation needs 'wasm-unsafe-eval'; onnxruntime's thread workers start from our own origin. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  `connect-src 'self' blob: data: ${HUB.join(' ')}`,
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** Cross-origin isolation gives wasm its threads (SharedArrayBuffer). */
export const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': `${CONTENT_SECURITY_POLICY}; frame-ancestors 'none'`,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}
