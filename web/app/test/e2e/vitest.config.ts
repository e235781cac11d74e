import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: import.meta.dirname,
  test: { include: ['*.spec.ts'], testTimeout: 90_000, hookTimeout: 60_000, fileParallelism: false },
})
