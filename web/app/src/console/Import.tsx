import { useRef, useState } from 'preact/hooks'
import { number } from '../ui/format'
import * as api from './api'
import { faultOf, Field, Link, Wrong, type Fault } from './parts'

const importable = (o: api.Operation) => o.status !== 'skipped' && o.status !== 'gone'

/** A document's operations first, then those that were chosen as tools. */
export function Import() {
  const [url, setURL] = useState('')
  const [text, setText] = useState('')
  const [base, setBase] = useState('')
  const [report, setReport] = useState<api.Report>()
  const [chosen, setChosen] = useState(new Set<string>())
  const [query, setQuery] = useState('')
  const [fault, setFault] = useState<Fault>()
  const [done, setDone] = useState(false)
  const [busy, setBusy] = useState(false)
  const running = useRef<AbortController | undefined>(undefined)
  const send = (more: object, then: (r: api.Report) => void) => {
    setBusy(true)
    setFault(undefined)
    running.current = new AbortController()
    const source = text.trim() ? { document: text } : { url: url.trim() }
    api.importing({ ...source, base: base.trim() || undefined, ...more }, running.current.signal)
      .then(then, (err) => (err as Error).name !== 'AbortError' && setFault(faultOf(err)))
      .finally(() => setBusy(false))
  }
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
        {fault && !['url', 'document', 'base'].includes(fault.field) && <Wrong>{fault.text}</Wrong>}
        <Field label="Address of the document" id="i-url" fault={fault?.field === 'url' ? fault.text : undefined}>
          <input id="i-url" class="mono" type="url" placeholder="https://api.example.com/openapi.json" value={url} disabled={!!text} onInput={(e) => setURL(e.currentTarget.value)} />
        </Field>
        <Field label="or the document itself" id="i-text" hint="OpenAPI 2.0 to 3.2, JSON or YAML." fault={fault?.field === 'document' ? fault.text : undefined}>
          <textarea id="i-text" class="mono" rows={report ? 3 : 8} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </Field>
        <input type="file" aria-label="OpenAPI file" accept=".json,.yaml,.yml" onChange={(e) => file(e.currentTarget.files?.[0])} />
        <Field label="Base address (optional)" id="i-base" hint="Where the service is called, if the document does not say." fault={fault?.field === 'base' ? fault.text : undefined}>
          <input id="i-base" class="mono" value={base} placeholder={report?.base || 'https://api.example.com'} onInput={(e) => setBase(e.currentTarget.value)} />
        </Field>
        <div class="c-actions">
          {busy ? <button type="button" class="button" onClick={() => running.current?.abort()}>Cancel</button> : <button class={'button' + (report ? '' : ' c-main')} disabled={!url && !text}>Show operations</button>}
          {busy && <span class="spin" role="status" aria-label="Reading" />}
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
                    <td>{o.status}<p>{[o.reason, o.deprecated && 'deprecated', o.changes?.join(', '), o.needs && 'needs ' + o.needs, ...(o.warnings ?? [])].filter(Boolean).join('; ')}</p></td>
                  </tr>
                )
              })}
            </tbody>
          </table>
          {found.length > 500 && <p class="c-note">{number(found.length - 500)} more: narrow the filter.</p>}
        </section>
      )}
    </>
  )
}
