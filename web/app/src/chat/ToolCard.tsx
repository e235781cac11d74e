import { useState } from 'preact/hooks'
import { Files } from './files'
import type { ConvView } from './view'
import type { Message, Outcome, ToolCall } from '../core/protocol'
import { bytes, duration, number } from '../ui/format'
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

type Status = 'running' | 'ok' | 'failed' | 'none'

const glyph = { running: () => <span class="spin" />, ok: icons.Tick, failed: icons.Cross, none: icons.Dash }
const spoken = { running: 'running', ok: 'done', failed: 'failed', none: 'no result' }

function ToolCard({ id, message, result, view, running }: Call & { view: ConvView; running: boolean }) {
  const call = view.message(message).value.toolCalls?.find((c) => c.id === id)
  const answer = result ? view.message(result).value : undefined
  const outcome = answer?.metadata?.parley.outcome
  const failed = !!answer?.error || !!outcome?.failed
  const status: Status = answer ? (failed ? 'failed' : 'ok') : running ? 'running' : 'none'
  const [chosen, choose] = useState<boolean>()
  const open = chosen ?? failed
  if (!call) return null
  const Glyph = glyph[status]
  return (
    <div class={'tool ' + status + (open ? ' open' : '')}>
      <button type="button" class="tool-head" aria-expanded={open} onClick={() => choose(!open)}>
        <span class="glyph"><Glyph /><span class="sr">{spoken[status]}</span></span>
        <span class="tool-name">{call.function.name}</span>
        <span class="with">{gist(call.function.arguments)}</span>
        <span class="where">{where(call, outcome)}</span>
        <span class="took">{took(status, outcome)}</span>
        <icons.Chevron />
      </button>
      <Files files={outcome?.files} label={'Files from ' + call.function.name} />
      {open && <Inside call={call} answer={answer} outcome={outcome} failed={failed} status={status} />}
    </div>
  )
}

function where(call: ToolCall, outcome: Outcome | undefined): string {
  const d = call.metadata?.parley
  return [outcome?.method || d?.method, outcome?.host || d?.host].filter(Boolean).join(' ')
}

function took(status: Status, o: Outcome | undefined): string {
  if (status === 'running') return 'running'
  if (!o) return status === 'none' ? 'no result' : ''
  return [o.status || '', duration(o.latencyMs)].filter(Boolean).join(' · ')
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
  return (
    <div class="tool-in">
      {failed && answer && <Field label="Error" text={answer.error || answer.content || 'failed'} bad />}
      <Field label="Arguments" text={pretty(call.function.arguments) || '{}'} />
      {answer && <Field label={failed ? 'What the model was told' : 'Result'} text={pretty(answer.content ?? '')} />}
      {!answer && status === 'running' && <p class="wait">The answer is awaited.</p>}
      <p class="more-facts">{[w, ...facts(outcome)].filter(Boolean).join(' · ')}</p>
    </div>
  )
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
function pretty(text: string): string {
  if (!/^\s*[{[]/.test(text)) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
