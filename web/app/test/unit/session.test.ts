import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Session, type Conv } from '../../src/core/session'
import type { OutItem } from '../../src/core/outbox'
import { Server, Shelf } from './socket'

let server: Server
let shelf: Shelf
let named: [string, string][]
let ended: string[]
let refused: OutItem[]
let gone: string[]

function open(): Session {
  const s = new Session({
    dial: server.dial, shelf, random: () => 0,
    onLink: () => {}, onConv: () => {}, onEnded: (c: Conv) => ended.push(c.id), onGone: (c: Conv) => gone.push(c.id), onTitle: () => {}, onOutbox: () => {}, onRefused: (i) => refused.push(i), onWelcome: () => {},
    onThread: (local, id) => named.push([local, id]),
  })
  s.start()
  return s
}

const settle = () => vi.advanceTimersByTimeAsync(0)
const redial = () => vi.advanceTimersByTimeAsync(1)
const user = (id: string, clientId = '') => ({ id, role: 'user' as const, content: 'hi', metadata: { parley: { clientId } } })

beforeEach(() => {
  vi.useFakeTimers()
  server = new Server()
  shelf = new Shelf()
  named = []
  ended = []
  refused = []
  gone = []
})
afterEach(() => vi.useRealTimers())

describe('the outbox', () => {
  test('keeps a message said offline, sends it after the welcome, once', async () => {
    const s = open()
    s.say('c1', 'hello', 'x1')
    expect(s.outbox.items).toHaveLength(1)
    server.last.welcome()
    expect(server.last.of('send')).toHaveLength(1)
    server.last.answer('send', { c: 'c1', messageId: 'u1', run: 'r1' })
    await settle()
    server.last.drop()
    await redial()
    server.last.welcome()
    expect(server.last.of('send')).toHaveLength(0)
  })

  test('sends again, with the same client id, what was not confirmed', async () => {
    const s = open()
    server.last.welcome()
    s.say('c1', 'hello', 'x1')
    server.last.drop()
    await redial()
    server.last.welcome()
    expect(server.last.of('send')[0]!.msg).toEqual({ clientId: 'x1', content: 'hello' })
  })

  test('survives a reload', async () => {
    open().say('new:1', 'hello', 'x1')
    const s = open()
    server.last.welcome()
    expect(server.last.of('send')[0]!.msg.clientId).toBe('x1')
    server.last.answer('send', { c: 'c7', messageId: 'u1', run: 'r1' })
    await settle()
    expect(named).toEqual([['new:1', 'c7']])
    expect(s.outbox.items[0]!.thread).toBe('c7')
    expect(open().outbox.items[0]!.sent!.messageId).toBe('u1') // the log does not show it yet
    expect(server.last.of('send')).toHaveLength(0)
    await vi.advanceTimersByTimeAsync(3_600_001)
    expect(open().outbox.items).toHaveLength(0)
  })

  test('two first messages of a new chat make one conversation', async () => {
    const s = open()
    server.last.welcome()
    s.say('new:1', 'one', 'x1')
    s.say('new:1', 'two', 'x2')
    expect(server.last.of('send')).toHaveLength(1)
    server.last.answer('send', { c: 'c7', messageId: 'u1', run: 'r1' })
    await settle()
    expect(server.last.of('send').map((m) => m.c)).toEqual([undefined, 'c7'])
  })

  test('is emptied by what the log shows', async () => {
    const s = open()
    server.last.welcome()
    s.follow('c1')
    server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: true, head: '7-1' })
    s.say('c1', 'hello', 'x1')
    server.last.answer('send', { c: 'c1', messageId: 'u1', run: 'r1' })
    await settle()
    expect(s.outbox.items).toHaveLength(1)
    server.last.say({ type: 'ev', c: 'c1', items: [{ at: '7-2', ts: 1, ev: { type: 'conversation.message', said: user('u1', 'x1') } }] })
    expect(s.outbox.items).toHaveLength(0)
  })

  test('shows a refusal and does not hold up what comes after', async () => {
    const s = open()
    server.last.welcome()
    s.say('c1', 'too long', 'x1')
    s.say('c1', 'short', 'x2')
    server.last.answer('send', { type: 'err', problem: { title: 'Too long', status: 413, code: 'too_long' } })
    await settle()
    expect(s.outbox.items[0]!.problem!.code).toBe('too_long')
    expect(server.last.of('send')).toHaveLength(2)
  })

  test('tries again by itself where the server asks for patience', async () => {
    const s = open()
    server.last.welcome()
    s.say('c1', 'hello', 'x1')
    server.last.answer('send', { type: 'err', problem: { title: 'Slow down', status: 429, code: 'rate_limited', retryMs: 700 } })
    await vi.advanceTimersByTimeAsync(699)
    expect(server.last.of('send')).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(server.last.of('send')).toHaveLength(2)
  })

  test('a Stop does not wait behind a message', () => {
    const s = open()
    server.last.welcome()
    s.say('c1', 'hello', 'x1')
    s.cancel('c1', 'r1')
    s.cancel('c1', 'r1')
    expect(server.last.of('cancel')).toHaveLength(1)
  })
})

