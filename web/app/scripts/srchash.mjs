// Writes dist/.srchash: which sources the build came from. The Go test
// fresh_test.go computes the same: sha256 over "path\0length\0content" of each
// file that a build reads, in the order of their paths.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const app = join(import.meta.dirname, '..')
const roots = ['index.html', 'package-lock.json', 'package.json', 'public', 'scripts', 'src', 'tsconfig.json', 'vite.config.ts']

function files(name) {
  let entries
  try {
    entries = readdirSync(join(app, name), { withFileTypes: true })
  } catch {
    return [name]
  }
  return entries.flatMap((e) => (e.isDirectory() ? files(`${name}/${e.name}`) : [`${name}/${e.name}`]))
}

const hash = createHash('sha256')
for (const name of roots.flatMap(files).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
  const body = readFileSync(join(app, name))
  hash.update(`${name}\0${body.length}\0`)
  hash.update(body)
}
writeFileSync(join(app, '../dist/.srchash'), hash.digest('hex') + '\n')
