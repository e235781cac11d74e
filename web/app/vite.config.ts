import { defineConfig } from 'vitest/config'

// Fixed names: dist is committed, and a changed source should change its own
// file and nothing else. The Go handler puts a hash into the address instead.
export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: ['chrome123', 'safari17.5', 'firefox120'], // they know light-dark()
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        entryFileNames: 'app.js',
        chunkFileNames: '[name].js',
        assetFileNames: (a) => (a.names[0] === 'index.css' ? 'app.css' : '[name][extname]'),
      },
    },
  },
  server: { proxy: { '/v1': { target: process.env.PARLEY_URL ?? 'http://localhost:8080', ws: true } } },
  test: { include: ['test/unit/**/*.test.ts'] },
})