describe('following', () => {
  test('knows the place of a question that waits, until its answer begins or the connection goes', async () => {
    const s = open()
    server.last.welcome()
    const c = s.follow('c1')!
    server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: true, head: '7-1' })
    await settle()
    expect(c.ahead).toBe(undefined)
    server.last.say({ type: 'eph', c: 'c1', kind: 'queue', data: { ahead: 3 } })
    expect(c.ahead).toBe(3)
    server.last.say({ type: 'eph', c: 'c1', kind: 'typing', data: {} })
    server.last.say({ type: 'eph', c: 'c2', kind: 'queue', data: { ahead: 9 } })
    expect(c.ahead).toBe(3)
    server.last.say({ type: 'ev', c: 'c1', items: [{ at: '7-2', ts: 1, ev: { type: 'conversation.message', said: user('u1', 'x1') } }] })
    expect(c.ahead).toBe(undefined)
    server.last.say({ type: 'eph', c: 'c1', kind: 'queue', data: { ahead: 0 } })
    expect(c.ahead).toBe(0)
    server.last.drop()
    await redial()
    server.last.welcome()
    expect(c.ahead).toBe(undefined)
  })

  test('goes on from the last entry after a new dial', async () => {
    const s = open()
    server.last.welcome()
    const c = s.follow('c1')!
    server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: false, snapshot: { messages: [user('u1')] }, at: '7-4', head: '7-4', older: 'u1' })
    await settle()
    expect(c.state.messages).toHaveLength(1)
    expect(c.older).toBe('u1')
    server.last.say({ type: 'ev', c: 'c1', items: [{ at: '7-9', ts: 1, ev: { type: 'conversation.message', said: user('u2') } }] })
    server.last.drop()
    await redial()
    server.last.welcome()
    expect(server.last.of('sub')[0]!.after).toBe('7-9')
  })

  test('one that is deleted while it is shown is missing, and its answer has not ended', async () => {
    const s = open()
    server.last.welcome()
    const c = s.follow('c1')!
    const run = { id: 'r1', status: 'running' as const, try: 1 }
    server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: false, snapshot: { messages: [user('u1')], run }, at: '7-4', head: '7-4' })
    await settle()
    expect(s.running).toBe(true)
    server.last.say({ type: 'snap', c: 'c1', at: '8-0', reason: 'deleted', snapshot: { messages: [], deleted: true } })
    expect([c.missing, s.running, c.state.messages, gone, ended]).toEqual([true, false, [], ['c1'], []])
  })

  test('a snapshot keeps the history that was fetched', async () => {
    const s = open()
    server.last.welcome()
    const c = s.follow('c1')!
    server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: false, snapshot: { messages: [user('u3')] }, at: '7-4', older: 'u3' })
    await settle()
    const more = s.history(c)
    server.last.answer('history', { messages: [user('u1'), user('u2')] })
    expect(await more).toBe(true)
    server.last.say({ type: 'snap', c: 'c1', at: '8-0', reason: 'rollback', snapshot: { messages: [user('u3'), user('u4')] } })
    expect(c.state.messages.map((m) => m.id)).toEqual(['u1', 'u2', 'u3', 'u4'])
    expect([c.at, c.older]).toEqual(['8-0', undefined])
  })

  test('a conversation that is not there is said to be missing', async () => {
    const s = open()
    server.last.welcome()
    const c = s.follow('c1')!
    server.last.answer('sub', { type: 'err', problem: { title: 'Not found', status: 404, code: 'not_found' } })
    await settle()
    expect(c.missing).toBe(true)
  })

  test('says once that an answer ended', async () => {
    const s = open()
    server.last.welcome()
    s.follow('c1')
    server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: true, head: '7-0' })
    await settle()
    const ev = (n: number, ev: object) => ({ at: `7-${n}`, run: 'r1', ts: 1, ev })
    server.last.say({ type: 'ev', c: 'c1', items: [ev(1, { type: 'RUN_STARTED', runId: 'r1' })] })
    expect(s.running).toBe(true)
    server.last.say({ type: 'ev', c: 'c1', items: [ev(2, { type: 'RUN_FINISHED', runId: 'r1' })] })
    server.last.say({ type: 'ev', c: 'c1', items: [ev(3, { type: 'conversation.titled', title: 'T' })] })
    expect(ended).toEqual(['c1'])
  })
})

