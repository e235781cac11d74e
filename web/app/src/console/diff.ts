// What one version of an agent changed of the one before it, by lines.

import type { Agent } from './api'

/** An agent as lines: a field each, then its instructions. */
export function linesOf(a: Agent): string[] {
  const { name: _, instructions, questions, models, tools, title, description, temperature, maxTokens, maxTurns, maxCalls } = a
  const fields = { title, description, models: models?.join(', '), tools: tools && (tools.join(' ') || 'none'), temperature, 'tokens a turn': maxTokens, 'turns a run': maxTurns, 'calls a turn': maxCalls }
  const said = Object.entries(fields).flatMap(([n, v]) => (v === undefined || v === '' ? [] : [`${n}: ${v}`]))
  return [...said, ...(questions ?? []).map((q) => 'question: ' + q), ...(instructions ? instructions.split('\n') : [])]
}

export interface Line { sign: '+' | '-' | ' '; text: string }

const near = 2 // lines shown around what has changed
const most = 1_500 // lines that are compared; longer texts are shown as gone and added

/** What is gone and what was added, with what stands around it. */
export function changes(from: string[], to: string[]): Line[] {
  const all = compare(from, to)
  return all.filter((l, i) => l.sign !== ' ' || all.slice(Math.max(0, i - near), i + near + 1).some((m) => m.sign !== ' '))
}

function compare(from: string[], to: string[]): Line[] {
  const gone = (text: string): Line => ({ sign: '-', text })
  const added = (text: string): Line => ({ sign: '+', text })
  if (from.length > most || to.length > most) return [...from.map(gone), ...to.map(added)]
  const w = to.length + 1
  const same = new Uint16Array((from.length + 1) * w) // length of the longest common rest
  for (let i = from.length - 1; i >= 0; i--)
    for (let j = to.length - 1; j >= 0; j--) same[i * w + j] = from[i] === to[j] ? same[(i + 1) * w + j + 1]! + 1 : Math.max(same[(i + 1) * w + j]!, same[i * w + j + 1]!)
  const out: Line[] = []
  let i = 0
  let j = 0
  while (i < from.length || j < to.length) {
    if (i < from.length && j < to.length && from[i] === to[j]) out.push({ sign: ' ', text: (j++, from[i++]!) })
    else if (j >= to.length || (i < from.length && same[(i + 1) * w + j]! >= same[i * w + j + 1]!)) out.push(gone(from[i++]!))
    else out.push(added(to[j++]!))
  }
  return out
}
