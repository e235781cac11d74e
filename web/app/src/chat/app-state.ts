// The page's state: which conversation is shown, what is known of the others,
// and the session that keeps both true.

import { batch, computed, effect, signal } from '@preact/signals'
import type { Link, Socket } from '../core/conn'
import { localPrefix, type OutItem } from '../core/outbox'
import { Session, type Conv } from '../core/session'
import type { FileRef, Source } from '../core/protocol'
import * as api from '../ui/api'
import { perFrame } from '../ui/frame'
import { ConvView } from './view'

export const link = signal<Link>('connecting')
export const info = signal<api.Info | undefined>(undefined)
export const maxMessage = signal(32_768)
export const conversations = signal<api.ConversationInfo[] | undefined>(undefined)
export const nextPage = signal<string | undefined>(undefined)
export const outbox = signal<OutItem[]>([])
export const thread = signal('') // conversation id, or the local name of a new one
export const view = signal<ConvView | undefined>(undefined)
export const pulse = signal(0) // counts flushes of the shown conversation
export const running = signal(false)
export const ahead = signal<number | undefined>(undefined) // a question waits, with about so many before it
export const announcement = signal('')
export const source = signal<{ source: Source; number: number } | undefined>(undefined)
export const drawer = signal(false)
export const toast = signal<{ text: string; action?: string; act?: () => void } | undefined>(undefined)
export const fresh = signal('') // client id of the latest question asked in this tab
export const editing = signal<{ id: string; text: string } | undefined>(undefined) // the question that is being edited, as it was last

export const agents = signal<api.Agent[]>([]) // who can answer, as far as anybody has configured that; the first is the default
export const chosen = signal('') // who is to answer a new conversation; empty: the default

export const place = signal<string | undefined>(undefined) // of the console that is shown, such as /console/tools

export const isNew = computed(() => thread.value.startsWith(localPrefix))
export const pending = computed(() => outbox.value.filter((i) => i.thread === thread.value && (i.cmd.type === 'send' || i.cmd.type === 'edit')))

/** The question in whose place one that is pending is to stand. */
export const replacing = computed(() => pending.value.flatMap((i) => (i.cmd.type === 'edit' ? [i.cmd.messageId] : []))[0])

const views = new Map<string, ConvView>()

