// One WebSocket at a time, dialled again for ever: full jitter, a watchdog for
// sockets that are open but dead, and answers matched to what was asked.

import { LostError, ProblemError, type Command, type Push, type Reply, type Welcome } from './protocol'

/** What conn needs of a WebSocket; tests hand in their own. */
export interface Socket {
  readyState: number
  onopen: (() => void) | null
  onmessage: ((e: { data: unknown }) => void) | null
  onclose: ((e: { code: number; reason: string }) => void) | null
  onerror: (() => void) | null
  send(data: string): void
  close(code?: number): void
}

/**
 * How the connection is. Live: welcomed. Offline: the computer has no network,
 * or redialling has failed for a while. Refused: the server wants a sign-in.
 */
export type Link = 'connecting' | 'live' | 'reconnecting' | 'offline' | 'refused'

export interface ConnOptions {
  dial: () => Socket
  onLink: (link: Link) => void
  onWelcome: (w: Welcome) => void
  onPush: (p: Push) => void
  online?: () => boolean // default: always
  random?: () => number // default: Math.random
  client?: string // default: "web/1"
}

export const timing = {
  backoffMin: 300,
  backoffMax: 15_000,
  connecting: 5_000, // until open, and again until welcome
  beatRunning: 5_000, // the server's beat while a followed answer runs
  beatIdle: 15_000, // and otherwise, until a welcome says
  wake: 3_500, // for an answer to the ping on waking
  offlineAfter: 30_000, // without a connection
  lateFor: 10_000, // until another replica is tried, if this one hears nothing; twice as long each time
}

const OPEN = 1
const refusals = [4401, 4403]

interface Waiting {
  resolve: (r: Reply) => void
  reject: (e: Error) => void
}

export class Conn {
  private socket: Socket | undefined
  private welcomed = false
  private stopped = true
  private link: Link = 'connecting'
  private attempts = 0
  private lostAt = 0
  private obeyMs: number | undefined // said by bye
  private nextId = 1
  private waiting = new Map<string, Waiting>()
  private timers: Record<'redial' | 'limit' | 'watch' | 'late', ReturnType<typeof setTimeout> | undefined> = {
    redial: undefined,
    limit: undefined,
    watch: undefined,
    late: undefined,
  }
  private lates = 0 // replicas that were tried because the one before heard nothing
  private idleMs = timing.beatIdle
  private running = false
  private opts: ConnOptions

  constructor(opts: ConnOptions) {
    this.opts = opts
  }

  get live(): boolean {
    return this.welcomed
  }

  /** Dials, unless it has. */
  start(): void {
    if (!this.stopped) return
    this.stopped = false
    this.lostAt = Date.now()
    this.dial()
  }

  /** Hangs up and stays so until start. */
  stop(): void {
    this.stopped = true
    this.drop()
    this.attempts = 0
  }

  /** Says whether a followed answer runs, which quickens the server's beat. */
  setRunning(running: boolean): void {
    if (this.running === running) return
    this.running = running
    if (this.welcomed) this.watch()
  }

  /** To be called when the network came back or the page was woken. */
  wake(): void {
    if (this.stopped || this.link === 'refused') return
    if (!this.socket) return this.dial()
    if (!this.welcomed) return
    const socket = this.socket
    this.request({ type: 'ping' }).catch(() => {})
    clearTimeout(this.timers.watch)
    this.timers.watch = setTimeout(() => this.lost(socket), timing.wake)
  }

  /** To be called when the computer lost its network. */
  netDown(): void {
    if (!this.stopped && !this.welcomed) this.setLink('offline')
    else this.wake()
  }

  /**
   * Sends a command and resolves with its answer. Rejects with ProblemError
   * for an err frame, and LostError if the connection goes first.
   */
  request(cmd: Command): Promise<Reply> {
    if (!this.welcomed) return Promise.reject(new LostError())
    return this.ask(cmd)
  }

