import { useRef, useState } from 'preact/hooks'
import { bytes, number } from '../ui/format'
import * as api from './api'
import { AuthField, faultOf, Field, Headers, Link, Wrong, type Fault } from './parts'
import { variablesOf } from './schema'

const named = ['url', 'document', 'base', 'prefix', 'variables', 'headers', 'auth']
const importable = (o: api.Operation) => o.status !== 'skipped' && o.status !== 'gone'

const unit = (at: api.Importing, n: number) => (at.state === 'fetching' ? bytes(n) : number(n))
const states: Record<string, string> = { queued: 'Waiting', fetching: 'Fetching', reading: 'Reading', building: 'Building tools', registering: 'Registering' }

/** How far an import is. */
function Progress({ at }: { at: api.Importing }) {
  const said = at.ahead ? `${number(at.ahead)} before it` : at.of ? `${unit(at, at.count ?? 0)} of ${unit(at, at.of)}` : at.count ? unit(at, at.count) : ''
  return (
    <span class="c-progress" role="status">
      <progress max={at.of || 1} value={at.of ? at.count ?? 0 : undefined} aria-label={states[at.state] ?? at.state} />
      <span>{states[at.state] ?? at.state} {said}</span>
    </span>
  )
}

/** A document's operations first, then those that were chosen as tools. */
export function Import() {
  const [url, setURL] = useState('')
  const [text, setText] = useState('')
  const [base, setBase] = useState('')
  const [prefix, setPrefix] = useState('')
  const [variables, setVariables] = useState('')
  const [headers, setHeaders] = useState<Record<string, string>>()
  const [auth, setAuth] = useState('')
  const [report, setReport] = useState<api.Report>()
  const [chosen, setChosen] = useState(new Set<string>())
  const [query, setQuery] = useState('')
  const [fault, setFault] = useState<Fault>()
  const [done, setDone] = useState(false)
  const [busy, setBusy] = useState(false)
  const [at, setAt] = useState<api.Importing>()
  const running = useRef<AbortController | undefined>(undefined)
  const send = (more: object, then: (r: api.Report) => void) => {
    let of: Record<string, string> | undefined
    try {
      of = variablesOf(variables)
    } catch (err) {
      return setFault({ field: 'variables', text: (err as Error).message })
    }
    setBusy(true)
    setFault(undefined)
    running.current = new AbortController()
    const source = text.trim() ? { document: text } : { url: url.trim() }
    api.importing({ ...source, base: base.trim() || undefined, prefix: prefix.trim() || undefined, variables: of, headers, auth: auth || undefined, ...more }, running.current.signal, setAt)
      .then(then, (err) => (err as Error).name !== 'AbortError' && setFault(faultOf(err)))
      .finally(() => (setBusy(false), setAt(undefined)))
  }
  const wrong = (name: string) => (fault && (fault.field === name || fault.field.startsWith(name + '.')) ? fault.text : undefined)
  const look = (e: Event) => {
    e.preventDefault()
    send({ dryRun: true }, (r) => {
      setReport(r)
      setDone(false)
      setChosen(new Set(r.operations.filter((o) => importable(o) && !o.deprecated).map((o) => o.operation)))
    })
  }
  const carryOut = () => send({ select: { operations: [...chosen] } }, (r) => (setReport(r), setDone(true)))
  const file = (f?: File) => void f?.text().then(setText)
  const found = (report?.operations ?? []).filter((o) => `${o.operation} ${o.name} ${(o.tags ?? []).join(' ')}`.toLowerCase().includes(query.toLowerCase()))
  const able = found.filter(importable)
  const every = able.length > 0 && able.every((o) => chosen.has(o.operation))
  const choose = (os: api.Operation[], on: boolean) => {
    const next = new Set(chosen)
    for (const o of os) next[on ? 'add' : 'delete'](o.operation)
    setChosen(next)
  }
  return (
    <>
      <form class="c-form" onSubmit={look}>
        {fault && !named.some(wrong) && <Wrong>{fault.text}</Wrong>}
        <Field label="Address of the document" id="i-url" fault={wrong('url')}>
          <input id="i-url" class="mono" type="url" placeholder="https://api.example.com/openapi.json" value={url} disabled={!!text} onInput={(e) => setURL(e.currentTarget.value)} />
        </Field>
        <Field label="or the document itself" id="i-text" hint="OpenAPI 2.0 to 3.2, JSON or YAML." fault={wrong('document')}>
          <textarea id="i-text" class="mono" rows={report ? 3 : 8} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </Field>
        <input type="file" aria-label="OpenAPI file" accept=".json,.yaml,.yml" onChange={(e) => file(e.currentTarget.files?.[0])} />
        <Field label="Base address (optional)" id="i-base" hint="Where the service is called, if the document does not say." fault={wrong('base')}>
          <input id="i-base" class="mono" value={base} placeholder={report?.base || 'https://api.example.com'} onInput={(e) => setBase(e.currentTarget.value)} />
        </Field>
        <details class="c-more" open={['prefix', 'variables', 'headers', 'auth'].some(wrong) || undefined}>
          <summary>Names, variables and credentials</summary>
          <div class="c-form">
            <div class="c-pair even">
              <Field label="Prefix of the names" id="i-prefix" fault={wrong('prefix')}>
                <input id="i-prefix" class="mono" placeholder="shop_" value={prefix} onInput={(e) => setPrefix(e.currentTarget.value)} />
              </Field>
              <Field label="Server variables" id="i-variables" fault={wrong('variables')}>
                <input id="i-variables" class="mono" placeholder="region=eu version=v2" value={variables} onInput={(e) => setVariables(e.currentTarget.value)} />
              </Field>
            </div>
            <Headers value={{}} fault={wrong('headers')} hint="Sent with every call of these tools. Values are secrets: they are never shown again." change={(h) => setHeaders(h || undefined)} />
            <AuthField id="i-auth" value={auth} fault={wrong('auth')} change={setAuth} />
          </div>
        </details>
        <div class="c-actions">
          {busy ? <button type="button" class="button" onClick={() => running.current?.abort()}>Cancel</button> : <button class={'button' + (report ? '' : ' c-main')} disabled={!url && !text}>Show operations</button>}
          {busy && !at && <span class="spin" role="status" aria-label="Reading" />}
          {at && <Progress at={at} />}
        </div>
      </form>
      {report && (
        <section aria-label="Operations">
          <div class="c-head"><h3>{report.title} {report.version}</h3><span class="c-note">{Object.entries(report.counts).map(([s, n]) => `${number(n)} ${s}`).join(' · ')}</span></div>
          {report.warnings?.map((w) => <p class="c-note" key={w}>{w}</p>)}
          <div class="c-bar">
            <input type="search" aria-label="Filter operations" placeholder="Path, name or tag" value={query} onInput={(e) => setQuery(e.currentTarget.value)} />
            {done ? <Link to="/console/tools" class="button small c-main">See the tools</Link> : <button type="button" class="button small c-main" disabled={busy || !chosen.size} onClick={carryOut}>Import {number(chosen.size)}</button>}
          </div>
          <table class="c-table c-ops">
            <thead><tr><th><input type="checkbox" aria-label="All shown" checked={every} onChange={(e) => choose(able, e.currentTarget.checked)} /></th><th>Operation</th><th>Tool</th><th>Status</th></tr></thead>
            <tbody>
              {found.slice(0, 500).map((o) => {
                const [method, ...path] = o.operation.split(' ')
                return (
                  <tr key={o.operation}>
                    <td>{importable(o) && <input type="checkbox" aria-label={o.operation} checked={chosen.has(o.operation)} onChange={(e) => choose([o], e.currentTarget.checked)} />}</td>
                    <td class="c-where"><b>{method}</b> {path.join(' ')}<p>{o.summary}</p></td>
                    <td class="mono">{o.name}</td>
                    <td>{o.status}<p>{[o.reason, o.deprecated && 'deprecated', o.changes?.join(', '), o.kept?.length && 'kept: ' + o.kept.join(', '), o.needs && 'needs ' + o.needs, ...(o.warnings ?? [])].filter(Boolean).join('; ')}</p></td>
                  </tr>
                )
              })}
            </tbody>
          </table>
          {!!report.leftOut && <p class="c-note">{number(report.leftOut)} operations more than can be shown: import by tag or path with <code>parley tools import</code>.</p>}
          {found.length > 500 && <p class="c-note">{number(found.length - 500)} more: narrow the filter.</p>}
        </section>
      )}
    </>
  )
}