export const session = new Session({
  dial: () => new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`, 'parley.v1') as unknown as Socket,
  online: () => navigator.onLine,
  shelf: storage(),
  onLink: (l) => (link.value = l),
  onWelcome: (w) => {
    if (w.maxMessage) maxMessage.value = w.maxMessage
    void refreshList()
  },
  onConv: (c) => {
    setWaiting(c.id, !!c.state.interrupts?.length)
    if (c.id === thread.peek()) schedule()
  },
  onEnded: (c) => {
    announce({ cancelled: 'Answer stopped.', failed: 'The answer failed.', waiting: 'The answer waits for your decision.' }[c.state.run?.status as string] ?? 'Answer complete.')
    void refreshList()
  },
  onGone: () => {
    announce('This conversation was deleted.')
    void refreshList()
  },
  onTitle: (id, title) => setTitle(id, title),
  onOutbox: () => schedule(),
  onThread: (local, id) => {
    if (thread.peek() === local) show(id, true)
    void refreshList()
  },
  onRefused: (i) => {
    toast.value = { text: i.problem?.detail || i.problem?.title || 'The server refused.' }
    if (i.cmd.type === 'edit' && i.thread === thread.peek()) editing.value = { id: i.cmd.messageId, text: i.cmd.content } // nothing typed is lost
  },
})
outbox.value = session.outbox.items

// The outbox with the conversation: a question that arrived in the log leaves
// the one in the frame in which it appears in the other.
const schedule = perFrame(() =>
  batch(() => {
    outbox.value = session.outbox.items
    view.peek()?.flush()
    running.value = session.running
    ahead.value = view.peek()?.conv.ahead
    pulse.value++
  }),
)

/** Has a text read aloud, also if it is the one that was read last. */
function announce(text: string): void {
  announcement.value = ''
  setTimeout(() => (announcement.value = text), 60)
}

/** Shows a conversation, or a new one; replace says not to add to history. */
export function show(id: string | undefined, replace = false): void {
  const name = id ?? localThread()
  const had = place.peek()
  place.value = undefined
  if (thread.peek() === name && view.peek() && !had) return
  thread.value = name
  source.value = undefined
  editing.value = undefined
  drawer.value = false
  const path = id ? '/c/' + encodeURIComponent(id) : '/'
  if (location.pathname !== path) history[replace ? 'replaceState' : 'pushState'](null, '', path)
  const conv = session.follow(id)
  view.value = conv && viewOf(conv)
  schedule.now()
}

function viewOf(conv: Conv): ConvView {
  let v = views.get(conv.id)
  if (v?.conv !== conv) views.set(conv.id, (v = new ConvView(conv)))
  return v
}

/** The new conversation that this tab has not sent yet, or one more. */
function localThread(): string {
  const waiting = session.outbox.items.find((i) => i.thread.startsWith(localPrefix))
  return waiting && thread.peek() === '' ? waiting.thread : localPrefix + crypto.randomUUID()
}

/** Shows a place of the console. */
export function go(path: string, replace = false): void {
  source.value = undefined
  if (location.pathname !== path) history[replace ? 'replaceState' : 'pushState'](null, '', path)
  place.value = path
}

export function route(): void {
  if (location.pathname.startsWith('/console')) return void (place.value = location.pathname)
  const m = /^\/c\/([^/]+)$/.exec(location.pathname)
  show(m ? decodeURIComponent(m[1]!) : undefined, true)
}

export function ask(text: string, files: FileRef[] = []): void {
  const clientId = crypto.randomUUID()
  fresh.value = clientId
  session.say(thread.peek(), text, clientId, files, (isNew.peek() && chosen.peek()) || undefined)
}

export function loadAgents(): Promise<void> {
  return api.agents().then((r) => void (agents.value = r.agents), () => {})
}

export function agentTitle(name: string): string {
  return agents.value.find((a) => a.name === name)?.title || name
}

export function stopAnswer(): void {
  const run = view.peek()?.conv.state.run
  if (run && session.running) session.cancel(thread.peek(), run.id)
}

/** Asks a question in other words; it and what is behind it are replaced. */
export function edit(messageId: string, text: string): void {
  const clientId = crypto.randomUUID()
  batch(() => {
    fresh.value = clientId
    editing.value = undefined
  })
  session.edit(thread.peek(), messageId, text, clientId)
}

export function regenerate(messageId: string): void {
  session.regenerate(thread.peek(), messageId, crypto.randomUUID())
}

let edits = 0 // of titles: a list that was asked for before one is out of date

export async function refreshList(): Promise<void> {
  const asked = edits
  try {
    const r = await api.listConversations()
    if (asked !== edits) return await refreshList()
    conversations.value = r.conversations
    nextPage.value = r.next
  } catch {
    conversations.value ??= []
  }
}

export async function moreConversations(): Promise<void> {
  const after = nextPage.peek()
  if (!after) return
  nextPage.value = undefined
  const r = await api.listConversations(after)
  const known = new Set(conversations.peek()?.map((c) => c.id))
  conversations.value = [...(conversations.peek() ?? []), ...r.conversations.filter((c) => !known.has(c.id))]
  nextPage.value = r.next
}

export function setTitle(id: string, title: string): void {
  const list = conversations.peek()
  const known = list?.find((c) => c.id === id)
  if (known?.title === title) return
  edits++ // a list that is on its way has the old one
  if (known) conversations.value = list!.map((c) => (c.id === id ? { ...c, title } : c))
}

/** Marks a conversation that waits for somebody, or no longer does. */
function setWaiting(id: string, waiting: boolean): void {
  const list = conversations.peek()
  if (list?.some((c) => c.id === id && !!c.waiting !== waiting)) conversations.value = list.map((c) => (c.id === id ? { ...c, waiting } : c))
}

export async function rename(id: string, title: string): Promise<void> {
  const old = conversations.peek()?.find((c) => c.id === id)?.title ?? ''
  setTitle(id, title)
  try {
    await api.renameConversation(id, title)
    edits++
    setTitle(id, title) // a list that came meanwhile had the old one
  } catch (err) {
    setTitle(id, old)
    toast.value = { text: `Not renamed. ${(err as Error).message}` }
  }
}

const undoMs = 6_000
const deleting = new Map<string, () => void>()

/** Hides a conversation at once and deletes it when nobody took it back. */
export function remove(id: string): void {
  const list = conversations.peek() ?? []
  const at = list.findIndex((c) => c.id === id)
  const title = list[at]?.title || 'Conversation'
  conversations.value = list.filter((c) => c.id !== id)
  if (thread.peek() === id) show(undefined)
  const commit = () => {
    clearTimeout(timer)
    if (!deleting.delete(id)) return
    session.forget(id)
    views.delete(id)
    if (toast.peek()?.act === undo) toast.value = undefined
    api.deleteConversation(id).catch((err: Error) => {
      toast.value = { text: `Not deleted. ${err.message}` }
      void refreshList()
    })
  }
  const undo = () => {
    clearTimeout(timer)
    deleting.delete(id)
    toast.value = undefined
    const left = conversations.peek() ?? []
    const missing = at >= 0 && !left.some((c) => c.id === id)
    conversations.value = missing ? left.toSpliced(at, 0, list[at]!) : [...left]
    void refreshList()
  }
  const timer = setTimeout(commit, undoMs)
  deleting.set(id, commit)
  toast.value = { text: `Deleted “${title}”`, action: 'Undo', act: undo }
}

export const listed = computed(() => conversations.value?.filter((c) => !deleting.has(c.id)))

export const title = computed(() => {
  void pulse.value
  const c = conversations.value?.find((c) => c.id === thread.value)
  const state = view.value?.conv.state
  const asked = state?.messages.find((m) => m.role === 'user')?.content ?? ''
  return c?.title || state?.title || asked.trim().slice(0, 100) // until it has one
})

/** Connects the page to the world. To be called once. */
export function start(): void {
  route()
  session.start()
  void api.info().then((i) => {
    info.value = i
    if (i.agents) void loadAgents()
  }).catch(() => {})
  addEventListener('popstate', route)
  addEventListener('online', () => session.wake())
  addEventListener('offline', () => session.netDown())
  document.addEventListener('visibilitychange', seen)
  addEventListener('pagehide', () => {
    for (const commit of [...deleting.values()]) commit()
    session.stop()
  })
  addEventListener('pageshow', (e) => e.persisted && session.start())
  effect(() => {
    void place.value // the console says its own
    document.title = title.value ? title.value + ' · Parley' : 'Parley'
  })
}

const hiddenMs = 5 * 60_000
let hidden = 0

/** A tab that nobody looks at, and where nothing runs, hangs up after a while. */
function seen(): void {
  clearTimeout(hidden)
  if (document.hidden) {
    hidden = window.setTimeout(() => session.running || session.outbox.items.length || session.stop(), hiddenMs)
    return
  }
  session.start()
  session.wake()
}

function storage(): { getItem(k: string): string | null; setItem(k: string, v: string): void } {
  try {
    sessionStorage.getItem('')
    return sessionStorage
  } catch {
    return { getItem: () => null, setItem: () => {} }
  }
}
