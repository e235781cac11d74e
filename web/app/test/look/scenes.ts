// What the fake gateway's model says.

import type { Source } from '../../src/core/protocol'
import type { FakeGateway } from './fakegw'

const api = { method: 'GET', host: 'api.open-meteo.com' }

export function weather(gw: FakeGateway, part: 'half' | 'rest'): void {
  if (part === 'half') {
    gw.call('k1', 'weather', { place: 'Lisbon', days: 2 }, api)
    gw.call('k2', 'weather', { place: 'Oslo', days: 2 }, api)
    gw.result('k1', '{"place":"Lisbon","tomorrow":{"high":19.4,"low":12.1,"sky":"light rain"}}', { ...api, status: 200, latencyMs: 412, requests: 2, bytes: 2140 })
    gw.result('k2', '{"place":"Oslo","tomorrow":{"high":3.1,"low":-2,"sky":"clear"}}', { ...api, status: 200, latencyMs: 1287, requests: 2, bytes: 2092 })
    gw.text('a1', 'Tomorrow **Lisbon** is mild and wet, **Oslo** cold and clear:\n\n| City | High | Low | Sky | Wind |\n|---|---:|---:|---|---:|\n| Lisbon | 19 °C | 12 °C | light rain | 14 km/h |\n| Oslo | 3 °C | −2 °C | clear | 6 km/h |\n\n', 'Take a light jacket for Lisbon; in Oslo the roads')
    return
  }
  const code = '```go\nresp, err := http.Get("https://api.open-meteo.com/v1/forecast?latitude=38.72&longitude=-9.14&daily=temperature_2m_max")\nif err != nil {\n\treturn err // retried once, then given up\n}\n```\n'
  for (const delta of [' may freeze overnight.\n\n', 'The same from Go:\n\n', code]) gw.emit({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'a1', delta })
  gw.emit({ type: 'TEXT_MESSAGE_END', messageId: 'a1' })
  gw.emit({ type: 'conversation.titled', title: 'Weather in Lisbon and Oslo' })
  gw.finish()
}

export function failedTool(gw: FakeGateway): void {
  const where = { method: 'POST', host: 'search.internal' }
  gw.call('k3', 'search_docs', { query: 'offset recovery', limit: 5 }, where)
  gw.result('k3', 'The search service did not answer in 5 s. Answer without it, or ask the person to try later.', { ...where, status: 504, latencyMs: 5003, requests: 2, failed: true, reason: 'search.internal timed out after 5 s' })
  gw.text('a2', 'The document search timed out, so I answer from memory: an *offset* names a place in the log.')
  gw.finish()
}

/** Answers that were asked for in a format: one that is being written, one that has it, one that has it not. */
export function formed(gw: FakeGateway, part: 'half' | 'rest' | 'wrong'): void {
  if (part === 'half') {
    gw.emit({ type: 'RUN_STARTED', runId: gw.state.run!.id, metadata: { parley: { question: gw.state.run!.question, format: { name: 'supplier_prices' } } } })
    gw.text('j1', '{"supplier":"Ölmühle *Huber* & Söhne","rises":[{"article":"rapeseed oil, 1 l","from":2.10,"to":2.49,"since":"2026-09-01"},')
    return
  }
  const format = { name: part === 'rest' ? 'supplier_prices' : 'a_name_of_a_schema_that_nobody_would_want_to_read_to_its_end_64ch', valid: part === 'rest' }
  if (part === 'rest') gw.emit({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'j1', delta: '{"article":"mustard","from":1.2,"to":1.35,"since":null}],"id":90071992547409931,"note":"<b>as of today</b>, see https://huber.example/price-list/2026/autumn/complete.pdf?utm=none","more":[]}' })
  else gw.text('j2', 'Here it is: {"suppliers":')
  gw.emit({ type: 'TEXT_MESSAGE_END', messageId: part === 'rest' ? 'j1' : 'j2', metadata: { parley: { format } } })
  if (part === 'rest') gw.finish()
  else gw.fail('format', 'The model\'s answer is not of the format, also after it was told so: at "/": it is not JSON. What it said is kept. Ask again, or loosen the schema.')
}

export const sources: Source[] = [
  {
    ref: 'architecture:12', document: 'architecture', title: 'Architecture', headings: ['Failure', 'A replica dies while it answers'], start: 0, end: 0,
    text: 'A replica that dies stops renewing its lease. The lease lapses after a few seconds, the conversation is **due** again, and whichever replica claims it first folds the log and goes on.',
  },
  {
    ref: 'architecture:13', document: 'architecture', title: 'Architecture', headings: ['Failure', 'What a reader sees'], start: 0, end: 0,
    text: 'Readers are told that the answer was taken over. Text of an unfinished message is rolled back and written anew; nothing is ever shown twice.',
  },
]

const filler = 'Every conversation has a log in Redis. Whoever follows it reads from its own position, so that a lost notice makes an entry late and never lost.\n\n'.repeat(14)
const body = `# Architecture\n\n${filler}## Failure\n\n`
sources[0]!.start = Array.from(body).length
sources[0]!.end = sources[0]!.start + Array.from(sources[0]!.text).length

export const architecture = { id: 'architecture', title: 'Architecture', text: `${body}${sources[0]!.text}\n\n${sources[1]!.text}\n\n${filler}` }

export function citedAnswer(gw: FakeGateway): void {
  const where = { method: 'GET', host: 'localhost' }
  gw.call('k4', 'search_knowledge', { query: 'replica death' }, where)
  gw.result('k4', 'two passages', { ...where, status: 200, latencyMs: 9, bytes: 3120 }, sources)
  gw.text('a3', 'Nothing of an answer lives in the replica alone.\n\n1. The dead replica no longer renews its **lease**; after a few seconds it lapses and the conversation is due again [architecture:12].\n2. Another replica claims it, reads the log, and goes on from the last finished step. Calls whose results are in the log are not made again [architecture:12].\n3. You see “continued by another replica”, and no text twice [architecture:13].\n\nThis is also how an answer *begins*: there is no recovery code apart from it [unknown:1].')
  gw.finish()
}

export function conversations(): { id: string; title: string; created: string; updated: string }[] {
  const day = 86_400_000
  const rows: [string, string, number][] = [
    ['c1', 'Weather in Lisbon and Oslo', 0.001],
    ['c2', 'Register the orders API', 0.02],
    ['c3', 'Why the nightly export was slow', 1],
    ['c4', 'Retry policy for payment webhooks, and what an idempotency key is for', 1.1],
    ['c5', 'Compare three vector stores', 3],
    ['c6', 'Release notes for 0.9', 40],
  ]
  return rows.map(([id, title, ago]) => {
    const at = new Date(Date.now() - ago * day).toISOString()
    return { id, title, created: at, updated: at }
  })
}
