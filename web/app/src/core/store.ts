// The fold: what a log's entries add up to. It does entry by entry what
// gateway/chat/state.go does, so that every tab shows what the server knows.
// Messages are replaced, never changed in place: who draws compares identity.

import type { Details, Entry, Event, Message, Run, State, Summary } from './protocol'
import { applyTool } from './storetool'

export function emptyState(): State {
  return { messages: [] }
}

/** A state of one's own from a snapshot. */
export function fromSnapshot(s: State): State {
  return { ...s, messages: [...(s.messages ?? [])] }
}

export function active(s: State): boolean {
  return !!s.run && (s.run.status === 'running' || s.run.status === 'accepted')
}

/** Folds one entry into s. Types that it does not know change nothing. */
export function apply(s: State, e: Entry): void {
  const ev = e.ev
  switch (ev.type) {
    case 'conversation.generation':
      if (ev.snapshot) replace(s, fromSnapshot(ev.snapshot))
      break
    case 'conversation.queued':
      if (ev.said && !has(s.messages, ev.said.id) && !has(s.queued, ev.said.id)) s.queued = [...(s.queued ?? []), ev.said]
      break
    case 'conversation.message':
      if (ev.said) said(s, ev.said)
      break
    case 'conversation.titled':
      s.title = ev.title
      break
    case 'conversation.pinned':
      s.pins = ev.pins
      break
    case 'conversation.summarised':
      summarised(s, ev.messageId ?? '', ev.summary)
      break
    case 'conversation.suggested':
      s.suggestions = dropEmpty(ev.suggestions)
      break
    case 'RUN_STARTED':
      start(s, e)
      break
    case 'conversation.handover':
      if (s.run) s.run = { ...s.run, handed: (s.run.handed ?? 0) + 1 }
      break
    case 'conversation.takeover':
      if (s.run) s.run = { ...s.run, try: ev.try ?? 0 }
      rollBack(s)
      break
    case 'conversation.continued':
      if (s.run) s.run = { ...s.run, try: ev.try ?? 0 }
      break
    case 'RUN_FINISHED':
      if (ev.outcome?.type === 'interrupt') interrupt(s, e)
      else end(s, e, ev.outcome?.type === 'cancelled' ? 'cancelled' : 'finished')
      break
    case 'RUN_ERROR':
      end(s, e, 'failed')
      break
    case 'TEXT_MESSAGE_START':
    case 'REASONING_MESSAGE_START':
      open(s, e)
      break
    case 'TEXT_MESSAGE_CONTENT':
    case 'REASONING_MESSAGE_CONTENT':
      write(s, ev.messageId ?? '', ev.delta ?? '')
      break
    case 'TEXT_MESSAGE_END':
      noted(s, ev)
      close(s, ev.messageId ?? '')
      break
    case 'REASONING_MESSAGE_END':
      close(s, ev.messageId ?? '')
      break
    case 'TOOL_CALL_START':
    case 'TOOL_CALL_ARGS':
    case 'TOOL_CALL_RESULT':
    case 'conversation.answered':
      applyTool(s, e)
  }
}

/**
 * Puts a snapshot in the place of a window that it may overlap: what stands
 * before its first message stays. Reports whether the two met.
 */
export function replaceWindow(s: State, snapshot: State): boolean {
  const first = snapshot.messages?.[0]?.id
  const at = first === undefined ? -1 : s.messages.findIndex((m) => m.id === first)
  const before = at < 0 ? [] : s.messages.slice(0, at)
  replace(s, fromSnapshot(snapshot))
  s.messages = [...before, ...s.messages]
  return at >= 0
}

export function runOf(m: Message): string {
  return m.metadata?.parley.run ?? ''
}

function replace(s: State, by: State): void {
  s.messages = by.messages
  s.queued = by.queued
  s.run = by.run
  s.open = by.open
  s.title = by.title
  s.pins = by.pins
  s.interrupts = by.interrupts
  s.suggestions = by.suggestions
}

/** Notes what was said up to a message, in short. One that is not here lies before the window. */
function summarised(s: State, id: string, summary: Summary | undefined): void {
  const i = place(s, id)
  const m = s.messages[i]
  if (m && summary) s.messages[i] = { ...m, metadata: { parley: { ...m.metadata?.parley, summary } } }
}

function said(s: State, m: Message): void {
  if (has(s.messages, m.id)) return
  s.queued = dropEmpty(s.queued?.filter((q) => q.id !== m.id))
  if (m.metadata?.parley.edits) cut(s, m.metadata.parley.edits)
  s.messages.push(m)
}

/**
 * Takes away a message that was edited and everything behind it. One that is
 * not here lies before the window, and all that is here behind it.
 */
function cut(s: State, edited: string): void {
  const gone = s.messages.splice(Math.max(place(s, edited), 0))
  s.open = dropEmpty(s.open?.filter((o) => !has(gone, o)))
}

/** Has the run wait for people. */
function interrupt(s: State, e: Entry): void {
  s.open = s.by = undefined
  s.run = { ...latest(s, e), status: 'waiting' }
  s.interrupts = dropEmpty(e.ev.outcome?.interrupts)
}

