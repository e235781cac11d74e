import { useRef, useState } from 'preact/hooks'
import { copy } from '../ui/clipboard'
import { bytes, duration, number } from '../ui/format'
import * as api from './api'
import { faultOf, Field, Wrong } from './parts'
import { argumentsOf, at, FormError, kindOf, pretty, type Values } from './schema'

export function Try({ name, schema, usual, called }: { name: string; schema: api.Schema; usual?: api.Stats; called: () => void }) {
  const [values, setValues] = useState<Values>({})
  const [raw, setRaw] = useState<string>()
  const [result, setResult] = useState<api.Tried>()
  const [fault, setFault] = useState<{ field: string; text: string }>()
  const running = useRef<AbortController | undefined>(undefined)
  const [busy, setBusy] = useState(false)
  const submit = (e: Event) => {
    e.preventDefault()
    let args: unknown
    try {
      args = raw === undefined ? argumentsOf(schema, values) : JSON.parse(raw)
    } catch (err) {
      return setFault(err instanceof FormError ? { field: err.path, text: err.message } : { field: '', text: 'This is not valid JSON.' })
    }
    setFault(undefined)
    setBusy(true)
    running.current = new AbortController()
    api.tryTool(name, args, running.current.signal)
      .then((r) => (setResult(r), called()), (err) => (err as Error).name !== 'AbortError' && setFault(faultOf(err)))
      .finally(() => setBusy(false))
  }
  const toRaw = () => {
    try {
      setRaw(raw === undefined ? JSON.stringify(argumentsOf(schema, values), null, 2) : undefined)
    } catch {
      setRaw('{}')
    }
  }
  return (
    <form class="c-form" onSubmit={submit}>
      {fault && !fault.field.startsWith('[') && <Wrong>{fault.text}</Wrong>}
      {raw === undefined ? (
        <Fields schema={schema} path="" values={values} set={(p, v) => setValues({ ...values, [p]: v })} fault={fault} />
      ) : (
        <Field label="Arguments" id="t-raw"><textarea id="t-raw" class="mono" rows={8} spellcheck={false} value={raw} onInput={(e) => setRaw(e.currentTarget.value)} /></Field>
      )}
      <div class="c-actions">
        {busy ? <button type="button" class="button" onClick={() => running.current?.abort()}>Cancel</button> : <button class="button c-main">Call</button>}
        <button type="button" class="button quiet" onClick={toRaw}>{raw === undefined ? 'As JSON' : 'As form'}</button>
      </div>
      <div aria-live="polite">{result && <Result r={result} usual={usual} />}</div>
    </form>
  )
}

function Fields({ schema, path, values, set, fault }: { schema: api.Schema; path: string; values: Values; set: (path: string, v: string) => void; fault?: { field: string; text: string } }) {
  const all = Object.entries(schema.properties ?? {})
  if (!all.length) return <p class="c-note">It takes no arguments.</p>
  return (
    <>
      {all.map(([name, s]) => {
        const here = at(path, name)
        const id = 't-' + here.replace(/[^\w]/g, '_')
        const label = name + (schema.required?.includes(name) ? '' : ' (optional)')
        const v = values[here] ?? ''
        const on = (e: { currentTarget: { value: string } }) => set(here, e.currentTarget.value)
        const kind = kindOf(s)
        if (kind === 'object') return <fieldset class="c-group" key={here}><legend>{label}</legend><Fields schema={s} path={here} values={values} set={set} fault={fault} /></fieldset>
        return (
          <Field key={here} id={id} label={label} hint={s.description} fault={fault?.field === here ? fault.text : undefined}>
            {kind === 'enum' || kind === 'boolean' ? (
              <select id={id} value={v} onChange={on}>
                <option value="">–</option>
                {kind === 'enum' ? s.enum!.map((o, i) => <option key={i} value={String(i)}>{String(o)}</option>) : ['true', 'false'].map((o) => <option key={o}>{o}</option>)}
              </select>
            ) : kind === 'json' ? (
              <textarea id={id} class="mono" rows={2} placeholder={[s.type].flat().includes('array') ? 'a, b or JSON' : 'JSON'} value={v} onInput={on} />
            ) : (
              <input id={id} placeholder={s.examples?.length ? 'such as ' + String(s.examples[0]) : undefined} inputMode={kind === 'number' ? 'decimal' : undefined} value={v} onInput={on} />
            )}
          </Field>
        )
      })}
    </>
  )
}

