import { useState } from 'preact/hooks'
import * as api from './api'
import { AuthField, faultOf, Field, Headers, policyOf, Wrong, type Fault } from './parts'
import { hidden, restored } from './secrets'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']
const numbers: [string, string, string, number][] = [
  ['timeoutMs', 'Time limit (ms)', '15000', 120_000],
  ['attemptMs', 'Of one attempt (ms)', 'as the time limit', 120_000],
  ['maxTokens', 'Tokens for the model', '8000', 1_000_000],
  ['concurrency', 'Requests at once', '16', 1_000],
]
const limits = [...numbers.map(([n]) => n), 'cache']
const named = ['name', 'description', 'method', 'url', 'parameters', 'headers', 'auth', 'effect', 'approval', 'jq', ...limits]

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
      all = json === undefined ? ({ ...d, parameters: JSON.parse(parameters) } as unknown as api.Declaration) : (restored(JSON.parse(json), d) as api.Declaration)
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
      if (json === undefined) return setJSON(JSON.stringify(hidden({ ...d, parameters: JSON.parse(parameters) }), null, 2))
      const v = restored(JSON.parse(json), d) as Record<string, unknown>
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
          {!d.steps && (
            <div class="c-pair">
              <Field label="Method" id="d-method" fault={at('method')}>
                <select id="d-method" value={text('method') || 'GET'} onChange={(e) => change('method', e.currentTarget.value)}>{methods.map((m) => <option key={m}>{m}</option>)}</select>
              </Field>
              <Field label="URL" id="d-url" fault={at('url')} hint="With {parameters} in path or query.">
                <input id="d-url" class="mono" value={text('url')} placeholder="https://api.example.com/orders/{order}" onInput={(e) => change('url', e.currentTarget.value)} />
              </Field>
            </div>
          )}
          <Field label="Parameters" id="d-parameters" fault={at('parameters')} hint="A JSON Schema of type object.">
            <textarea id="d-parameters" class="mono" rows={8} spellcheck={false} value={parameters} onInput={(e) => setParameters(e.currentTarget.value)} />
          </Field>
          {!d.steps && <Headers value={(d.headers ?? {}) as Record<string, string>} fault={at('headers')} change={(h) => change('headers', h)} />}
          {!d.steps && <AuthField id="d-auth" value={text('auth')} fault={at('auth')} change={(v) => change('auth', v)} />}
          <div class="c-pair even">
            <Field label="Effect" id="d-effect" fault={at('effect')}>
              <select id="d-effect" value={text('effect')} onChange={(e) => change('effect', e.currentTarget.value)}>
                <option value="">as the method says</option>
                <option value="safe">safe: reads only</option>
                <option value="idempotent">idempotent: may be repeated</option>
                <option value="unsafe">unsafe: at most once</option>
              </select>
            </Field>
            <Field label="Approval" id="d-approval" fault={at('approval')}>
              <select id="d-approval" value={text('approval')} onChange={(e) => change('approval', e.currentTarget.value)}>
                <option value="">{policyOf({ effect: effectOf(d) })}, as its effect suggests</option>
                <option value="auto">auto: called at once</option>
                <option value="ask">ask: a person decides</option>
                <option value="never">never: not by an agent</option>
              </select>
            </Field>
          </div>
          <Field label="jq" id="d-jq" fault={at('jq')} hint="Makes of the answer what matters, such as .items[] | {id, price}.">
            <input id="d-jq" class="mono" spellcheck={false} value={text('jq')} onInput={(e) => change('jq', e.currentTarget.value)} />
          </Field>
          <details class="c-more" open={limits.some((n) => at(n)) || undefined}>
            <summary>Limits and cache</summary>
            <div class="c-pair even">
              {numbers.map(([n, label, usual, most]) => (
                <Field key={n} label={label} id={'d-' + n} fault={at(n)}>
                  <input id={'d-' + n} type="number" min={1} max={most} placeholder={usual} value={text(n)} onInput={(e) => change(n, e.currentTarget.value && Number(e.currentTarget.value))} />
                </Field>
              ))}
              <Cache value={(d.cache ?? undefined) as Caching | undefined} fault={at('cache')} change={(v) => change('cache', v)} />
            </div>
          </details>
        </>
      )}
      <div class="c-actions">
        <button class="button c-main" disabled={busy}>{isNew ? 'Add tool' : 'Save'}</button>
        <button type="button" class="button quiet" onClick={toJSON}>{json === undefined ? 'Edit as JSON' : 'Edit as form'}</button>
      </div>
    </form>
  )
}

/** The effect that a declaration has if it names none. */
function effectOf(d: Record<string, unknown>): string {
  if (d.effect) return String(d.effect)
  return !d.steps && ['', 'GET', 'HEAD'].includes(String(d.method ?? '')) ? 'safe' : ''
}

interface Caching { off?: boolean; maxAgeMs?: number }

function Cache({ value, fault, change }: { value?: Caching; fault?: string; change: (v: Caching | undefined) => void }) {
  const mode = value?.off ? 'off' : value?.maxAgeMs ? 'age' : ''
  return (
    <>
      <Field label="Kept answers" id="d-cache" fault={fault}>
        <select id="d-cache" value={mode} onChange={(e) => change({ off: { off: true }, age: { maxAgeMs: 60_000 } }[e.currentTarget.value])}>
          <option value="">as the service says</option>
          <option value="off">none</option>
          <option value="age">for a time</option>
        </select>
      </Field>
      {mode === 'age' && (
        <Field label="Fresh for (ms)" id="d-age">
          <input id="d-age" type="number" min={1} max={86_400_000} value={value?.maxAgeMs} onInput={(e) => change({ maxAgeMs: Number(e.currentTarget.value) || 1 })} />
        </Field>
      )}
    </>
  )
}
