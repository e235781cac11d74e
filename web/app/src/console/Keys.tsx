import { useState } from 'preact/hooks'
import { toast } from '../chat/app-state'
import { ProblemError } from '../core/protocol'
import { dateTime } from '../ui/format'
import * as api from './api'
import { faultOf, Field, Remove, Wrong, type Fault } from './parts'

/** What is wrong. A token that is not the administrator's ends no session: it was typed here. */
function keyFault(err: unknown): Fault {
  if (err instanceof ProblemError && (err.problem.status === 401 || err.problem.status === 403)) return { field: 'token', text: 'This is not the administrator’s token.' }
  return faultOf(err)
}

/**
 * The API keys of other systems. A page's session must not be able to make
 * what outlives it: the token is asked for again, and kept while this is open.
 */
export function Keys() {
  const [token, setToken] = useState('')
  const [all, setAll] = useState<api.Key[]>()
  const [wrong, setWrong] = useState('')
  const [adds, setAdds] = useState(false)
  const [made, setMade] = useState<api.MadeKey>()
  const load = () => void api.keys(token.trim()).then(({ keys }) => (setWrong(''), setAll(keys)), (err) => setWrong(keyFault(err).text))
  if (!all) {
    return (
      <form class="c-signin" onSubmit={(e) => (e.preventDefault(), load())}>
        <h2>API keys</h2>
        <p>Other systems sign in with them. A key outlives this session, so whoever makes one shows the admin token once more.</p>
        <Field label="Admin token" id="k-token" fault={wrong}>
          <input id="k-token" type="password" autocomplete="off" required value={token} onInput={(e) => setToken(e.currentTarget.value)} />
        </Field>
        <button class="button c-main">Show the keys</button>
      </form>
    )
  }
  if (made) return <Shown made={made} done={() => (setMade(undefined), load())} />
  if (adds) return <Form token={token.trim()} done={(m) => (setAdds(false), m && setMade(m))} />
  return (
    <>
      <div class="c-bar">
        <p class="c-note">Other systems sign in with them, for the people of a tenant.</p>
        <button type="button" class="button small c-main" onClick={() => setAdds(true)}>Make a key</button>
      </div>
      {wrong && <Wrong>{wrong}</Wrong>}
      {all.length ? (
        <table class="c-table">
          <thead><tr><th>Key</th><th>Tenant</th><th>For</th><th>Until</th><th><span class="sr">Actions</span></th></tr></thead>
          <tbody>
            {all.map((k) => (
              <tr key={k.id}>
                <td>{k.name}<p class="mono">{k.id}</p></td>
                <td class="mono">{k.tenant}</td>
                <td>{k.scopes.map((s) => scopes[s] ?? s).join(', ')}</td>
                <td>{k.expires ? dateTime(Date.parse(k.expires)) : 'it is taken back'}</td>
                <td><Remove name={k.name} verb="Take back" act={() => api.removeKey(token.trim(), k.id)} done={load} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : <p class="c-none">There are no API keys yet.</p>}
    </>
  )
}

const scopes: Record<string, string> = { chat: 'Conversations', tools: 'Tools and documents' }

function Form({ token, done }: { token: string; done: (made?: api.MadeKey) => void }) {
  const [name, setName] = useState('')
  const [tenant, setTenant] = useState('')
  const [chosen, choose] = useState(['chat'])
  const [days, setDays] = useState('')
  const [wrong, setWrong] = useState<Fault>()
  const at = (field: string) => (wrong?.field === field ? wrong.text : undefined)
  const submit = (e: Event) => {
    e.preventDefault()
    const expires = Number(days) > 0 ? new Date(Date.now() + Number(days) * 86_400_000).toISOString() : undefined
    api.makeKey(token, { name: name.trim(), tenant: tenant.trim(), scopes: chosen, expires }).then(done, (err) => setWrong(keyFault(err)))
  }
  return (
    <>
      <button type="button" class="c-back c-plain c-link" onClick={() => done()}>All keys</button>
      <div class="c-head"><h2>Make an API key</h2></div>
      <form class="c-form" onSubmit={submit}>
        {wrong && !['name', 'tenant', 'scopes', 'expires'].some(at) && <Wrong>{wrong.text}</Wrong>}
        <Field label="Name" id="k-name" fault={at('name')} hint="For you, to know it again."><input id="k-name" required value={name} onInput={(e) => setName(e.currentTarget.value)} /></Field>
        <Field label="Tenant" id="k-tenant" fault={at('tenant')} hint="Whose people it speaks for, such as acme."><input id="k-tenant" class="mono" required value={tenant} onInput={(e) => setTenant(e.currentTarget.value)} /></Field>
        <div role="group" aria-label="What it is for">
          {Object.entries(scopes).map(([scope, words]) => (
            <label class="c-check" key={scope}>
              <input type="checkbox" checked={chosen.includes(scope)} onChange={(e) => choose(e.currentTarget.checked ? [...chosen, scope] : chosen.filter((s) => s !== scope))} />
              {words}
            </label>
          ))}
          {at('scopes') && <Wrong>{at('scopes')}</Wrong>}
        </div>
        <Field label="Days" id="k-days" fault={at('expires')} hint="After which it is void; empty: until it is taken back."><input id="k-days" type="number" min={1} max={3650} value={days} onInput={(e) => setDays(e.currentTarget.value)} /></Field>
        <div class="c-actions"><button class="button c-main">Make the key</button><button type="button" class="button quiet" onClick={() => done()}>Cancel</button></div>
      </form>
    </>
  )
}

/** The only time that a key's token is shown. */
function Shown({ made, done }: { made: api.MadeKey; done: () => void }) {
  const copy = () => void navigator.clipboard.writeText(made.token).then(() => (toast.value = { text: 'Copied.' }), () => (toast.value = { text: 'Select the key and copy it.' }))
  return (
    <div class="c-form">
      <div class="c-head"><h2>{made.name}</h2></div>
      <p>This is the key. It is shown this once: keep it where the other system finds it.</p>
      <p class="c-header"><input class="mono" readOnly aria-label="The key" value={made.token} onFocus={(e) => e.currentTarget.select()} /><button type="button" class="button small" onClick={copy}>Copy</button></p>
      <div class="c-actions"><button type="button" class="button c-main" onClick={done}>I have kept it</button></div>
    </div>
  )
}