const kept: Record<string, string> = { hit: 'from the cache', revalidated: 'cache revalidated', stale: 'stale, from the cache' }

function Result({ r, usual }: { r: api.Tried; usual?: api.Stats }) {
  const [copied, setCopied] = useState(false)
  const o = r.outcome
  const facts = [
    o.status && 'HTTP ' + o.status,
    duration(o.latencyMs),
    o.bytes && bytes(o.bytes),
    o.requests && o.requests > 1 && number(o.requests) + ' requests',
    o.retries && number(o.retries) + (o.retries > 1 ? ' retries' : ' retry'),
    o.cache && (kept[o.cache] ?? o.cache) + (o.ageMs ? ', ' + duration(o.ageMs) + ' old' : ''),
    o.breaker && 'breaker ' + o.breaker,
    o.cut && 'cut to fit',
  ].filter(Boolean)
  const text = pretty(r.content)
  return (
    <div class={'c-result' + (r.ask ? ' asks' : r.failed ? ' failed' : '')}>
      <div class="c-result-head">
        <b>{r.ask ? 'Waits for a person' : r.failed ? 'Failed' : 'Succeeded'}</b>
        <span>{facts.join(' · ')}</span>
        <button type="button" class="button small quiet" onClick={() => void copy(text).then(setCopied)}>{copied ? 'Copied' : 'Copy'}</button>
      </div>
      {!r.ask && <Timing ms={o.latencyMs} usual={usual} />}
      {r.ask && (
        <p class="c-ask">
          {r.ask.message || 'In a conversation a person would be asked now.'}
          {r.ask.url && /^(https?:|\/)/.test(r.ask.url) && <a class="button small c-main" href={r.ask.url} target="_blank" rel="noreferrer">Connect</a>}
        </p>
      )}
      <pre tabIndex={0} aria-label="Result">{text}</pre>
      {!!r.attempts?.length && (
        <details class="c-more c-answers">
          <summary>{r.attempts.length > 1 ? number(r.attempts.length) + ' requests and their headers' : 'Headers of the answer'}</summary>
          {r.attempts.map((a, i) => <Answered key={i} a={a} />)}
        </details>
      )}
    </div>
  )
}

/** What the service answered to one request. */
function Answered({ a }: { a: api.Attempt }) {
  return (
    <section class="c-answered">
      <p><b>{a.method}</b> {a.host} · {a.status ? 'HTTP ' + a.status : 'no answer'} · {duration(a.tookMs)}{a.reason && ' · ' + a.reason}</p>
      <dl>{a.headers?.map((h, i) => <div key={i}><dt>{h.name}</dt><dd>{h.value}</dd></div>)}</dl>
      {!!a.leftOut && <p class="c-note">{number(a.leftOut)} more headers.</p>}
    </section>
  )
}

/** How long it took, beside what is usual. */
function Timing({ ms, usual }: { ms: number; usual?: api.Stats }) {
  const marks = usual?.calls ? [usual.p50Ms, usual.p95Ms] : []
  const all = Math.max(1, ms, ...marks) * 1.05
  const said = marks.length ? `${duration(ms)}; in the last hour half took under ${duration(usual!.p50Ms)}, 95 % under ${duration(usual!.p95Ms)}` : duration(ms)
  return (
    <svg class="c-timing" role="img" aria-label={said} viewBox="0 0 1000 6" preserveAspectRatio="none">
      <title>{said}</title>
      <rect class="took" width={(1000 * ms) / all} height={6} />
      {marks.map((m, i) => <rect key={i} class="usual" x={(1000 * m) / all} width={3} height={6} />)}
    </svg>
  )
}
