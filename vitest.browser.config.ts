/**
 * Tests in a real Chromium with WebGPU: they start it themselves (test/browser/run-page.ts), one after the other, because the
 * software adapter takes every core. `npx vitest run --config vitest.browser.config.ts`
 */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts', 'test/e2e/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
})
