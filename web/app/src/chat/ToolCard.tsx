import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { Files } from './files'
import type { ConvView } from './view'
import type { Answered, Interrupt, Message, Outcome, ToolCall } from '../core/protocol'
import { bytes, dateTime, duration, number } from '../ui/format'
import * as icons from '../ui/icons'

interface Call {
  id: string
  message: string
  result: string
}

/** Calls that a model made together stand in one frame, a line each. */
export function ToolGroup({ calls, view, running }: { calls: Call[]; view: ConvView; running: boolean }) {
  return <div class="tools">{calls.map((c) => <ToolCard key={c.id} {...c} view={view} running={running} />)}</div>
}

type Status = 'running' | 'ok' | 'failed' | 'none' | 'waiting'

const glyph = { running: () => <span class="spin" />, ok: icons.Tick, failed: icons.Cross, none: icons.Dash, waiting: icons.Hand }
const spoken = { running: 'running', ok: 'done', failed: 'failed', none: 'no result', waiting: 'waits for you' }

function ToolCard({ id, message, result, view, running }: Call & { view: ConvView; running: boolean }) {
  const call = view.message(message).value.toolCalls?.find((c) => c.id === id)
  const answer = result ? view.message(result).value : undefined
  const outcome = answer?.metadata?.parley.outcome
  const declined = call && notMade(call)
  const failed = !declined && (!!answer?.error || !!outcome?.failed)
  const ask = answer ? undefined : view.interrupts.value.find((i) => i.toolCallId === id)
  const status: Status = answer ? (failed ? 'failed' : declined ? 'none' : 'ok') : ask ? 'waiting' : running ? 'running' : 'none'
  const [chosen, choose] = useState<boolean>()
  const open = chosen ?? (failed || !!ask)
  if (!call) return null
  const Glyph = glyph[status]
  return (
    <div class={'tool ' + status + (open ? ' open' : '')}>
      <button type="button" class="tool-head" aria-expanded={open} onClick={() => choose(!open)}>
        <span class="glyph"><Glyph /><span class="sr">{spoken[status]}</span></span>
        <span class="tool-name">{call.function.name}</span>
        <span class="with">{gist(madeWith(call))}</span>
        <span class="where">{where(call, outcome)}</span>
        <span class="took">{declined && answer ? declined : took(status, outcome)}</span>
        <icons.Chevron />
      </button>
      <Files files={outcome?.files} label={'Files from ' + call.function.name} />
      {open && ask && <LateAsk key={ask.id} ask={ask} call={call} conv={view.conv.id} />}
      {open && !ask && <Inside call={call} answer={answer} outcome={outcome} failed={failed} status={status} />}
    </div>
  )
}

const late = signal<typeof import('./Ask') | undefined>(undefined) // most visits need no such card

function LateAsk(props: { ask: Interrupt; call: ToolCall; conv: string }) {
  useEffect(() => void (late.peek() ?? import('./Ask').then((m) => (late.value = m), () => {})), [])
  return late.value ? <late.value.Ask {...props} /> : null
}

function where(call: ToolCall, outcome: Outcome | undefined): string {
  const d = call.metadata?.parley
  return [outcome?.method || d?.method, outcome?.host || d?.host].filter(Boolean).join(' ')
}

function took(status: Status, o: Outcome | undefined): string {
  if (status === 'running') return 'running'
  if (status === 'waiting') return 'waits for you'
  if (!o) return status === 'none' ? 'no result' : ''
  return [...traffic(o), o.status || '', duration(o.latencyMs)].filter(Boolean).join(' · ')
}

/** What the call's requests went through, if it is worth a word. */
function traffic(o: Outcome): string[] {
  const age = o.ageMs ? `, ${duration(o.ageMs)} old` : ''
  const cache = { hit: 'cached' + age, revalidated: 'revalidated', stale: 'outdated' + age }
  const n = o.retries ?? 0
  return [
    o.cache ? cache[o.cache] : '',
    n === 1 ? 'retried once' : n === 2 ? 'retried twice' : n ? `retried ${number(n)} times` : '',
    o.breaker ? 'breaker ' + o.breaker : '',
  ]
}

