// What a run waits for, as a card: a call to be allowed, something to be filled
// in, or a way to go. It is there in every tab until somebody has decided.

import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { session } from './app-state'
import { AskForm } from './AskForm'
import { pretty } from './ToolCard'
import { ProblemError, type Interrupt, type ToolCall } from '../core/protocol'
import { timeLeft } from '../ui/format'
import * as icons from '../ui/icons'

interface Props {
  ask: Interrupt
  call: ToolCall
  conv: string
}

export function Ask({ ask, call, conv }: Props) {
  const title = useId()
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState('')
  const decide: BodyProps['decide'] = async (status, payload, place) => {
    setBusy(true)
    setProblem('')
    try {
      await session.answer(conv, ask.id, status, payload)
    } catch (err) {
      const { message } = err as Error
      const at = err instanceof ProblemError ? /^answers\[0\]\.payload(\..*)/s.exec(err.problem.field ?? '')?.[1] : undefined
      if (!at || !place?.(at, message.replace(/^The payload is not what was asked for: /, ''))) setProblem(message)
      setBusy(false)
    }
  }
  const Body = ask.reason === 'tool_call' ? Approval : ask.reason === 'parley:connect' ? Connect : AskForm
  return (
    <div class="ask" role="group" aria-labelledby={title} aria-busy={busy}>
      <p class="ask-title" id={title}>{ask.reason === 'tool_call' ? question(call) : ask.message || 'Something is needed from you.'}</p>
      <Body ask={ask} call={call} busy={busy} decide={decide} />
      {problem && <p class="ask-problem" role="alert"><icons.Warn />{problem}</p>}
    </div>
  )
}

function question(call: ToolCall): string {
  const d = call.metadata?.parley
  const to = [d?.method, d?.host].filter(Boolean).join(' ')
  return `Allow ${call.function.name}${to ? ` (${to})` : ''}?`
}

export interface BodyProps {
  ask: Interrupt
  call: ToolCall
  busy: boolean
  /** place shows what is wrong at a place in the payload there, if it can. */
  decide: (status: 'resolved' | 'cancelled', payload?: object, place?: (at: string, text: string) => boolean) => Promise<void>
}

type Mode = 'look' | 'edit' | 'refuse'

function Approval({ ask, call, busy, decide }: BodyProps) {
  const [mode, setMode] = useState<Mode>('look')
  const [always, setAlways] = useState(false)
  const allow = (editedArgs?: object) => void decide('resolved', { approved: true, ...(editedArgs && { editedArgs }), ...(always && { always }) })
  const back = () => setMode('look')
  if (mode === 'edit') return <Edit text={pretty(call.function.arguments) || '{}'} busy={busy} back={back} allow={allow} />
  if (mode === 'refuse') return <Refuse busy={busy} back={back} refuse={(reason) => void decide('resolved', { approved: false, ...(reason && { reason }) })} />
  return (
    <>
      <pre tabIndex={0} role="region" aria-label="Arguments">{pretty(call.function.arguments) || '{}'}</pre>
      <div class="ask-row">
        <button type="button" class="button primary" disabled={busy} onClick={() => allow()}><icons.Check />Approve</button>
        <button type="button" class="button" disabled={busy} onClick={() => setMode('edit')}><icons.Pencil />Edit</button>
        <button type="button" class="button" disabled={busy} onClick={() => setMode('refuse')}><icons.Close />Refuse</button>
        <label class="always"><input type="checkbox" checked={always} disabled={busy} onChange={(e) => setAlways(e.currentTarget.checked)} />Always allow here</label>
        <TimeLeft until={ask.expiresAt} />
      </div>
    </>
  )
}

function Edit({ text, busy, back, allow }: { text: string; busy: boolean; back: () => void; allow: (args: object) => void }) {
  const [value, setValue] = useState(text)
  const box = useFocus<HTMLTextAreaElement>()
  const wrong = useId()
  const { args, fault } = parse(value)
  return (
    <form onSubmit={(e) => { e.preventDefault(); if (args) allow(args) }} onKeyDown={(e) => e.key === 'Escape' && back()}>
      <textarea ref={box} aria-label="Arguments as JSON" aria-invalid={!!fault} aria-describedby={fault ? wrong : undefined} spellcheck={false}
        rows={Math.min(16, value.split('\n').length + 1)} value={value} onInput={(e) => setValue(e.currentTarget.value)} />
      {fault && <p class="ask-problem" id={wrong} role="alert">{fault}</p>}
      <div class="ask-row">
        <button type="submit" class="button primary" disabled={busy || !args}><icons.Check />Approve with these</button>
        <button type="button" class="button" disabled={busy} onClick={back}>Back</button>
      </div>
    </form>
  )
}

function parse(text: string): { args?: object; fault?: string } {
  try {
    const v: unknown = JSON.parse(text)
    if (v && typeof v === 'object' && !Array.isArray(v)) return { args: v }
    return { fault: 'Arguments are a JSON object: {…}.' }
  } catch (err) {
    return { fault: 'This is no JSON yet: ' + (err as Error).message }
  }
}

function Refuse({ busy, back, refuse }: { busy: boolean; back: () => void; refuse: (reason: string) => void }) {
  const [reason, setReason] = useState('')
  const box = useFocus<HTMLInputElement>()
  return (
    <form onSubmit={(e) => { e.preventDefault(); refuse(reason.trim()) }} onKeyDown={(e) => e.key === 'Escape' && back()}>
      <label class="ask-field">
        <span>Why not? The model reads it.</span>
        <input ref={box} type="text" maxLength={2000} value={reason} placeholder="optional" onInput={(e) => setReason(e.currentTarget.value)} />
      </label>
      <div class="ask-row">
        <button type="submit" class="button danger" disabled={busy}><icons.Close />Refuse</button>
        <button type="button" class="button" disabled={busy} onClick={back}>Back</button>
      </div>
    </form>
  )
}

/** Has the person go elsewhere, and goes on when they are back. */
function Connect({ ask, busy, decide }: BodyProps) {
  const url = safe(ask.metadata?.parley.url)
  useEffect(() => {
    const told = new BroadcastChannel('parley-connect')
    told.onmessage = () => void decide('resolved')
    return () => told.close()
  }, [ask.id])
  return (
    <div class="ask-row">
      {url && <a class="button primary" href={url} target="_blank" rel="noopener noreferrer"><icons.Plug />Connect</a>}
      <button type="button" class="button" disabled={busy} onClick={() => void decide('resolved')}>Continue</button>
      <button type="button" class="button" disabled={busy} onClick={() => void decide('cancelled')}>Not now</button>
      <TimeLeft until={ask.expiresAt} />
    </div>
  )
}

/** Only what a browser opens as a page: a tool's URL could be anything. */
function safe(url: string | undefined): string | undefined {
  try {
    const u = new URL(url ?? '')
    return u.protocol === 'https:' || u.protocol === 'http:' ? u.href : undefined
  } catch {
    return undefined
  }
}

export function TimeLeft({ until }: { until: string }) {
  const end = Date.parse(until)
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const t = setInterval(() => setNow(Date.now()), 20_000)
    return () => clearInterval(t)
  }, [])
  return <span class="left">{timeLeft(end - now)}</span>
}

/** What is opened by a person gets the focus. */
function useFocus<T extends HTMLElement>() {
  const ref = useRef<T>(null)
  useEffect(() => ref.current?.focus(), [])
  return ref
}
