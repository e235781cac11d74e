import { useState } from 'preact/hooks'
import { toast } from '../chat/app-state'
import * as api from './api'
import { faultOf, Field, useLoaded, Wrong, type Fault } from './parts'

const fields: Record<string, [string, string, boolean?][]> = {
  apiKey: [['in', 'In (header, query or cookie)'], ['parameter', 'Name of the header or member'], ['value', 'Value', true]],
  basic: [['user', 'User'], ['password', 'Password', true]],
  bearer: [['value', 'Token', true]],
  oauth2: [['grant', 'Grant (client_credentials or authorization_code)'], ['tokenUrl', 'Token URL'], ['authorizeUrl', 'Authorize URL'], ['clientId', 'Client id'], ['clientSecret', 'Client secret', true], ['scopes', 'Scopes']],
}

const words = (s: string) => s.split(/[\s,]+/).filter(Boolean)

export function Credentials() {
  const { value, fault, again } = useLoaded(api.credentials, '')
  const [form, setForm] = useState<Record<string, string>>({ kind: 'apiKey' })
  const [wrong, setWrong] = useState<Fault>()
  if (fault) return <Wrong>{fault.text}</Wrong>
  const set = (name: string) => (e: { currentTarget: { value: string } }) => setForm({ ...form, [name]: e.currentTarget.value })
  const submit = (e: Event) => {
    e.preventDefault()
    const own = Object.fromEntries(fields[form.kind!]!.flatMap(([n]) => (form[n] ? [[n, n === 'scopes' ? words(form[n]) : form[n]]] : [])))
    setWrong(undefined)
    api.putCredential({ ...own, name: form.name ?? '', kind: form.kind!, origins: words(form.origins ?? '') }).then(() => (setForm({ kind: form.kind! }), again()), (err) => setWrong(faultOf(err)))
  }
  const at = (name: string) => (wrong && wrong.field.startsWith(name) ? wrong.text : undefined)
  const shown = ['name', 'origins', ...fields[form.kind!]!.map(([n]) => n)]
  return (
    <>
      <table class="c-table">
        <thead><tr><th>Credential</th><th>Kind</th><th>Origins</th><th><span class="sr">Delete</span></th></tr></thead>
        <tbody>
          {value?.credentials.map((c) => (
            <tr key={c.name}><td class="mono">{c.name}</td><td>{c.kind}</td><td class="c-where">{c.origins.join(' ')}</td><td><Remove name={c.name} act={() => api.removeCredential(c.name)} done={again} /></td></tr>
          ))}
        </tbody>
      </table>
      {value && !value.credentials.length && <p class="c-none">There are no credentials yet.</p>}
      <form class="c-form" onSubmit={submit}>
        <h3>Add or replace</h3>
        {wrong && !shown.some((n) => at(n)) && <Wrong>{wrong.text}</Wrong>}
        <Field label="Name" id="c-name" fault={at('name')}><input id="c-name" required value={form.name ?? ''} onInput={set('name')} /></Field>
        <Field label="Kind" id="c-kind"><select id="c-kind" value={form.kind} onChange={set('kind')}>{Object.keys(fields).map((k) => <option key={k}>{k}</option>)}</select></Field>
        <Field label="Origins" id="c-origins" hint="Where it may be sent, such as https://api.example.com." fault={at('origins')}><input id="c-origins" required value={form.origins ?? ''} onInput={set('origins')} /></Field>
        {fields[form.kind!]!.map(([n, label, secret]) => (
          <Field key={n} label={label} id={'c-' + n} fault={at(n)}>{secret ? <input id={'c-' + n} type="password" autocomplete="off" value={form[n] ?? ''} onInput={set(n)} /> : <input id={'c-' + n} value={form[n] ?? ''} onInput={set(n)} />}</Field>
        ))}
        <div class="c-actions"><button class="button c-main">Save</button></div>
      </form>
    </>
  )
}

function Remove({ name, act, done }: { name: string; act: () => Promise<unknown>; done: () => void }) {
  const [asked, setAsked] = useState(false)
  const go = () => void act().then(done, (err) => (toast.value = { text: faultOf(err).text }))
  return asked ? <button type="button" class="button small c-danger" onClick={go} onBlur={() => setAsked(false)}>Really delete {name}</button> : <button type="button" class="button small quiet" aria-label={'Delete ' + name} onClick={() => setAsked(true)}>Delete…</button>
}

export function Connections() {
  const { value, fault, again } = useLoaded(api.connections, '')
  if (fault) return <Wrong>{fault.text}</Wrong>
  if (!value) return null
  if (!value.connections.length) return <p class="c-none">You have not connected any accounts. A tool that needs one asks you in the conversation.</p>
  return <table class="c-table"><tbody>{value.connections.map((c) => <tr key={c.credential}><td>{c.credential}</td><td><Remove name={c.credential} act={() => api.disconnect(c.credential)} done={again} /></td></tr>)}</tbody></table>
}