interface InsideProps {
  call: ToolCall
  answer: Message | undefined
  outcome: Outcome | undefined
  failed: boolean
  status: Status
}

function Inside({ call, answer, outcome, failed, status }: InsideProps) {
  const w = where(call, outcome)
  const answers = call.metadata?.parley.answers ?? []
  const edited = madeWith(call) !== call.function.arguments
  return (
    <div class="tool-in">
      {answers.map((a) => <p class="decision" key={a.interruptId}>{verdict(a)}</p>)}
      {failed && answer && <Field label="Error" text={answer.error || answer.content || 'failed'} bad />}
      <Field label={edited ? 'Arguments, as changed' : 'Arguments'} text={pretty(madeWith(call)) || '{}'} />
      {edited && <Field label="Arguments, as the model proposed them" text={pretty(call.function.arguments) || '{}'} />}
      {answer && <Field label={answer.error ? 'What the model was told' : 'Result'} text={pretty(answer.content ?? '')} />}
      {!answer && status === 'running' && <p class="wait">The answer is awaited.</p>}
      <p class="more-facts">{[w, ...facts(outcome)].filter(Boolean).join(' · ')}</p>
    </div>
  )
}

/** What a call is made with: the arguments as a person changed them, or the model's. */
function madeWith(call: ToolCall): string {
  for (const a of call.metadata?.parley.answers ?? []) {
    if (a.payload?.approved === true && a.payload.editedArgs) return JSON.stringify(a.payload.editedArgs)
  }
  return call.function.arguments
}

/** Why a call was not made that a person was asked about, in a word or two; empty if it may have been. */
function notMade(call: ToolCall): string {
  const last = call.metadata?.parley.answers?.at(-1)
  if (last?.payload?.approved === false) return 'refused'
  if (last?.status === 'expired') return 'not decided in time'
  return last?.status === 'cancelled' ? 'not decided' : ''
}

/** What became of a question, in words. */
function verdict(a: Answered): string {
  const when = a.at ? ' · ' + dateTime(a.at) : ''
  const by = a.by === 'admin' ? ' by the administrator' : ''
  if (a.status === 'expired') return 'Nobody decided in time' + when
  if (a.status === 'cancelled') return 'Nobody decided' + when
  if (a.payload?.approved === true) return (a.payload.editedArgs ? 'Approved with other arguments' : 'Approved') + by + when
  if (a.payload?.approved === false) return 'Refused' + by + (a.payload.reason ? `: ${String(a.payload.reason)}` : '') + when
  return 'Answered' + by + when
}

function facts(o: Outcome | undefined): string[] {
  if (!o) return []
  const n = o.requests ?? 0
  return [n > 1 ? `${number(n)} requests` : '', o.bytes ? bytes(o.bytes) : '', o.cut ? 'cut to fit the model' : '']
}

const enough = 3_000

function Field({ label, text, bad }: { label: string; text: string; bad?: boolean }) {
  const [all, setAll] = useState(false)
  const long = text.length > enough && !all
  return (
    <section class={bad ? 'field bad' : 'field'}>
      <h3>{label}</h3>
      <pre tabIndex={0} role="region" aria-label={label}>{long ? text.slice(0, enough) + ' …' : text}</pre>
      {long && <button type="button" class="button small quiet" onClick={() => setAll(true)}>Show all {number(text.length)} characters</button>}
    </section>
  )
}

/** The plain values of a call's arguments, so that two calls can be told apart. */
function gist(args: string): string {
  try {
    const values = Object.values(JSON.parse(args || '{}') as object)
    return values.filter((v) => typeof v === 'string' || typeof v === 'number').join(', ').slice(0, 120)
  } catch {
    return '' // it is still being written
  }
}

/** JSON is laid out; anything else stays as it is. */
export function pretty(text: string): string {
  if (!/^\s*[{[]/.test(text)) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
