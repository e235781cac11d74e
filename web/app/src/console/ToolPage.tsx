import { useState } from 'preact/hooks'
import { go, toast } from '../chat/app-state'
import * as api from './api'
import { Declare } from './Declare'
import { faultOf, Link, useLoaded, Wrong } from './parts'
import { Try } from './Try'

export function ToolPage({ name }: { name: string }) {
  const { value, fault, again } = useLoaded(() => api.declaration(name), name)
  const [asked, setAsked] = useState(false)
  if (fault) return <><Wrong>{fault.text}</Wrong><Link to="/console/tools">All tools</Link></>
  if (!value) return null
  const failed = (err: unknown) => (toast.value = { text: faultOf(err).text })
  const remove = () => void api.remove(name).then(() => go('/console/tools'), failed)
  const toggle = () => void api.disable(name, !value.disabled).then(again, failed)
  const saved = () => {
    toast.value = { text: `Saved ${name}` }
    again()
  }
  return (
    <>
      <Link to="/console/tools" class="c-back">All tools</Link>
      <div class="c-head">
        <h2 class="mono">{name}</h2>
        {value.disabled === true && <span class="c-tag">off</span>}
        {!value.builtin && (
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
      <div class="c-split">
        <section aria-labelledby="h-try"><h3 id="h-try">Try</h3><Try name={name} schema={(value.parameters ?? {}) as api.Schema} /></section>
        <section aria-labelledby="h-decl">
          <h3 id="h-decl">Declaration</h3>
          {value.builtin ? <p class="c-note">{String(value.description)} This tool is part of Parley and cannot be changed.</p> : <Declare key={JSON.stringify(value)} given={value} done={saved} />}
        </section>
      </div>
    </>
  )
}