test('what still comes of an earlier subscription is not folded twice', async () => {
  const s = open()
  server.last.welcome()
  const c = s.follow('c1')!
  server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: true, head: '7-1' })
  await settle()
  s.follow('c2')
  s.follow('c1')
  const piece = { type: 'ev', c: 'c1', items: [
    { at: '7-1', run: 'r1', ts: 1, ev: { type: 'TEXT_MESSAGE_START', messageId: 'a1' } },
    { at: '7-2', run: 'r1', ts: 1, ev: { type: 'TEXT_MESSAGE_CONTENT', messageId: 'a1', delta: 'once' } },
  ] }
  server.last.say(piece)
  server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: true, head: '7-2' })
  await settle()
  server.last.say(piece)
  expect(c.state.messages[0]!.content).toBe('once')
})

describe('an edit', () => {
  const edited = (id: string, edits: string, clientId: string) => ({ ...user(id), metadata: { parley: { clientId, edits } } })
  const says = (at: string, said: object) => server.last.say({ type: 'ev', c: 'c1', items: [{ at, ts: 1, ev: { type: 'conversation.message', said } }] })

  async function shown(older?: string): Promise<{ s: Session; c: Conv }> {
    const s = open()
    server.last.welcome()
    const c = s.follow('c1')!
    server.last.answer('sub', { type: 'sub.ok', c: 'c1', recovered: false, at: '7-1', older, snapshot: { messages: [user('u1'), user('u2'), user('u3')] } })
    await settle()
    return { s, c }
  }

  test('is kept until the log shows it, in the place of what it edits', async () => {
    const { s, c } = await shown()
    s.edit('c1', 'u2', 'better', 'x1')
    expect(server.last.of('edit')[0]).toMatchObject({ c: 'c1', messageId: 'u2', clientId: 'x1', content: 'better' })
    server.last.answer('edit', { c: 'c1', messageId: 'u4', run: 'r4' })
    await settle()
    expect(s.outbox.items).toHaveLength(1)
    server.last.say({ type: 'snap', c: 'c1', at: '7-2', reason: 'slow', snapshot: { messages: [user('u2'), user('u3')] } }) // it waits still
    expect(s.outbox.items).toHaveLength(1)
    says('7-3', edited('u4', 'u2', 'x1'))
    expect(s.outbox.items).toHaveLength(0)
    expect(c.state.messages.map((m) => m.id)).toEqual(['u1', 'u4'])
  })

  test('is no longer waited for when a snapshot shows that another took its place', async () => {
    const { s } = await shown()
    s.edit('c1', 'u2', 'better', 'x1')
    server.last.answer('edit', { c: 'c1', messageId: 'u4', run: 'r4' })
    await settle()
    server.last.say({ type: 'snap', c: 'c1', at: '8-0', reason: 'rollback', snapshot: { messages: [user('u1'), user('u5')] } })
    expect(s.outbox.items).toHaveLength(0)
  })

  test('that is refused goes, and the person is told', async () => {
    const { s } = await shown()
    s.edit('c1', 'u2', 'better', 'x1')
    server.last.answer('edit', { type: 'err', problem: { title: 'Conflict', status: 409, code: 'busy', detail: 'Wait.' } })
    await settle()
    expect(s.outbox.items).toHaveLength(0)
    expect(refused.map((i) => [i.cmd.type, i.problem?.detail])).toEqual([['edit', 'Wait.']])
  })

  test('of the first message here leaves what is before to be fetched', async () => {
    const { s, c } = await shown('u1')
    says('7-2', edited('u4', 'u0', 'elsewhere'))
    expect(c.state.messages.map((m) => m.id)).toEqual(['u4'])
    expect(c.older).toBe('u4')
    void s.history(c)
    expect(server.last.of('history')[0]!.before).toBe('u4')
    server.last.answer('history', { messages: [user('t1')] })
    await settle()
    expect(c.state.messages.map((m) => m.id)).toEqual(['t1', 'u4'])
  })

  test('makes older messages that are under way useless if it takes their place', async () => {
    const { s, c } = await shown('u1')
    void s.history(c)
    says('7-2', edited('u4', 't1', 'elsewhere'))
    server.last.answer('history', { messages: [user('t0'), user('t1'), user('t2')] })
    await settle()
    expect(c.state.messages.map((m) => m.id)).toEqual(['u4'])
    expect(c.older).toBe('u4')
  })

  test('leaves alone older messages that are fetched before it', async () => {
    const { s, c } = await shown('u1')
    void s.history(c)
    says('7-2', edited('u4', 'u2', 'elsewhere'))
    server.last.answer('history', { messages: [user('t1')] })
    await settle()
    expect(c.state.messages.map((m) => m.id)).toEqual(['t1', 'u1', 'u4'])
  })
})
