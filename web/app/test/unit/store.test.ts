import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Entry, Event, Message, State } from '../../src/core/protocol'
import { active, apply, emptyState, fromSnapshot, replaceWindow } from '../../src/core/store'

let n = 0
const at = (ev: Event, run = 'r1', attempt = 1): Entry => ({ at: `7-${++n}`, run, try: attempt, ts: 1_000 + n, ev })
const fold = (...entries: Entry[]): State => {
  const s = emptyState()
  for (const e of entries) apply(s, e)
  return s
}
const user = (id: string, clientId?: string): Message => ({ id, role: 'user', content: 'hi', metadata: { parley: { clientId } } })
const said = (id: string) => at({ type: 'conversation.message', said: user(id) }, undefined)
const started = (replaces?: string) => at({ type: 'RUN_STARTED', runId: 'r1', metadata: { parley: { question: 'u1', replaces } } })
const text = (id: string, ...deltas: string[]) => [
  at({ type: 'TEXT_MESSAGE_START', messageId: id, role: 'assistant' }),
  ...deltas.map((delta) => at({ type: 'TEXT_MESSAGE_CONTENT', messageId: id, delta })),
]
const contents = (s: State) => s.messages.map((m) => [m.role, m.content])

describe('fold', () => {
  test('pieces add up to a message, and the end is noted on it', () => {
    const s = fold(said('u1'), started(), ...text('a1', 'Hel', 'lo'), at({ type: 'TEXT_MESSAGE_END', messageId: 'a1' }),
      at({ type: 'RUN_FINISHED', runId: 'r1', outcome: { type: 'success' }, usage: [{ totalTokens: 9 }], metadata: { parley: { model: 'demo', tookMs: 12 } } }))
    expect(contents(s)).toEqual([['user', 'hi'], ['assistant', 'Hello']])
    expect(s.messages[1]!.metadata!.parley).toMatchObject({ status: 'finished', model: 'demo', tookMs: 12, usage: { totalTokens: 9 } })
    expect(active(s)).toBe(false)
    expect(s.open).toBeUndefined()
  })

  test('a message is replaced and not changed, so that who draws can compare', () => {
    const s = fold(...text('a1', 'x'))
    const before = s.messages[0]
    apply(s, at({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'a1', delta: 'y' }))
    expect(s.messages[0]).not.toBe(before)
    expect(before!.content).toBe('x')
  })

  test('an answer that another model gives says who did not', () => {
    const s = fold(
      at({ type: 'RUN_STARTED', runId: 'r1' }), at({ type: 'TEXT_MESSAGE_START', messageId: 'm2' }), at({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'm2', delta: 'half' }),
      at({ type: 'conversation.takeover', runId: 'r1', try: 1 }), at({ type: 'TEXT_MESSAGE_START', messageId: 'm3' }), at({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'm3', delta: 'whole' }),
      at({ type: 'TEXT_MESSAGE_END', messageId: 'm3' }),
      at({ type: 'RUN_FINISHED', runId: 'r1', outcome: { type: 'success' }, metadata: { parley: { model: 'two', missed: [{ model: 'one', kind: 'truncated', began: true }] } } }))
    expect(s.messages.map((m) => m.content)).toEqual(['whole'])
    expect(s.messages[0]!.metadata!.parley).toMatchObject({ model: 'two', missed: [{ model: 'one' }] })
  })

  test('a takeover takes back what was not finished, and keeps what was', () => {
    const s = fold(said('u1'), started(), ...text('a1', 'done'), at({ type: 'TEXT_MESSAGE_END', messageId: 'a1' }), ...text('a2', 'half'),
      at({ type: 'conversation.takeover', runId: 'r1', try: 2 }))
    expect(contents(s)).toEqual([['user', 'hi'], ['assistant', 'done']])
    expect(s.run).toMatchObject({ try: 2, status: 'running' })
    apply(s, at({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'a2', delta: 'late' }))
    expect(s.messages).toHaveLength(2)
  })

  test('an answer given anew replaces the old one and keeps the question', () => {
    const s = fold(said('u1'), at({ type: 'RUN_STARTED', runId: 'r0' }, 'r0'), at({ type: 'TEXT_MESSAGE_START', messageId: 'a0' }, 'r0'), at({ type: 'RUN_FINISHED', runId: 'r0' }, 'r0'), started('r0'))
    expect(s.messages.map((m) => m.id)).toEqual(['u1'])
  })

  test('results stand in the order of their calls, whichever came first', () => {
    const call = (id: string) => at({ type: 'TOOL_CALL_START', toolCallId: id, toolCallName: 'weather', parentMessageId: 'a1' })
    const result = (id: string) => at({ type: 'TOOL_CALL_RESULT', toolCallId: id, messageId: 'res-' + id, content: id, metadata: { parley: { outcome: { latencyMs: 1, failed: id === 'k1', reason: 'broke' } } } })
    const s = fold(call('k1'), call('k2'), at({ type: 'TOOL_CALL_ARGS', toolCallId: 'k2', delta: '{"a":1}' }), result('k2'), result('k1'), result('k1'))
    expect(s.messages.map((m) => m.id)).toEqual(['a1', 'res-k1', 'res-k2'])
    expect(s.messages[0]!.toolCalls![1]!.function.arguments).toBe('{"a":1}')
    expect(s.messages[1]!.error).toBe('broke')
    expect(s.messages[2]!.error).toBeUndefined()
  })

  test('a run that failed without a word gets a message that says why', () => {
    const s = fold(said('u1'), started(), at({ type: 'RUN_ERROR', code: 'model_unavailable', message: 'No model.' }))
    expect(s.messages[1]).toMatchObject({ id: 'r1.end', role: 'assistant', metadata: { parley: { status: 'failed', failure: { code: 'model_unavailable', message: 'No model.' } } } })
  })

  test('a question that waits leaves the queue when its turn comes, and is shown once', () => {
    const s = fold(at({ type: 'conversation.queued', said: user('u2') }), at({ type: 'conversation.queued', said: user('u2') }))
    expect(s.queued).toHaveLength(1)
    apply(s, said('u2'))
    apply(s, said('u2'))
    expect(s.queued).toBeUndefined()
    expect(s.messages).toHaveLength(1)
  })

  test('an event of a newer version changes nothing', () => {
    const s = fold(said('u1'))
    const before = JSON.stringify(s)
    apply(s, at({ type: 'conversation.future' } as Event))
    expect(JSON.stringify(s)).toBe(before)
  })
})

