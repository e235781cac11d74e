// What is drawn of a conversation: turns, each a question and the parts of its
// answer. Messages have a signal each, flushed once per animation frame, so
// that a piece of text draws one message and nothing else.

import { batch, signal, type Signal } from '@preact/signals'
import type { Interrupt, Message, Source, State } from '../core/protocol'
import { runOf } from '../core/store'
import type { Conv } from '../core/session'

export type Part =
  | { kind: 'text' | 'reasoning'; id: string }
  | { kind: 'tools'; calls: { id: string; message: string; result: string }[] }

/** A question and its answer. Two turns with the same JSON look the same. */
export interface Turn {
  key: string
  question: string // message id, empty for an answer without one
  run: string
  parts: Part[]
  last: string // the message that says how it ended, empty while it runs
  spent: string // the last message that says what it has cost so far, empty for none
  running: boolean
  waiting: boolean // for a person
  formed: boolean // what is written now is to have a format
  tries: number
  newest: boolean
  summary: string // the message with a summary of all up to it, empty for none
}

export class ConvView {
  readonly conv: Conv
  readonly turns = signal<string[]>([])
  readonly queued = signal<Message[]>([])
  readonly interrupts = signal<Interrupt[]>([])
  readonly suggestions = signal<string[]>([])
  readonly sources = new Map<string, Source>()
  private drawn: Message[] = []
  private run: State['run']
  private turnSignals = new Map<string, Signal<Turn>>()
  private turnJSON = new Map<string, string>()
  private messages = new Map<string, Signal<Message>>()
  private cites = new Map<string, Map<string, number>>() // by turn: number of each ref

  constructor(conv: Conv) {
    this.conv = conv
  }

  message(id: string): Signal<Message> {
    let s = this.messages.get(id)
    if (!s) {
      const m = this.conv.state.messages.find((m) => m.id === id)
      this.messages.set(id, (s = signal(m ?? { id, role: 'assistant' })))
    }
    return s
  }

  turn(key: string): Signal<Turn> {
    return this.turnSignals.get(key)!
  }

  /** The number of a citation within its turn, in order of appearance. */
  number(turn: string, ref: string): number | undefined {
    if (!this.sources.has(ref)) return
    let of = this.cites.get(turn)
    if (!of) this.cites.set(turn, (of = new Map()))
    if (!of.has(ref)) of.set(ref, of.size + 1)
    return of.get(ref)
  }

  /** Brings the signals up to the state. */
  flush(): void {
    batch(() => {
      const state = this.conv.state
      let grown = state.messages.length !== this.drawn.length || state.run !== this.run
      for (const [i, m] of state.messages.entries()) {
        const old = this.drawn[i]
        if (old === m) continue
        grown ||= !old || !onlyLonger(old, m)
        for (const s of m.metadata?.parley.sources ?? []) this.sources.set(s.ref, s)
        const sig = this.messages.get(m.id)
        if (sig) sig.value = m
      }
      this.drawn = [...state.messages]
      this.run = state.run
      if (this.queued.peek() !== (state.queued ?? none)) this.queued.value = state.queued ?? none
      if (this.interrupts.peek() !== (state.interrupts ?? nothing)) this.interrupts.value = state.interrupts ?? nothing
      if (this.suggestions.peek() !== (state.suggestions ?? nothingMore)) this.suggestions.value = state.suggestions ?? nothingMore
      if (!grown) return
      const turns = turnsOf(state, this.conv.tries)
      for (const t of turns) this.setTurn(t)
      const keys = turns.map((t) => t.key)
      if (keys.join() !== this.turns.peek().join()) this.turns.value = keys
    })
  }

  private setTurn(t: Turn): void {
    const json = JSON.stringify(t)
    if (this.turnJSON.get(t.key) === json) return
    this.turnJSON.set(t.key, json)
    const sig = this.turnSignals.get(t.key)
    if (!sig) this.turnSignals.set(t.key, signal(t))
    else {
      if (sig.peek().run !== t.run) this.cites.delete(t.key) // answered anew
      sig.value = t
    }
  }
}

const none: Message[] = []
const nothing: Interrupt[] = []
const nothingMore: string[] = []

/** Whether a message only got more text, which changes no turn. */
function onlyLonger(a: Message, b: Message): boolean {
  return a.id === b.id && a.toolCalls === b.toolCalls && a.metadata === b.metadata && !!a.content && !!b.content
}

/** Groups a conversation's messages into turns. */
export function turnsOf(state: State, tries: ReadonlyMap<string, number>): Turn[] {
  const turns: Turn[] = []
  const results = new Map<string, string>()
  for (const m of state.messages) if (m.toolCallId) results.set(m.toolCallId, m.id)
  for (const m of state.messages) {
    if (m.role === 'system') continue
    let t = turns[turns.length - 1]
    if (m.role === 'user' || !t) turns.push((t = newTurn(m)))
    if (m.role === 'user') continue
    if (m.metadata?.parley.summary) t.summary = m.id
    t.run = runOf(m) || t.run
    addParts(t, m, results)
    if (m.role === 'assistant' && m.metadata?.parley.status) t.last = m.id
    if (m.metadata?.parley.usage) t.spent = m.id
  }
  for (const t of turns) t.tries = tries.get(t.run) ?? 1
  markRunning(turns, state)
  const newest = turns[turns.length - 1]
  if (newest) newest.newest = true
  return turns
}

function newTurn(m: Message): Turn {
  const question = m.role === 'user' ? m.id : ''
  return { key: m.id, question, run: '', parts: [], last: '', spent: '', running: false, waiting: false, formed: false, tries: 1, newest: false, summary: '' }
}

function addParts(t: Turn, m: Message, results: Map<string, string>): void {
  if (m.role === 'reasoning') t.parts.push({ kind: 'reasoning', id: m.id })
  if (m.role !== 'assistant') return
  if (m.content) t.parts.push({ kind: 'text', id: m.id })
  for (const c of m.toolCalls ?? []) {
    const call = { id: c.id, message: m.id, result: results.get(c.id) ?? '' }
    const before = t.parts[t.parts.length - 1]
    if (before?.kind === 'tools') before.calls.push(call)
    else t.parts.push({ kind: 'tools', calls: [call] })
  }
}

function markRunning(turns: Turn[], state: State): void {
  const run = state.run
  if (!run || (run.status !== 'running' && run.status !== 'accepted' && run.status !== 'waiting')) return
  const t = turns.find((t) => run.question && t.question === run.question) ?? turns[turns.length - 1]
  if (!t) return
  t.running = run.status !== 'waiting'
  t.waiting = !t.running
  t.formed = t.running && !!run.format
  t.run = run.id
  t.tries = Math.max(t.tries, run.try)
  t.last = ''
}
