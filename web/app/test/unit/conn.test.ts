import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { backoff, Conn, timing, type Link } from '../../src/core/conn'
import type { Push } from '../../src/core/protocol'
import { Server } from './socket'

let server: Server
let links: Link[]
let pushes: Push[]
let conn: Conn
let online: boolean

beforeEach(() => {
  vi.useFakeTimers()
  server = new Server()
  links = []
  pushes = []
  online = true
  conn = new Conn({ dial: server.dial, online: () => online, random: () => 1, onLink: (l) => links.push(l), onWelcome: () => {}, onPush: (p) => pushes.push(p) })
  conn.start()
})
afterEach(() => {
  conn.stop()
  vi.useRealTimers()
})

describe('dialling', () => {
  test('waits twice as long each time, up to 15 s, and for ever', () => {
    const waits: number[] = []
    for (let i = 0; i < 9; i++) {
      const before = server.sockets.length
      const start = Date.now()
      server.last.drop()
      while (server.sockets.length === before) vi.advanceTimersByTime(50)
      waits.push(Date.now() - start)
    }
    expect(waits).toEqual([300, 600, 1200, 2400, 4800, 9600, 15000, 15000, 15000])
  })

  test('spreads evenly: full jitter', () => {
    expect(backoff(0, () => 0)).toBe(0)
    expect(backoff(3, () => 0.5)).toBe(1200)
    expect(backoff(1_000, () => 1)).toBe(timing.backoffMax)
  })

  test('begins anew only after a welcome', () => {
    for (let i = 0; i < 5; i++) {
      const before = server.sockets.length
      server.last.open()
      server.last.drop()
      while (server.sockets.length === before) vi.advanceTimersByTime(50)
    }
    server.last.welcome()
    const n = server.sockets.length
    server.last.drop()
    vi.advanceTimersByTime(timing.backoffMin)
    expect(server.sockets).toHaveLength(n + 1)
  })

  test('gives up on a socket that does not open in 5 s', () => {
    vi.advanceTimersByTime(timing.connecting)
    expect(server.sockets[0]!.closed).toBe(true)
    vi.advanceTimersByTime(300)
    expect(server.sockets).toHaveLength(2)
  })

  test('obeys bye: comes back when told, not before', () => {
    server.last.welcome()
    server.last.say({ type: 'bye', reason: 'drain', retryMs: 1234 })
    server.last.drop(1012)
    vi.advanceTimersByTime(1233)
    expect(server.sockets).toHaveLength(1)
    vi.advanceTimersByTime(1)
    expect(server.sockets).toHaveLength(2)
  })

  test('stops where the server wants a sign-in', () => {
    server.last.drop(4401)
    vi.advanceTimersByTime(60_000)
    expect(server.sockets).toHaveLength(1)
    expect(links.at(-1)).toBe('refused')
  })

  test('a frame of a socket that was given up is not heard', () => {
    const old = server.last
    old.welcome()
    const late = old.onmessage!
    old.drop()
    late({ data: '{"type":"snap","c":"c1"}' })
    expect(pushes).toEqual([])
  })
})

describe('a socket that is open and dead', () => {
  test('is noticed within two beats and a little', () => {
    server.last.welcome()
    vi.advanceTimersByTime(31_900)
    expect(server.sockets[0]!.closed).toBe(false)
    vi.advanceTimersByTime(200)
    expect(server.sockets[0]!.closed).toBe(true)
    expect(links.at(-1)).toBe('reconnecting')
  })

  test('is noticed sooner while an answer runs', () => {
    server.last.welcome()
    conn.setRunning(true)
    vi.advanceTimersByTime(12_100)
    expect(server.sockets[0]!.closed).toBe(true)
  })

  test('is not seen where beats come', () => {
    server.last.welcome()
    for (let i = 0; i < 10; i++) {
      vi.advanceTimersByTime(15_000)
      server.last.say({ type: 'beat' })
    }
    expect(server.sockets).toHaveLength(1)
  })

  test('is tried on waking, and dialled again without an answer in 3.5 s', () => {
    server.last.welcome()
    conn.wake()
    expect(server.last.of('ping')).toHaveLength(1)
    vi.advanceTimersByTime(3_500 + 300)
    expect(server.sockets).toHaveLength(2)
  })

  test('is kept on waking when it answers', () => {
    server.last.welcome()
    conn.wake()
    server.last.say({ type: 'pong', id: server.last.of('ping')[0]!.id })
    vi.advanceTimersByTime(10_000)
    expect(server.sockets).toHaveLength(1)
  })
})

describe('a replica that hears nothing of what goes on', () => {
  test('is shown as reconnecting until it hears again', () => {
    server.last.welcome()
    server.last.say({ type: 'beat', late: true })
    expect(links.at(-1)).toBe('reconnecting')
    server.last.say({ type: 'beat' })
    expect(links.at(-1)).toBe('live')
    vi.advanceTimersByTime(12_000)
    expect(server.sockets).toHaveLength(1)
  })

  test('is left for another one, each time later', () => {
    const stay = [10_000, 20_000, 40_000]
    for (const [i, ms] of stay.entries()) {
      server.last.welcome()
      server.last.say({ type: 'beat', late: true })
      for (let t = 1_000; t < 2 * ms; t += 1_000) {
        vi.advanceTimersByTime(1_000)
        server.last.say({ type: 'beat', late: true })
      }
      expect(server.sockets).toHaveLength(i + 1)
      vi.advanceTimersByTime(1_300)
      expect(server.sockets).toHaveLength(i + 2)
    }
  })

  test('of which the next one is none, is forgotten', () => {
    server.last.welcome()
    server.last.say({ type: 'beat', late: true })
    vi.advanceTimersByTime(20_300)
    server.last.welcome()
    server.last.say({ type: 'beat' })
    expect(links.at(-1)).toBe('live')
    vi.advanceTimersByTime(25_000)
    expect(server.sockets).toHaveLength(2)
  })
})

describe('asking', () => {
  test('answers find their question', async () => {
    server.last.welcome()
    const a = conn.request({ type: 'unsub', c: 'c1' })
    const b = conn.request({ type: 'unsub', c: 'c2' })
    const [first, second] = server.last.of('unsub')
    server.last.say({ type: 'ok', id: second!.id, c: 'two' })
    server.last.say({ type: 'ok', id: first!.id, c: 'one' })
    expect([(await a).c, (await b).c]).toEqual(['one', 'two'])
  })

  test('a problem is an error with its code', async () => {
    server.last.welcome()
    const p = conn.request({ type: 'sub', c: 'c1' })
    server.last.answer('sub', { type: 'err', problem: { title: 'Not found', status: 404, code: 'not_found' } })
    await expect(p).rejects.toMatchObject({ problem: { code: 'not_found' } })
  })

  test('what was not answered is lost with the connection', async () => {
    server.last.welcome()
    const p = conn.request({ type: 'ping' })
    server.last.drop()
    await expect(p).rejects.toThrow('lost')
  })
})

describe('the sign', () => {
  test('says offline where the computer has no network, and live again', () => {
    server.last.welcome()
    online = false
    server.last.drop()
    expect(links.at(-1)).toBe('offline')
    online = true
    conn.wake()
    server.last.welcome()
    expect(links.at(-1)).toBe('live')
  })

  test('says offline after half a minute of trying', () => {
    server.last.welcome()
    while (links.at(-1) !== 'offline') {
      server.last.drop()
      vi.advanceTimersByTime(15_000)
    }
    expect(links.slice(-2)).toEqual(['reconnecting', 'offline'])
  })
})
