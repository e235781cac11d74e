import { useState } from 'preact/hooks'
import * as api from './api'
import { faultOf, Field, Wrong, type Fault } from './parts'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']
const named = ['name', 'description', 'method', 'url', 'parameters', 'headers', 'effect', 'timeoutMs']

/** The form of a declaration. What it has no field for stays as it is and can be changed as JSON. */
export function Declare({ given, isNew, done }: { given: api.Declaration; isNew?: boolean; done: (d: api.Declaration) => void }) {
  const [d, set] = useState<Record<string, unknown>>(given)
  const [parameters, setParameters] = useState(JSON.stringify(given.parameters ?? { type: 'object', properties: {} }, null, 2))
  const [json, setJSON] = useState<string>()
  const [fault, setFault] = useState<Fault>()
  const [busy, setBusy] = useState(false)
  const change = (name: string, v: unknown) => set({ ...d, [name]: v === '' ? undefined : v })
  const text = (name: string) => String(d[name] ?? '')
  const at = (name: string) => (fault && (fault.field === name || fault.field.startsWith(name + '.') || fault.field.startsWith(name + '[')) ? fault.text : undefined)
  const submit = (e: Event) => {
    e.preventDefault()
    let all: api.Declaration
    try {
      all = json === undefined ? ({ ...d, parameters: JSON.parse(parameters) } as unknown as api.Declaration) : (JSON.parse(json) as api.Declaration)
    } catch {
      return setFault({ field: json === undefined ? 'parameters' : '', text: 'This is not valid JSON.' })
    }
    if (!/^[a-zA-Z0-9_-]{1,64}$/.test(all.name ?? '')) return setFault({ field: 'name', text: 'A name has 1 to 64 letters, digits, _ and -.' })
    setBusy(true)
    setFault(undefined)
    api.put(all).then(done, (err) => setFault(faultOf(err))).finally(() => setBusy(false))
  }
  const toJSON = () => {
    try {
      if (json === undefined) return setJSON(JSON.stringify({ ...d, parameters: JSON.parse(parameters) }, null, 2))
      const v = JSON.parse(json) as Record<string, unknown>
      set(v)
      setParameters(JSON.stringify(v.parameters ?? {}, null, 2))
      setJSON(undefined)
    } catch {
      setFault({ field: 'parameters', text: 'This is not valid JSON.' })
    }
  }
  const elsewhere = fault && (json !== undefined || !named.some((n) => at(n))) && fault
  return (
    <form class="c-form" onSubmit={submit}>
      {elsewhere && <Wrong>{elsewhere.field && <b>{elsewhere.field}: </b>}{elsewhere.text}</Wrong>}
      {json !== undefined ? (
        <Field label="Declaration" id="d-json" hint="Values shown as ••• are kept.">
          <textarea id="d-json" class="mono" rows={22} spellcheck={false} value={json} onInput={(e) => setJSON(e.currentTarget.value)} />
        </Field>
      ) : (
        <>
          <Field label="Name" id="d-name" fault={at('name')} hint={isNew ? 'What the model calls it: letters, digits, _ and -.' : undefined}>
            <input id="d-name" class="mono" readOnly={!isNew} value={text('name')} onInput={(e) => change('name', e.currentTarget.value)} />
          </Field>
          <Field label="Description" id="d-description" fault={at('description')} hint="What it does and when to use it, for the model.">
            <textarea id="d-description" rows={3} value={text('description')} onInput={(e) => change('description', e.currentTarget.value)} />
          </Field>
          <div class="c-pair">
            <Field label="Method" id="d-method" fault={at('method')}>
              <select id="d-method" value={text('method') || 'GET'} onChange={(e) => change('method', e.currentTarget.value)}>{methods.map((m) => <option key={m}>{m}</option>)}</select>
            </Field>
            <Field label="URL" id="d-url" fault={at('url')} hint="With {parameters} in path or query.">
              <input id="d-url" class="mono" value={text('url')} placeholder="https://api.example.com/orders/{order}" onInput={(e) => change('url', e.currentTarget.value)} />
            </Field>
          </div>
          <Field label="Parameters" id="d-parameters" fault={at('parameters')} hint="A JSON Schema of type object.">
            <textarea id="d-parameters" class="mono" rows={8} spellcheck={false} value={parameters} onInput={(e) => setParameters(e.currentTarget.value)} />
          </Field>
          <Headers value={(d.headers ?? {}) as Record<string, string>} fault={at('headers')} change={(h) => change('headers', h)} />
          <div class="c-pair even">
            <Field label="Effect" id="d-effect" fault={at('effect')}>
              <select id="d-effect" value={text('effect')} onChange={(e) => change('effect', e.currentTarget.value)}>
                <option value="">as the method says</option>
                <option value="safe">safe: reads only</option>
                <option value="idempotent">idempotent: may be repeated</option>
                <option value="unsafe">unsafe: at most once</option>
              </select>
            </Field>
            <Field label="Time limit (ms)" id="d-timeout" fault={at('timeoutMs')}>
              <input id="d-timeout" type="number" min={1} max={120000} placeholder="15000" value={text('timeoutMs')} onInput={(e) => change('timeoutMs', e.currentTarget.value && Number(e.currentTarget.value))} />
            </Field>
          </div>
        </>
      )}
      <div class="c-actions">
        <button class="button c-main" disabled={busy}>{isNew ? 'Add tool' : 'Save'}</button>
        <button type="button" class="button quiet" onClick={toJSON}>{json === undefined ? 'Edit as JSON' : 'Edit as form'}</button>
      </div>
    </form>
  )
}

function Headers({ value, fault, change }: { value: Record<string, string>; fault?: string; change: (h: Record<string, string> | '') => void }) {
  const [rows, setRows] = useState(Object.entries(value))
  const keep = (next: [string, string][]) => {
    setRows(next)
    const filled = next.filter(([n]) => n)
    change(filled.length ? Object.fromEntries(filled) : '')
  }
  const edit = (i: number, row: [string, string]) => keep(rows.map((r, j) => (j === i ? row : r)))
  return (
    <fieldset class={'c-field' + (fault ? ' wrong' : '')}>
      <legend>Headers</legend>
      {rows.map(([name, v], i) => (
        <div class="c-header" key={i}>
          <input class="mono" aria-label="Header name" placeholder="X-Api-Key" value={name} onInput={(e) => edit(i, [e.currentTarget.value, v])} />
          <input class="mono" type="password" autocomplete="off" aria-label={'Value of ' + (name || 'the header')} value={v} onInput={(e) => edit(i, [name, e.currentTarget.value])} />
          <button type="button" class="button small quiet" aria-label={'Remove ' + name} onClick={() => keep(rows.filter((_, j) => j !== i))}>Remove</button>
        </div>
      ))}
      <button type="button" class="button small" onClick={() => setRows([...rows, ['', '']])}>Add a header</button>
      <p role={fault ? 'alert' : undefined}>{fault || 'Values are secrets: once saved they are never shown again.'}</p>
    </fieldset>
  )
}
