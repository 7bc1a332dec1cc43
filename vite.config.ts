/**
 * Build and servers. `vite` and `vite preview` send the headers of headers.ts; a build also carries them for static hosts:
 * `_headers` (Netlify, Cloudflare Pages), a CSP in each page, and `headers-sw.js`, a service worker that adds them where the
 * host can't (GitHub Pages), registered by src/isolation.ts.
 */
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'
import { CONTENT_SECURITY_POLICY, HEADERS } from './headers.ts'

/** Adds our headers to every response of our own origin; passes everything else through. */
const SERVICE_WORKER = `const HEADERS = ${JSON.stringify(HEADERS, null, 2)}
self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
self.addEventListener('fetch', (event) => {
  const { request } = event
  if (new URL(request.url).origin !== self.location.origin || request.headers.has('range')) return
  event.respondWith(
    fetch(request).then((response) => {
      if (response.status === 0 || response.type === 'opaqueredirect') return response
      const headers = new Headers(response.headers)
      for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value)
      return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
    }),
  )
})
`

function staticHosting(): Plugin {
  return {
    name: 'promptlathe-static-hosting',
    apply: 'build',
    generateBundle() {
      const lines = Object.entries(HEADERS).map(([name, value]) => `  ${name}: ${value}`)
      this.emitFile({ type: 'asset', fileName: '_headers', source: `/*\n${lines.join('\n')}\n` })
      this.emitFile({ type: 'asset', fileName: 'headers-sw.js', source: SERVICE_WORKER })
    },
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: CONTENT_SECURITY_POLICY },
        injectTo: 'head-prepend',
      },
    ],
  }
}

export default defineConfig({
  base: './',
  // Several pages, no history fallback: a missing model file must be a 404, not index.html with status 200.
  appType: 'mpa',
  plugins: [svelte(), staticHosting()],
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    rollupOptions: { input: { index: 'index.html', headless: 'headless.html' } },
  },
  optimizeDeps: { exclude: ['@huggingface/transformers', 'onnxruntime-web'] },
  server: { headers: HEADERS, port: 5173 },
  preview: { headers: HEADERS, port: 4173 },
})
