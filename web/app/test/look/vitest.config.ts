import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: import.meta.dirname,
  test: { include: ['*.spec.ts'], testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false },
})
