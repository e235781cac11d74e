import { signal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import { agents, agentTitle, fresh, regenerate, source } from './app-state'
import { Json } from './Json'
import { Markdown } from './Markdown'
import { Question } from './Question'
import { Suggestions, Summary } from './Mark'
import { ToolGroup } from './ToolCard'
import type { ConvView, Part, Turn as TurnData } from './view'
import { citedIn } from '../core/mdstream'
import type { Details, Source, Usage } from '../core/protocol'
import { copy } from '../ui/clipboard'
import { dollars, duration, number, time } from '../ui/format'
import * as icons from '../ui/icons'

export function Turn({ view, id }: { view: ConvView; id: string }) {
  const t = view.turn(id).value
  const asked = t.question ? view.message(t.question).value : undefined
  const tall = t.newest && !!asked && asked.metadata?.parley.clientId === fresh.value
  return (
    <section class={'turn' + (tall ? ' tall' : '')}>
      {asked && <Question m={asked} newest={t.newest} />}
      {(t.parts.length > 0 || t.running || t.waiting || t.last) && <Answer view={view} t={t} />}
      {t.newest && !t.running && <Suggestions view={view} />}
      {t.summary && <Summary view={view} id={t.summary} />}
    </section>
  )
}

function Answer({ view, t }: { view: ConvView; t: TurnData }) {
  const end = t.last ? view.message(t.last).value.metadata?.parley : undefined
  return (
    <article class={'answer' + (t.running ? ' running' : '')} aria-busy={t.running}>
      <h2 class="sr">Parley</h2>
      {t.tries > 1 && <p class="takeover"><icons.Handover />continued by another replica</p>}
      {t.parts.map((p, i) => <PartView key={keyOf(p)} p={p} t={t} view={view} final={!t.running || i < t.parts.length - 1} />)}
      {t.running && <Thinking view={view} t={t} />}
      {!end && t.spent && <Spent usage={view.message(t.spent).value.metadata?.parley.usage} />}
      {end?.failure && <Notice kind="bad" text={end.failure.message || 'The answer failed.'} t={t} />}
      {end?.status === 'cancelled' && <Notice kind="calm" text={t.parts.length ? 'Stopped here.' : 'Stopped before the first word.'} t={t} />}
      {end?.finish === 'budget' && <p class="unseen"><icons.Halt />There was no more to spend on tools, so the model answered with what it had.</p>}
      {end?.unseen?.map((f) => <p class="unseen" key={f.fileId}><icons.Warn /><span>The model was not shown <bdi>{f.name}</bdi>: {f.reason}.</span></p>)}
      {end && <Cited view={view} t={t} />}
      {end && <Foot view={view} t={t} end={end} />}
    </article>
  )
}

function keyOf(p: Part): string {
  return p.kind === 'tools' ? p.calls[0]!.id : p.id
}

function PartView({ p, t, view, final }: { p: Part; t: TurnData; view: ConvView; final: boolean }) {
  if (p.kind === 'tools') return <ToolGroup calls={p.calls} view={view} running={t.running} />
  if (p.kind === 'reasoning') return <Reasoning view={view} id={p.id} final={final} />
  return <Text view={view} id={p.id} turn={t.key} final={final} formed={t.formed} />
}

function Text({ view, id, turn, final, formed }: { view: ConvView; id: string; turn: string; final: boolean; formed: boolean }) {
  const m = view.message(id).value
  const format = m.metadata?.parley.format
  if (format || (formed && !final)) return <Json text={m.content ?? ''} format={format} />
  return <Markdown text={m.content ?? ''} final={final} view={view} turn={turn} />
}

function Reasoning({ view, id, final }: { view: ConvView; id: string; final: boolean }) {
  const text = view.message(id).value.content ?? ''
  const n = final ? text.split(/\s+/).filter(Boolean).length : 0
  return (
    <details class="reasoning">
      <summary><icons.Chevron />Reasoning<span>{n ? `${number(n)} words` : ''}</span></summary>
      <p dir="auto">{text}</p>
    </details>
  )
}

/** Shown while the model has nothing to show. */
function Thinking({ view, t }: { view: ConvView; t: TurnData }) {
  const p = t.parts[t.parts.length - 1]
  if (p?.kind === 'text') return null
  if (p?.kind === 'tools' && p.calls.some((c) => !c.result)) return null
  if (p?.kind === 'reasoning' && !view.message(p.id).value.content) return null
  return <p class="thinking"><i /><i /><i /><span>{p?.kind === 'tools' ? 'Reading the results' : 'Thinking'}</span></p>
}

function Notice({ kind, text, t }: { kind: string; text: string; t: TurnData }) {
  return (
    <div class={'notice ' + kind}>
      {kind === 'bad' ? <icons.Warn /> : <icons.Halt />}
      <span>{text}</span>
      {t.newest && <button type="button" class="button small" onClick={() => regenerate(t.question || t.last)}>Try again</button>}
    </div>
  )
}

function Cited({ view, t }: { view: ConvView; t: TurnData }) {
  const refs = useMemo(() => citedIn(answerText(view, t)).flatMap((r) => {
    const n = view.number(t.key, r)
    return n ? [[r, n] as const] : []
  }), [view, t])
  if (!refs.length) return null
  return (
    <ul class="cited" aria-label="Sources of this answer">
      {refs.map(([ref, n]) => {
        const s = view.sources.get(ref)!
        return (
          <li key={ref}>
            <button type="button" onClick={() => (source.value = { source: s, number: n })}>
              <span class="n">{n}</span>
              <span class="name">{pathOf(s)}</span>
            </button>
          </li>
        )
      })}
    </ul>
  )
}

export function pathOf(s: Source): string {
  return [s.title, ...(s.headings ?? []).filter((h) => h !== s.title)].join(' › ')
}

function Foot({ view, t, end }: { view: ConvView; t: TurnData; end: Details }) {
  const facts = [answeredBy(end), end.model, missed(end), end.tookMs ? duration(end.tookMs) : '', ...costs(end.usage), end.at ? time(end.at) : '']
  return (
    <div class="foot-row">
      {t.parts.some((p) => p.kind === 'text') && <CopyButton text={() => answerText(view, t)} label="Copy the answer" />}
      {t.newest && (
        <button type="button" class="icon" title="Answer anew" aria-label="Answer anew" onClick={() => regenerate(t.question || t.last)}>
          <icons.Again />
        </button>
      )}
      <span class="facts">{facts.filter(Boolean).join(' · ')}</span>
    </div>
  )
}

/** Which agent answered, unless it is the only one. */
function answeredBy({ agent }: Details): string {
  if (!agent) return ''
  if (agent.instead) return `${agent.instead} is no more: the default agent answered`
  return agents.value.length > 1 || agent.name !== 'default' ? agentTitle(agent.name) : ''
}

/** What a running answer has cost so far. */
function Spent({ usage }: { usage?: Usage }) {
  return <p class="facts spent">{costs(usage).filter(Boolean).join(' · ')}</p>
}

/** Tokens and money, as far as they are known. */
function costs(u?: Usage): string[] {
  if (!u) return []
  const tokens = u.totalTokens || (u.inputTokens ?? 0) + (u.outputTokens ?? 0)
  const about = u.estimatedTokens ? '~' : ''
  const money = u.costMicros ? `${u.unpricedTokens ? 'at least ' : about}${dollars(u.costMicros)}` : ''
  return [tokens ? `${about}${number(tokens)} tokens` : '', money]
}

/** Who should have answered, if it was another. */
function missed(end: Details): string {
  const names = new Set((end.missed ?? []).map((m) => m.model))
  return names.size ? `${[...names].join(' and ')} did not answer` : ''
}

function answerText(view: ConvView, t: TurnData): string {
  return t.parts.flatMap((p) => (p.kind === 'text' ? (view.message(p.id).peek().content ?? '') : [])).join('\n\n')
}

const copied = signal<unknown>(undefined)

function CopyButton({ text, label }: { text: () => string; label: string }) {
  const t = text()
  const done = copied.value === t
  const act = async () => {
    if (!(await copy(t))) return
    copied.value = t
    setTimeout(() => copied.value === t && (copied.value = undefined), 1_600)
  }
  return (
    <button type="button" class={'icon' + (done ? ' done' : '')} title={label} aria-label={done ? 'Copied' : label} onClick={() => void act()}>
      {done ? <icons.Check /> : <icons.Copy />}
    </button>
  )
}
