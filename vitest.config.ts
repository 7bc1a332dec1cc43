/** Unit tests run in Node: everything from src/job to src/formats must work there, with no DOM. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    alias: {
      // In the browser this is the copy transformers.js loads; Node has its own build of the same version.
      'onnxruntime-web/webgpu': 'onnxruntime-web',
    },
  },
  test: { include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'], testTimeout: 60_000 },
})