describe('a snapshot in place of a window', () => {
  const old = () => fold(said('u1'), said('u2'), said('u3'))
  test('keeps what stands before its first message', () => {
    const s = old()
    expect(replaceWindow(s, { messages: [user('u2'), user('u9')] })).toBe(true)
    expect(s.messages.map((m) => m.id)).toEqual(['u1', 'u2', 'u9'])
  })
  test('replaces everything where the two do not meet', () => {
    const s = old()
    expect(replaceWindow(s, { messages: [user('u8')] })).toBe(false)
    expect(s.messages.map((m) => m.id)).toEqual(['u8'])
  })
  test('can be folded on', () => {
    const s = fromSnapshot({ messages: [{ id: 'a1', role: 'assistant', content: 'Hel' }], open: ['a1'] })
    apply(s, at({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'a1', delta: 'lo' }))
    expect(s.messages[0]!.content).toBe('Hello')
  })
})

// The gateway's own folds, so that both sides agree to the letter.
const golden = join(import.meta.dirname, '../../../../gateway/chat/testdata/fold')
const files = existsSync(golden) ? readdirSync(golden).filter((f) => f.endsWith('.json')) : []
describe.runIf(files.length > 0)('golden folds of gateway/chat', () => {
  const cases = files.flatMap((f) =>
    (JSON.parse(readFileSync(join(golden, f), 'utf8')) as { name: string; entries: Entry[]; state: State }[]).map((c) => ({ ...c, name: `${f}: ${c.name}` })),
  )
  test.each(cases)('$name', ({ entries, state }) => {
    expect(omitEmpty(fold(...entries))).toEqual(omitEmpty(state))
  })
})

/** Go's omitempty, for comparing: what is absent and what is empty are the same. */
function omitEmpty(v: unknown): unknown {
  if (Array.isArray(v)) return v.map(omitEmpty)
  if (typeof v !== 'object' || v === null) return v
  const kept = Object.entries(v).filter(([, x]) => x !== undefined && x !== '' && x !== 0 && x !== false && x !== null && !(Array.isArray(x) && !x.length))
  return Object.fromEntries(kept.map(([k, x]) => [k, omitEmpty(x)]))
}
