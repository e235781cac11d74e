import { useState } from 'preact/hooks'
import { toast } from '../chat/app-state'
import { number } from '../ui/format'
import * as api from './api'
import { faultOf, Field, Headers, Remove, useLoaded, Wrong, type Fault } from './parts'
import { words } from './schema'

/** The MCP servers whose tools are used. */
export function Servers() {
  const { value, fault, again } = useLoaded(api.servers, '')
  const [edited, edit] = useState<api.MCPServer | null>()
  if (fault) return <Wrong>{fault.text}</Wrong>
  if (!value) return null
  if (edited !== undefined) return <Form given={edited} done={() => (edit(undefined), again())} />
  const all = value.servers ?? []
  const put = (s: api.MCPServer) => void api.putServer(s).then(again, (err) => (toast.value = { text: faultOf(err).text }))
  return (
    <>
      <div class="c-bar">
        <p class="c-note">Servers of the Model Context Protocol: what they list is offered as tools.</p>
        <button type="button" class="button small c-main" onClick={() => edit(null)}>Add a server</button>
      </div>
      {all.length ? (
        <table class="c-table">
          <thead><tr><th>Server</th><th>Address</th><th>State</th><th><span class="sr">Actions</span></th></tr></thead>
          <tbody>
            {all.map((s) => (
              <tr key={s.name} class={s.disabled ? 'off' : ''}>
                <td>{s.stdio ? <span class="mono">{s.name}</span> : <button type="button" class="c-name c-plain" onClick={() => edit(s)}>{s.name}</button>}{s.trusted && <span class="c-tag">trusted</span>}<p>{s.state?.software}</p></td>
                <td class="c-where">{s.stdio ? 'runs here' : s.url}</td>
                <td>{stateOf(s)}<p>{[s.state?.error, ...(s.state?.leftOut ?? []).map((t) => 'left out: ' + t)].filter(Boolean).join('; ')}</p></td>
                <td>
                  {!s.stdio && (
                    <>
                      <button type="button" class="button small quiet" aria-label={(s.disabled ? 'Enable ' : 'Disable ') + s.name} onClick={() => put({ ...s, disabled: !s.disabled })}>{s.disabled ? 'Enable' : 'Disable'}</button>
                      <Remove name={s.name} act={() => api.removeServer(s.name)} done={again} />
                    </>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : <p class="c-none">There are no MCP servers yet.</p>}
    </>
  )
}

function stateOf({ disabled, state }: api.MCPServer): string {
  if (disabled) return 'off'
  return state?.connected ? `connected · ${number(state.tools)} tools` : 'away'
}

function Form({ given, done }: { given: api.MCPServer | null; done: () => void }) {
  const [s, setServer] = useState<api.MCPServer>(given ?? { name: '', url: '' })
  const [wrong, setWrong] = useState<Fault>()
  const set = (more: Partial<api.MCPServer>) => setServer({ ...s, ...more })
  const at = (name: string) => (wrong && (wrong.field === name || wrong.field.startsWith(name + '.')) ? wrong.text : undefined)
  const submit = (e: Event) => {
    e.preventDefault()
    setWrong(undefined)
    api.putServer({ ...s, name: s.name.trim() }).then(done, (err) => setWrong(faultOf(err)))
  }
  const names = (field: 'allow' | 'deny') => ({ value: (s[field] ?? []).join(' '), onChange: (e: { currentTarget: { value: string } }) => set({ [field]: words(e.currentTarget.value) }) })
  return (
    <>
      <button type="button" class="c-back c-plain c-link" onClick={done}>All servers</button>
      <div class="c-head"><h2>{given ? given.name : 'Add an MCP server'}</h2></div>
      <form class="c-form" onSubmit={submit}>
        {wrong && !['name', 'url', 'headers', 'approval', 'allow', 'deny', 'timeoutMs'].some((n) => at(n)) && <Wrong>{wrong.text}</Wrong>}
        <Field label="Name" id="m-name" fault={at('name')} hint={given ? undefined : 'It stands before the names of its tools.'}><input id="m-name" class="mono" required readOnly={!!given} value={s.name} onInput={(e) => set({ name: e.currentTarget.value })} /></Field>
        <Field label="Address" id="m-url" fault={at('url')} hint="Of streamable HTTP."><input id="m-url" class="mono" required placeholder="https://mcp.example/mcp" value={s.url} onInput={(e) => set({ url: e.currentTarget.value })} /></Field>
        <Headers value={s.headers ?? {}} fault={at('headers')} change={(h) => set({ headers: h || undefined })} />
        <div class="c-pair even">
          <Field label="Approval" id="m-approval" fault={at('approval')}>
            <select id="m-approval" value={s.approval ?? ''} onChange={(e) => set({ approval: e.currentTarget.value || undefined })}>
              <option value="">as their effects suggest</option>
              <option value="auto">auto: called at once</option>
              <option value="ask">ask: a person decides</option>
              <option value="never">never: not by an agent</option>
            </select>
          </Field>
          <Field label="Time limit (ms)" id="m-timeout" fault={at('timeoutMs')}><input id="m-timeout" type="number" min={1} max={600_000} placeholder="60000" value={s.timeoutMs ?? ''} onInput={(e) => set({ timeoutMs: Number(e.currentTarget.value) || undefined })} /></Field>
        </div>
        <label class="c-check"><input type="checkbox" checked={s.trusted} onChange={(e) => set({ trusted: e.currentTarget.checked })} />Take its word for which tools only read</label>
        <Field label="Only these tools" id="m-allow" fault={at('allow')} hint="By the server’s own names; none means all."><input id="m-allow" class="mono" {...names('allow')} /></Field>
        <Field label="Not these tools" id="m-deny" fault={at('deny')}><input id="m-deny" class="mono" {...names('deny')} /></Field>
        <div class="c-actions"><button class="button c-main">Save</button><button type="button" class="button quiet" onClick={done}>Cancel</button></div>
      </form>
    </>
  )
}
