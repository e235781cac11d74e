// What the person asked for and the log does not show yet. It survives a
// reload, and until the server has confirmed it, is sent again after each
// welcome; client ids make that harmless.

import { LostError, ProblemError, type Command, type FileRef, type Problem, type Reply } from './protocol'

export type OutCommand = Extract<Command, { type: 'send' | 'regenerate' | 'edit' | 'cancel' }>

export interface OutItem {
  key: string // the client id; of a cancel, "cancel:" and the run
  thread: string // conversation id, or the local name of one that is not made yet
  cmd: OutCommand
  at: number
  files?: FileRef[] // that a question has
  problem?: Problem // it was refused and waits for the person
  sent?: { messageId?: string; run?: string } // confirmed, not yet seen in the log
}

/** Where the outbox is kept; Storage fits. */
export interface Shelf {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

export interface OutboxOptions {
  shelf: Shelf
  request: (cmd: Command) => Promise<Reply>
  onChange: () => void
  onThread: (local: string, id: string) => void // a conversation was made
  onRefused?: (item: OutItem) => void // of what has no place in the thread
  now?: () => number
}

const shelfKey = 'parley.outbox'
const again = new Set(['unavailable', 'rate_limited', 'too_many'])
const againMs = 2_000
const sentFor = 3_600_000 // that a question is shown here which the log does not show yet

/** Begins the names of threads that have no conversation yet. */
export const localPrefix = 'new:'

export class Outbox {
  items: OutItem[]
  private opts: OutboxOptions
  private busy = new Set<string>() // keys under way
  private live = false

  constructor(opts: OutboxOptions) {
    this.opts = opts
    const oldest = (opts.now ?? Date.now)() - sentFor
    this.items = load(opts.shelf).filter((i) => !i.sent || i.at > oldest)
  }

  /** Keeps a command and sends it as soon as it may be. */
  add(key: string, thread: string, cmd: OutCommand, files?: FileRef[]): void {
    if (this.items.some((i) => i.key === key)) return
    this.items = [...this.items, { key, thread, cmd, at: (this.opts.now ?? Date.now)(), ...(files?.length ? { files } : {}) }]
    this.changed()
    this.flush()
  }

  /** Tries again what was refused. */
  retry(key: string): void {
    this.update(key, { problem: undefined })
    this.flush()
  }

  /** Forgets a command: it was seen in the log, or is no longer wanted. */
  remove(key: string): void {
    const kept = this.items.filter((i) => i.key !== key)
    if (kept.length === this.items.length) return
    this.items = kept
    this.changed()
  }

  /** To be called with true after each welcome, false when it is gone. */
  setLive(live: boolean): void {
    this.live = live
    if (live) this.flush()
  }

  ofThread(thread: string): OutItem[] {
    return this.items.filter((i) => i.thread === thread)
  }

  private flush(): void {
    if (!this.live) return
    const blocked = new Set<string>()
    for (const item of this.items) {
      if (item.sent || item.problem) continue
      const ordered = item.cmd.type !== 'cancel'
      if (ordered && blocked.has(item.thread)) continue
      if (ordered) blocked.add(item.thread) // one at a time: order is kept
      if (!this.busy.has(item.key)) void this.send(item)
    }
  }

  private async send(item: OutItem): Promise<void> {
    this.busy.add(item.key)
    let wait = 0
    try {
      this.confirmed(item, await this.opts.request(item.cmd))
    } catch (err) {
      wait = this.failed(item, err)
    }
    const done = () => {
      this.busy.delete(item.key)
      this.flush()
    }
    if (wait > 0) setTimeout(done, wait)
    else done()
  }

  private confirmed(item: OutItem, r: Reply): void {
    if (item.cmd.type === 'cancel') return this.remove(item.key)
    if (r.c && item.thread.startsWith(localPrefix)) this.named(item.thread, r.c)
    this.update(item.key, { sent: { messageId: r.messageId, run: r.run } })
  }

  /** Gives everything that waits for a conversation the id it got. */
  private named(local: string, c: string): void {
    this.items = this.items.map((i) => (i.thread === local ? { ...i, thread: c, cmd: { ...i.cmd, c } as OutCommand } : i))
    this.opts.onThread(local, c)
  }

  /** Returns for how many ms not to try again. */
  private failed(item: OutItem, err: unknown): number {
    if (err instanceof LostError) return 0 // the next welcome sends it
    const problem = err instanceof ProblemError ? err.problem : { title: String(err), status: 500, code: 'unavailable' }
    if (again.has(problem.code)) return problem.retryMs || againMs
    if (item.cmd.type === 'send') this.update(item.key, { problem })
    else this.remove(item.key)
    if (item.cmd.type === 'regenerate' || item.cmd.type === 'edit') this.opts.onRefused?.({ ...item, problem })
    return 0
  }

  private update(key: string, change: Partial<OutItem>): void {
    this.items = this.items.map((i) => (i.key === key ? { ...i, ...change } : i))
    this.changed()
  }

  private changed(): void {
    try {
      this.opts.shelf.setItem(shelfKey, JSON.stringify(this.items))
    } catch {
      // Storage is full or forbidden: the outbox then lives as long as the tab.
    }
    this.opts.onChange()
  }
}

function load(shelf: Shelf): OutItem[] {
  try {
    const items: unknown = JSON.parse(shelf.getItem(shelfKey) ?? '[]')
    return Array.isArray(items) ? (items as OutItem[]).filter((i) => i && i.key && i.cmd?.type) : []
  } catch {
    return []
  }
}
