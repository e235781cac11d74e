import { describe, expect, test } from 'vitest'
import { turnsOf } from '../../src/chat/view'
import type { Message, State } from '../../src/core/protocol'
import { bytes, dayGroup, duration, timeLeft, waits } from '../../src/ui/format'

const by = (run: string, status?: string) => ({ parley: { run, status } })
const messages: Message[] = [
  { id: 'u1', role: 'user', content: 'weather?' },
  { id: 'a1', role: 'assistant', metadata: by('r1'), toolCalls: [
    { id: 'k1', type: 'function', function: { name: 'weather', arguments: '{}' } },
    { id: 'k2', type: 'function', function: { name: 'weather', arguments: '{}' } },
  ] },
  { id: 't1', role: 'tool', toolCallId: 'k1', content: '1', metadata: by('r1') },
  { id: 'a2', role: 'assistant', content: 'Mild.', metadata: by('r1', 'finished') },
  { id: 'u2', role: 'user', content: 'and then?' },
]

describe('turns', () => {
  test('calls made together stand together, with their results', () => {
    const [t] = turnsOf({ messages }, new Map())
    expect(t!.parts).toEqual([
      { kind: 'tools', calls: [{ id: 'k1', message: 'a1', result: 't1' }, { id: 'k2', message: 'a1', result: '' }] },
      { kind: 'text', id: 'a2' },
    ])
    expect(t).toMatchObject({ question: 'u1', run: 'r1', last: 'a2', running: false, newest: false })
  })

  test('the run belongs to the question that it answers', () => {
    const state: State = { messages, run: { id: 'r2', question: 'u2', status: 'running', try: 2 } }
    const turns = turnsOf(state, new Map())
    expect(turns.map((t) => [t.running, t.tries])).toEqual([[false, 1], [true, 2]])
  })
})

describe('an answer in a format', () => {
  test('is known to be one while it is written, and only then', () => {
    const formed = (status: 'running' | 'finished', format?: string) =>
      turnsOf({ messages, run: { id: 'r2', question: 'u2', status, try: 1, format } }, new Map()).map((t) => t.formed)
    expect(formed('running', 'place')).toEqual([false, true])
    expect(formed('running')).toEqual([false, false])
    expect(formed('finished', 'place')).toEqual([false, false])
  })
})

describe('what waits for a person', () => {
  test('is no answer that runs', () => {
    const state: State = { messages: messages.slice(0, 2), run: { id: 'r1', question: 'u1', status: 'waiting', try: 1 } }
    expect(turnsOf(state, new Map())[0]).toMatchObject({ running: false, waiting: true, last: '' })
  })
  test('time left in its largest unit', () => {
    expect([0, 30_000, 59 * 60_000, 3 * 3_600_000, 72 * 3_600_000].map((ms) => timeLeft(ms).replaceAll('\u00a0', ' '))).toEqual(['no time left', '1 min left', '59 min left', '3 h left', '3 days left'])
  })
})

describe('figures', () => {
  test('one rule for times', () => {
    const plain = (ms: number) => duration(ms).replaceAll('\u00a0', ' ').replace(',', '.')
    expect([412, 999.6, 1287, 5003, 59_940, 61_000].map(plain)).toEqual(['412 ms', '1.0 s', '1.3 s', '5.0 s', '59.9 s', '1 min 1 s'])
  })
  test('places', () => {
    expect([0, 1, 12].map(waits)).toEqual(['waiting · you are next', 'waiting · 1 ahead of you', 'waiting · 12 ahead of you'])
  })
  test('sizes', () => {
    expect([900, 2140, 3_200_000].map((n) => bytes(n).replaceAll('\u00a0', ' '))).toEqual(['900 B', '2.1 kB', '3.2 MB'])
  })
  test('days', () => {
    const now = new Date(2026, 5, 17, 0, 30).getTime()
    const hour = 3_600_000
    expect(dayGroup(now - hour, now)).not.toBe(dayGroup(now, now))
    expect(dayGroup(now + 5 * hour, now)).toBe(dayGroup(now, now))
    expect(dayGroup(now - 40 * 24 * hour, now)).toMatch(/2026/)
  })
})
