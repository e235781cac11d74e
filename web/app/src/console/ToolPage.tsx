import { useState } from 'preact/hooks'
import { go, toast } from '../chat/app-state'
import * as api from './api'
import { Declare } from './Declare'
import { faultOf, Link, useLoaded, Wrong } from './parts'
import { Try } from './Try'
import { Use } from './Use'

export function ToolPage({ name }: { name: string }) {
  const { value, fault, again } = useLoaded(() => api.declaration(name), name)
  const { value: line, again: recount } = useLoaded(() => api.listed(name), name)
  const [asked, setAsked] = useState(false)
  if (fault) return <><Wrong>{fault.text}</Wrong><Link to="/console/tools">All tools</Link></>
  if (!value) return null
  const failed = (err: unknown) => (toast.value = { text: faultOf(err).text })
  const remove = () => void api.remove(name).then(() => go('/console/tools'), failed)
  const toggle = () => void api.disable(name, !value.disabled).then(again, failed)
  const fixed = value.builtin !== undefined // by the server: what is declared in it has no such member
  const saved = () => {
    toast.value = { text: `Saved ${name}` }
    again()
  }
  return (
    <>
      <Link to="/console/tools" class="c-back">All tools</Link>
      <div class="c-head">
        <h2 class="mono">{name}</h2>
        {value.builtin === true && <span class="c-tag">built in</span>}
        {value.builtin === false && <span class="c-tag">MCP</span>}
        {value.disabled === true && <span class="c-tag">off</span>}
        {!fixed && (
          <div class="c-actions">
            <button type="button" class="button small quiet" onClick={toggle}>{value.disabled ? 'Enable' : 'Disable'}</button>
            {asked ? (
              <>
                <button type="button" class="button small c-danger" onClick={remove}>Delete {name}</button>
                <button type="button" class="button small quiet" onClick={() => setAsked(false)}>Keep</button>
              </>
            ) : (
              <button type="button" class="button small quiet" onClick={() => setAsked(true)}>Delete…</button>
            )}
          </div>
        )}
      </div>
      {line?.fault && <Wrong>It cannot be used: {line.fault}</Wrong>}
      <Use key={line?.stats?.calls} name={name} hour={line?.stats} />
      <div class="c-split">
        <section aria-labelledby="h-try"><h3 id="h-try">Try</h3><Try name={name} schema={(value.parameters ?? {}) as api.Schema} usual={line?.stats} called={recount} /></section>
        <section aria-labelledby="h-decl">
          <h3 id="h-decl">Declaration</h3>
          {fixed ? <p class="c-note">{String(value.description)} {value.builtin ? 'This tool is part of Parley and cannot be changed.' : 'This tool comes from an MCP server and is changed there.'}</p> : <Declare key={JSON.stringify(value)} given={value} done={saved} />}
        </section>
      </div>
    </>
  )
}