/** The run that an entry ends. */
function latest(s: State, e: Entry): Omit<Run, 'status'> {
  return !s.run || (e.ev.runId && s.run.id !== e.ev.runId) ? { id: e.run ?? '', try: Math.max(e.try ?? 0, 1) } : s.run
}

/** Begins a run, or has one go on that waited. The answer that it replaces disappears. */
function start(s: State, e: Entry): void {
  s.interrupts = undefined
  s.suggestions = undefined
  const handed = s.run?.id === e.ev.runId ? s.run?.handed : undefined
  s.run = { id: e.ev.runId ?? '', status: 'running', try: Math.max(e.try ?? 0, 1), handed, started: e.ts || undefined }
  const d = e.ev.metadata?.parley
  if (!d) return
  s.run.question = d.question || undefined
  if (d.agent) s.run.agent = d.agent
  if (d.format) s.run.format = d.format.name
  if (d.replaces) s.messages = s.messages.filter((m) => m.role === 'user' || runOf(m) !== d.replaces)
}

/** Takes away the turn that was left unfinished: what is open, and the thoughts behind the last whole turn. */
function rollBack(s: State): void {
  const gone = new Set(s.open)
  for (let i = s.messages.length - 1; i >= 0 && s.run; i--) {
    const m = s.messages[i]!
    if (runOf(m) !== s.run.id || (m.role !== 'reasoning' && !gone.has(m.id))) break
    gone.add(m.id)
  }
  if (gone.size) s.messages = s.messages.filter((m) => !gone.has(m.id))
  s.open = s.by = undefined
}

/** Closes the run and notes on its last message how it ended. */
function end(s: State, e: Entry, status: 'finished' | 'cancelled' | 'failed'): void {
  s.open = s.by = undefined
  const ev = e.ev
  s.run = { ...latest(s, e), status }
  s.interrupts = undefined
  const d: Details = { status }
  if (ev.metadata) {
    d.model = ev.metadata.parley.model
    d.tookMs = ev.metadata.parley.tookMs
    d.missed = ev.metadata.parley.missed
    if (ev.metadata.parley.agent) d.agent = ev.metadata.parley.agent
    if (ev.metadata.parley.finish) d.finish = ev.metadata.parley.finish
    if (ev.metadata.parley.unseen) d.unseen = ev.metadata.parley.unseen
  }
  if (ev.usage?.length) d.usage = ev.usage[ev.usage.length - 1]
  if (status === 'failed') d.failure = { code: ev.code ?? '', message: ev.message ?? '' }
  const i = lastOf(s, s.run.id, e.ts)
  const m = s.messages[i]!
  if (s.run.format && !m.metadata?.parley.format && m.content && !m.toolCalls?.length) d.format = { name: s.run.format } // it broke off
  s.messages[i] = { ...m, metadata: { parley: { ...m.metadata?.parley, ...d } } }
}

/**
 * Finds the last thing that the assistant said in a run. A run that ended
 * without a word gets an empty message, so that its end is seen.
 */
function lastOf(s: State, run: string, ts: number): number {
  for (let i = s.messages.length - 1; i >= 0; i--) {
    const m = s.messages[i]!
    if (m.role === 'assistant' && runOf(m) === run) return i
  }
  return add(s, { id: run + '.end', role: 'assistant' }, run, ts)
}

/** Adds m as part of a run and returns its place. */
export function add(s: State, m: Message, run: string | undefined, ts: number): number {
  const d: Details = { ...m.metadata?.parley }
  if (run) d.run = run
  if (ts) d.at = ts
  return s.messages.push({ ...m, metadata: { parley: d } }) - 1
}

function open(s: State, e: Entry): void {
  const id = e.ev.messageId ?? ''
  if (s.open?.includes(id)) return
  const role = e.ev.type === 'REASONING_MESSAGE_START' ? 'reasoning' : 'assistant'
  if (place(s, id) < 0) add(s, { id, role }, e.run, e.ts)
  s.open = [...(s.open ?? []), id]
  s.by = (role === 'assistant' && e.ev.metadata?.parley?.model) || undefined
}

function write(s: State, id: string, delta: string): void {
  if (!s.open?.includes(id)) return
  const i = place(s, id)
  const m = s.messages[i]
  if (m) s.messages[i] = { ...m, content: (m.content ?? '') + delta }
}

/** Notes what the end of a turn says: what the run has cost so far, and whether the answer has its format. */
function noted(s: State, ev: Event): void {
  const { usage, format } = ev.metadata?.parley ?? {}
  const i = usage || format ? place(s, ev.messageId ?? '') : -1
  const m = s.messages[i]
  if (m) s.messages[i] = { ...m, metadata: { parley: { ...m.metadata?.parley, ...(usage && { usage }), ...(format && { format }) } } }
}

function close(s: State, id: string): void {
  s.open = dropEmpty(s.open?.filter((o) => o !== id))
  if (!s.open) s.by = undefined
}

export function place(s: State, id: string): number {
  for (let i = s.messages.length - 1; i >= 0; i--) if (s.messages[i]!.id === id) return i
  return -1
}

function has(ms: Message[] | undefined, id: string): boolean {
  return !!ms?.some((m) => m.id === id)
}

export function dropEmpty<T>(a: T[] | undefined): T[] | undefined {
  return a?.length ? a : undefined
}
