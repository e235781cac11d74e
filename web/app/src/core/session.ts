// What a tab follows: one conversation at a time, those it followed before kept
// for going back. Joins the connection, the fold and the outbox.

import { Conn, type ConnOptions, type Link, type Socket } from './conn'
import { Outbox, localPrefix, type OutItem, type Shelf } from './outbox'
import { ProblemError, type Entry, type FileRef, type Push, type Reply, type Welcome } from './protocol'
import { active, apply, emptyState, fromSnapshot, replaceWindow } from './store'
import type { State } from './protocol'

/** A conversation as far as this tab knows it. */
export interface Conv {
  id: string
  state: State
  at: string // the last entry that is folded, opaque
  older?: string // history goes on before this message
  loading: boolean // older messages are under way
  synced: boolean // what the server says of it follows on what is here
  ready: boolean // the first window is here
  missing: boolean // the server does not know it, or not for this person
  ahead?: number // a question waits for a free place, and about so many come before it
  tries: Map<string, number> // runs that were taken over, and how often begun
}

export interface SessionOptions {
  dial: () => Socket
  shelf: Shelf
  online?: ConnOptions['online']
  random?: () => number
  onLink: (link: Link) => void
  onConv: (c: Conv) => void // its state changed
  onEnded: (c: Conv) => void // its run ended while it was followed
  onGone: (c: Conv) => void // it was deleted while it was followed
  onTitle: (id: string, title: string) => void
  onOutbox: () => void
  onThread: (local: string, id: string) => void
  onRefused: (item: OutItem) => void
  onWelcome: (w: Welcome) => void
}

const keep = 12 // conversations besides the followed one
const page = 50

export class Session {
  readonly outbox: Outbox
  private conn: Conn
  private convs = new Map<string, Conv>()
  private followed: string | undefined
  private opts: SessionOptions

  constructor(opts: SessionOptions) {
    this.opts = opts
    this.conn = new Conn({
      dial: opts.dial,
      online: opts.online,
      random: opts.random,
      onLink: (link) => {
        if (link !== 'live') this.outbox.setLive(false)
        opts.onLink(link)
      },
      onWelcome: (w) => this.welcomed(w),
      onPush: (p) => this.push(p),
    })
    this.outbox = new Outbox({
      shelf: opts.shelf,
      request: (cmd) => this.conn.request(cmd),
      onChange: opts.onOutbox,
      onThread: opts.onThread,
      onRefused: opts.onRefused,
    })
  }

  start(): void {
    this.conn.start()
  }

  stop(): void {
    this.conn.stop()
    this.outbox.setLive(false)
  }

  wake(): void {
    this.conn.wake()
  }

  netDown(): void {
    this.conn.netDown()
  }

  /** Whether a followed answer runs. */
  get running(): boolean {
    const c = this.followed === undefined ? undefined : this.convs.get(this.followed)
    return !!c && active(c.state)
  }

  /** Follows a conversation, or none, instead of what was followed before. */
  follow(id: string | undefined): Conv | undefined {
    if (id === this.followed) return id === undefined ? undefined : this.convs.get(id)
    const old = this.followed
    this.followed = id
    if (old !== undefined) this.conn.request({ type: 'unsub', c: old }).catch(() => {})
    this.beat()
    if (id === undefined) return
    const c = this.convs.get(id) ?? newConv(id)
    this.convs.delete(id)
    this.convs.set(id, c) // the latest is last
    this.evict()
    void this.subscribe(c)
    return c
  }

  /** Forgets a conversation that was deleted. */
  forget(id: string): void {
    if (this.followed === id) this.follow(undefined)
    this.convs.delete(id)
    for (const i of this.outbox.ofThread(id)) this.outbox.remove(i.key)
  }

  say(thread: string, content: string, clientId: string, files: FileRef[] = [], agent?: string): void {
    const c = thread.startsWith(localPrefix) ? undefined : thread
    this.outbox.add(clientId, thread, { type: 'send', c, agent, msg: files.length ? { clientId, content, files: files.map((f) => f.id) } : { clientId, content } }, files)
  }

  cancel(c: string, run: string): void {
    this.outbox.add('cancel:' + run, c, { type: 'cancel', c, run })
  }

  regenerate(c: string, messageId: string, clientId: string): void {
    this.outbox.add(clientId, c, { type: 'regenerate', c, messageId, clientId })
  }

  /** Asks a question in other words; what is behind it goes. */
  edit(c: string, messageId: string, content: string, clientId: string): void {
    this.outbox.add(clientId, c, { type: 'edit', c, messageId, clientId, content })
  }

  /** Answers something that a run waits for. Sending it again is harmless. */
  async answer(c: string, interruptId: string, status: 'resolved' | 'cancelled', payload?: object): Promise<void> {
    await this.conn.request({ type: 'answer', c, answers: [{ interruptId, status, payload }] })
  }

  /** Pins a feed to a conversation, or takes it away. Sending it again is harmless. */
  async pin(c: string, feed: string, pinned: boolean): Promise<void> {
    await this.conn.request({ type: pinned ? 'pin' : 'unpin', c, feed })
  }

