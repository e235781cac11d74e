import { useRef, useState } from 'preact/hooks'
import { copy } from '../ui/clipboard'
import { bytes, duration, number } from '../ui/format'
import * as api from './api'
import { faultOf, Field, Wrong } from './parts'
import { argumentsOf, at, FormError, kindOf, pretty, type Values } from './schema'

export function Try({ name, schema }: { name: string; schema: api.Schema }) {
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
      .then(setResult, (err) => (err as Error).name !== 'AbortError' && setFault(faultOf(err)))
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
      <div aria-live="polite">{result && <Result r={result} />}</div>
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
              <textarea id={id} class="mono" rows={2} placeholder="JSON" value={v} onInput={on} />
            ) : (
              <input id={id} placeholder={s.examples?.length ? 'such as ' + String(s.examples[0]) : undefined} inputMode={kind === 'number' ? 'decimal' : undefined} value={v} onInput={on} />
            )}
          </Field>
        )
      })}
    </>
  )
}

function Result({ r }: { r: api.Tried }) {
  const [copied, setCopied] = useState(false)
  const o = r.outcome
  const facts = [o.status && String(o.status), duration(o.latencyMs), o.bytes !== undefined && bytes(o.bytes), o.requests && o.requests > 1 && number(o.requests) + ' requests', o.retries && number(o.retries) + ' retries', o.cached && 'cached', o.cut && 'cut'].filter(Boolean)
  const text = pretty(r.content)
  return (
    <div class={'c-result' + (r.failed ? ' failed' : '')}>
      <div class="c-result-head">
        <b>{r.failed ? 'Failed' : 'Succeeded'}</b>
        <span>{facts.join(' · ')}</span>
        <button type="button" class="button small quiet" onClick={() => void copy(text).then(setCopied)}>{copied ? 'Copied' : 'Copy'}</button>
      </div>
      <pre tabIndex={0}>{text}</pre>
    </div>
  )
}