  private ask(cmd: object): Promise<Reply> {
    const id = String(this.nextId++)
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      this.socket!.send(JSON.stringify({ ...cmd, id }))
    })
  }

  private dial(): void {
    clearTimeout(this.timers.redial)
    if (this.stopped) return
    const socket = this.opts.dial()
    this.socket = socket
    this.limit(socket)
    socket.onopen = () => {
      this.limit(socket)
      this.ask({ type: 'hello', client: this.opts.client ?? 'web/1' }).catch(() => this.lost(socket))
    }
    socket.onmessage = (e) => this.receive(socket, e.data)
    socket.onclose = (e) => this.lost(socket, e.code)
    socket.onerror = () => {} // a close follows
  }

  private limit(socket: Socket): void {
    clearTimeout(this.timers.limit)
    this.timers.limit = setTimeout(() => this.lost(socket), timing.connecting)
  }

  private receive(socket: Socket, data: unknown): void {
    if (socket !== this.socket || typeof data !== 'string') return
    const frame = JSON.parse(data) as (Reply | Welcome | Push) & { id?: string }
    if (this.welcomed) this.watch()
    if (frame.type === 'welcome') this.welcome(frame as Welcome)
    else if (frame.id) return this.answer(frame as Reply)
    if (frame.type === 'beat') this.beat(socket, (frame as { late?: boolean }).late === true)
    else if (frame.type === 'bye') this.obeyMs = (frame as { retryMs?: number }).retryMs ?? 0
    else if (frame.type === 'ev' || frame.type === 'snap' || frame.type === 'eph') this.opts.onPush(frame as Push)
  }

  private welcome(w: Welcome): void {
    clearTimeout(this.timers.limit)
    this.waiting.clear()
    this.welcomed = true
    this.attempts = 0
    this.obeyMs = undefined
    this.idleMs = w.pingMs || timing.beatIdle
    this.watch()
    this.setLink('live')
    this.opts.onWelcome(w)
  }

  private answer(r: Reply): void {
    const w = this.waiting.get(r.id)
    if (!w) return
    this.waiting.delete(r.id)
    if (r.type === 'err') w.reject(new ProblemError(r.problem ?? { title: 'Failed', status: 500, code: 'unavailable' }))
    else w.resolve(r)
  }

  /**
   * A replica that is late is connected and hears nothing of what goes on.
   * Another may: it is tried after a time, which doubles.
   */
  private beat(socket: Socket, late: boolean): void {
    if (!late) {
      this.lates = 0
      clearTimeout(this.timers.late)
      this.timers.late = undefined
      return this.setLink('live')
    }
    this.setLink('reconnecting')
    const random = this.opts.random ?? Math.random
    this.timers.late ??= setTimeout(() => this.lost(socket), timing.lateFor * 2 ** Math.min(this.lates++, 4) * (1 + random()))
  }

  /** Two beats missed, and a little: the socket is dead. */
  private watch(): void {
    clearTimeout(this.timers.watch)
    const socket = this.socket!
    const beat = this.running ? Math.min(timing.beatRunning, this.idleMs) : this.idleMs
    this.timers.watch = setTimeout(() => this.lost(socket), beat * 2 + 2_000)
  }

  private lost(socket: Socket, code?: number): void {
    if (socket !== this.socket) return
    if (this.welcomed) this.lostAt = Date.now()
    this.drop()
    if (code !== undefined && refusals.includes(code)) return this.setLink('refused')
    this.redialLater()
  }

  private drop(): void {
    const s = this.socket
    this.socket = undefined
    this.welcomed = false
    for (const t of Object.values(this.timers)) clearTimeout(t)
    this.timers.late = undefined
    if (s) {
      s.onopen = s.onmessage = s.onclose = null
      if (s.readyState <= OPEN) s.close()
    }
    const waiting = [...this.waiting.values()]
    this.waiting.clear()
    for (const w of waiting) w.reject(new LostError())
  }

  private redialLater(): void {
    if (this.stopped) return
    const down = this.opts.online?.() === false
    this.setLink(down || Date.now() - this.lostAt > timing.offlineAfter ? 'offline' : 'reconnecting')
    const wait = this.obeyMs ?? backoff(this.attempts++, this.opts.random ?? Math.random)
    this.obeyMs = undefined
    this.timers.redial = setTimeout(() => this.dial(), wait)
  }

  private setLink(link: Link): void {
    if (this.link === link) return
    this.link = link
    this.opts.onLink(link)
  }
}

/** Full jitter: anything between nothing and a limit that doubles. */
export function backoff(attempt: number, random: () => number): number {
  return random() * Math.min(timing.backoffMax, timing.backoffMin * 2 ** Math.min(attempt, 16))
}
