// Writes dist/THIRD_PARTY.txt: whose work the built page contains.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const app = join(import.meta.dirname, '..')
const names = Object.keys(JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')).dependencies)
const all = [...new Set([...names, '@preact/signals-core'])].sort()

const parts = all.map((name) => {
  const dir = join(app, 'node_modules', name)
  const { version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
  const file = readdirSync(dir).find((f) => /^licen[cs]e(\.md|\.txt)?$/i.test(f))
  const text = file ? readFileSync(join(dir, file), 'utf8').replace(/\r\n?/g, '\n').trim() : `Licence: ${license}`
  return `${name} ${version} (${license})\n${'-'.repeat(72)}\n${text}\n`
})
writeFileSync(join(app, '../dist/THIRD_PARTY.txt'), `Parley's page contains parts of these works.\n\n${parts.join('\n\n')}`)
