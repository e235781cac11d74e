import { useEffect, useState } from 'preact/hooks'
import { time, dateTime } from '../ui/format'
import * as api from './api'
import { faultOf, Field, Remove, useLoaded, Wrong, type Fault } from './parts'
import { words } from './schema'
import { signedIn } from './state'

interface Part { name: string; label: string; hint?: string; secret?: boolean; list?: boolean; choice?: [string, string][]; only?: string }

const person = 'authorization_code'
const kinds: Record<string, Part[]> = {
  apiKey: [
    { name: 'in', label: 'Sent in', choice: [['', 'a header'], ['query', 'the query'], ['cookie', 'a cookie']] },
    { name: 'parameter', label: 'Its name there', hint: 'Such as X-Api-Key.' },
    { name: 'value', label: 'Key', secret: true },
  ],
  bearer: [{ name: 'value', label: 'Token', secret: true }],
  basic: [{ name: 'user', label: 'User' }, { name: 'password', label: 'Password', secret: true }],
  oauth2: [
    { name: 'grant', label: 'Whose tokens', choice: [['', 'one for everybody (client_credentials)'], [person, 'each person’s own (authorization_code)']] },
    { name: 'authorizeUrl', label: 'Authorize URL', hint: 'Where a person agrees.', only: person },
    { name: 'tokenUrl', label: 'Token URL', hint: 'Where the service gives tokens.' },
    { name: 'clientId', label: 'Client id' },
    { name: 'clientSecret', label: 'Client secret', secret: true },
    { name: 'scopes', label: 'Scopes', hint: 'With spaces between them.', list: true },
    { name: 'audience', label: 'Audience (optional)' },
    { name: 'authStyle', label: 'The secret is sent in', choice: [['', 'a header'], ['body', 'the body']] },
  ],
}
const titles: Record<string, string> = { apiKey: 'API key', bearer: 'Bearer token', basic: 'User and password', oauth2: 'OAuth 2' }

type Values = Record<string, string>

/** A credential as fields have it. */
const valuesOf = (c: api.Credential): Values => Object.fromEntries(Object.entries(c).map(([n, v]) => [n, Array.isArray(v) ? v.join(' ') : String(v)]))

const partsOf = (v: Values) => kinds[v.kind!]!.filter((p) => !p.only || p.only === v.grant)