  /** Fetches older messages; false if there are none or not now. */
  async history(c: Conv): Promise<boolean> {
    if (!c.older || c.loading) return false
    const before = c.older
    this.change(c, () => (c.loading = true))
    try {
      const r = await this.conn.request({ type: 'history', c: c.id, before, limit: page })
      if (c.older !== before) return false // the window was replaced meanwhile
      const known = new Set(c.state.messages.map((m) => m.id))
      const older = (r.messages ?? []).filter((m) => !known.has(m.id))
      c.state.messages = [...older, ...c.state.messages]
      c.older = r.next
      return older.length > 0
    } catch {
      return false
    } finally {
      this.change(c, () => (c.loading = false))
    }
  }

  private welcomed(w: Welcome): void {
    this.opts.onWelcome(w)
    const c = this.followed === undefined ? undefined : this.convs.get(this.followed)
    if (c) void this.subscribe(c)
    this.outbox.setLive(true)
  }

  private async subscribe(c: Conv): Promise<void> {
    c.synced = false // what still comes of an earlier subscription is not heard
    c.ahead = undefined
    if (!this.conn.live) return
    try {
      const r = await this.conn.request({ type: 'sub', c: c.id, after: c.at || undefined })
      this.change(c, () => this.subscribed(c, r))
    } catch (err) {
      if (!(err instanceof ProblemError)) return // the next welcome subscribes
      if (err.problem.status === 404 || err.problem.status === 403) this.change(c, () => (c.missing = true))
      else setTimeout(() => this.followed === c.id && void this.subscribe(c), err.problem.retryMs ?? 2_000)
    }
  }

  private subscribed(c: Conv, r: Reply): void {
    c.synced = c.ready = true
    c.missing = !!r.snapshot?.deleted
    if (r.recovered || !r.snapshot) return
    c.state = fromSnapshot(r.snapshot)
    c.older = r.older
    c.at = r.at ?? r.head ?? ''
    this.sawWindow(c)
  }

  private push(p: Push): void {
    if (p.type !== 'ev' && p.type !== 'snap' && p.type !== 'eph') return
    const c = this.convs.get(p.c)
    if (!c?.synced || p.c !== this.followed) return
    if (p.type === 'eph') {
      if (p.kind === 'queue') this.change(c, () => (c.ahead = p.data.ahead))
      return
    }
    if (p.type === 'snap' && p.snapshot.deleted) return this.gone(c)
    const before = active(c.state)
    this.change(c, () => {
      if (p.type === 'snap') this.snap(c, p.at, p.snapshot)
      else for (const e of p.items) this.entry(c, e)
      c.ahead = undefined // somebody writes it
    })
    if (before && !active(c.state)) this.opts.onEnded(c)
  }

  private gone(c: Conv): void {
    this.change(c, () => {
      c.state = emptyState()
      c.missing = true
      c.synced = false
    })
    this.opts.onGone(c)
  }

  private snap(c: Conv, at: string, snapshot: State): void {
    const met = replaceWindow(c.state, snapshot)
    if (!met) c.older = snapshot.messages?.[0]?.id
    c.at = at
    this.sawWindow(c)
  }

  private entry(c: Conv, e: Entry): void {
    const title = c.state.title
    apply(c.state, e)
    c.at = e.at
    // What was edited may have been the first message here.
    if (e.ev.said?.metadata?.parley.edits && c.older && !c.state.messages.some((m) => m.id === c.older)) c.older = c.state.messages[0]?.id
    if ((e.ev.type === 'conversation.takeover' || e.ev.type === 'conversation.continued') && e.run) c.tries.set(e.run, e.ev.try ?? 2)
    if (c.state.title !== undefined && c.state.title !== title) this.opts.onTitle(c.id, c.state.title)
  }

  private sawWindow(c: Conv): void {
    const run = c.state.run
    if (run && run.try > 1) c.tries.set(run.id, run.try)
    if (c.state.title) this.opts.onTitle(c.id, c.state.title)
    for (const i of this.outbox.ofThread(c.id)) if (i.sent && i.cmd.type !== 'send' && !waits(c.state, i)) this.outbox.remove(i.key)
  }

  /** Changes c, clears what the log now shows from the outbox, tells the page. */
  private change(c: Conv, f: () => void): void {
    f()
    if (c.id === this.followed) this.beat()
    for (const item of this.outbox.ofThread(c.id)) if (inLog(c.state, item)) this.outbox.remove(item.key)
    this.opts.onConv(c)
  }

  private beat(): void {
    this.conn.setRunning(this.running)
  }

  private evict(): void {
    for (const id of this.convs.keys()) {
      if (this.convs.size <= keep) return
      if (id !== this.followed) this.convs.delete(id)
    }
  }
}

function newConv(id: string): Conv {
  return { id, state: emptyState(), at: '', loading: false, synced: false, ready: false, missing: false, tries: new Map() }
}

/** Whether an edit is yet to be seen: what it edits is here. */
function waits(s: State, item: OutItem): boolean {
  const cmd = item.cmd
  return cmd.type === 'edit' && s.messages.some((m) => m.id === cmd.messageId)
}

function inLog(s: State, item: OutItem): boolean {
  if (item.cmd.type === 'send' || item.cmd.type === 'edit') {
    const of = (m: { id: string; metadata?: { parley: { clientId?: string } } }) =>
      m.metadata?.parley.clientId === item.key || m.id === item.sent?.messageId
    return s.messages.some(of) || !!s.queued?.some(of)
  }
  return item.cmd.type === 'regenerate' && !!item.sent?.run && s.run?.id === item.sent.run
}