export function Credentials() {
  const { value, fault, again } = useLoaded(api.credentials, '')
  const [edited, edit] = useState<api.Credential | null>()
  if (fault) return <Wrong>{fault.text}</Wrong>
  if (!value) return null
  if (edited !== undefined) return <Form given={edited} done={() => (edit(undefined), again())} />
  return (
    <>
      <div class="c-bar">
        <p class="c-note">What tools show a service to say who calls. Each is sent to its origins and nowhere else.</p>
        <button type="button" class="button small c-main" onClick={() => edit(null)}>Add a credential</button>
      </div>
      {value.credentials.length ? (
        <table class="c-table">
          <thead><tr><th>Credential</th><th>Kind</th><th>Sent to</th><th><span class="sr">Actions</span></th></tr></thead>
          <tbody>
            {value.credentials.map((c) => (
              <tr key={c.name}>
                <td><button type="button" class="c-name c-plain" onClick={() => edit(c)}>{c.name}</button><p>{c.description}</p></td>
                <td>{titles[c.kind] ?? c.kind}{c.grant === person && <span class="c-tag">each person</span>}</td>
                <td class="c-where">{c.origins.join(' ')}</td>
                <td><Remove name={c.name} act={() => api.removeCredential(c.name)} done={again} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : <p class="c-none">There are no credentials yet.</p>}
    </>
  )
}

function Form({ given, done }: { given: api.Credential | null; done: () => void }) {
  const [form, setForm] = useState<Values>(given ? valuesOf(given) : { kind: 'apiKey' })
  const [wrong, setWrong] = useState<Fault>()
  const set = (name: string) => (e: { currentTarget: { value: string } }) => setForm({ ...form, [name]: e.currentTarget.value })
  const parts = partsOf(form)
  const submit = (e: Event) => {
    e.preventDefault()
    const own = Object.fromEntries(parts.flatMap((p) => (form[p.name] ? [[p.name, p.list ? words(form[p.name]!) : form[p.name]]] : [])))
    setWrong(undefined)
    api.putCredential({ ...own, name: (form.name ?? '').trim(), kind: form.kind!, description: form.description || undefined, origins: words(form.origins ?? '') }).then(done, (err) => setWrong(faultOf(err)))
  }
  const at = (name: string) => (wrong && (wrong.field === name || wrong.field.startsWith(name + '.')) ? wrong.text : undefined)
  const shown = ['name', 'description', 'origins', ...parts.map((p) => p.name)]
  return (
    <>
      <button type="button" class="c-back c-plain c-link" onClick={done}>All credentials</button>
      <div class="c-head"><h2>{given ? given.name : 'Add a credential'}</h2></div>
      <form class="c-form" onSubmit={submit}>
        {wrong && !shown.some((n) => at(n)) && <Wrong>{wrong.text}</Wrong>}
        <Field label="Name" id="c-name" fault={at('name')} hint={given ? undefined : 'What tools name it by: letters, digits, _ and -.'}><input id="c-name" class="mono" required readOnly={!!given} value={form.name ?? ''} onInput={set('name')} /></Field>
        <Field label="Description (optional)" id="c-description" fault={at('description')} hint="What it opens, for a person who is asked to connect."><input id="c-description" value={form.description ?? ''} onInput={set('description')} /></Field>
        <Field label="Origins" id="c-origins" hint="Where it may be sent, such as https://api.example.com." fault={at('origins')}><input id="c-origins" class="mono" required value={form.origins ?? ''} onInput={set('origins')} /></Field>
        <Field label="Kind" id="c-kind"><select id="c-kind" value={form.kind} onChange={set('kind')}>{Object.keys(kinds).map((k) => <option key={k} value={k}>{titles[k]}</option>)}</select></Field>
        {parts.map((p) => (
          <Field key={form.kind + p.name} label={p.label} id={'c-' + p.name} hint={p.secret ? 'Once saved it is never shown again.' : p.hint} fault={at(p.name)}>
            {p.choice ? (
              <select id={'c-' + p.name} value={form[p.name] ?? ''} onChange={set(p.name)}>{p.choice.map(([v, text]) => <option key={v} value={v}>{text}</option>)}</select>
            ) : (
              <input id={'c-' + p.name} class="mono" type={(p.secret ? 'password' : 'text') as 'text'} autocomplete="off" value={form[p.name] ?? ''} onInput={set(p.name)} />
            )}
          </Field>
        ))}
        <div class="c-actions"><button class="button c-main">Save</button><button type="button" class="button quiet" onClick={done}>Cancel</button></div>
      </form>
    </>
  )
}

/** The accounts at services that this person has connected. */
export function Connections() {
  const { value, fault, again } = useLoaded(api.connections, '')
  const { value: all } = useLoaded(() => (signedIn.value ? api.credentials() : Promise.resolve({ credentials: [] })), signedIn.value)
  useEffect(() => {
    const heard = new BroadcastChannel('parley-connect') // the tab in which the service was asked
    heard.onmessage = again
    return () => heard.close()
  })
  if (fault) return <Wrong>{fault.text}</Wrong>
  if (!value) return null
  const open = (all?.credentials ?? []).filter((c) => c.grant === person && !value.connections.some((o) => o.credential === c.name))
  return (
    <>
      <p class="c-note">Your own accounts at services. A tool that needs one asks you in the conversation.</p>
      {value.connections.length || open.length ? (
        <table class="c-table">
          <thead><tr><th>Account</th><th>Connected</th><th><span class="sr">Actions</span></th></tr></thead>
          <tbody>
            {value.connections.map((c) => (
              <tr key={c.credential}>
                <td>{c.credential}<p>{c.description}</p></td>
                <td title={dateTime(Date.parse(c.since))}>{new Date(c.since).toLocaleDateString()} {time(Date.parse(c.since))}</td>
                <td><Remove name={c.credential} verb="Disconnect" act={() => api.disconnect(c.credential)} done={again} /></td>
              </tr>
            ))}
            {open.map((c) => (
              <tr key={c.name}>
                <td>{c.name}<p>{c.description}</p></td>
                <td class="c-note">not yet</td>
                <td><a class="button small" href={'/v1/connect/' + encodeURIComponent(c.name)} target="_blank" rel="noreferrer">Connect</a></td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : <p class="c-none">You have not connected any accounts.</p>}
    </>
  )
}
