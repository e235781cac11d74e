import { useState } from 'preact/hooks'
import { toast } from '../chat/app-state'
import { fieldsOf } from './AgentPage'
import * as api from './api'
import { changes, linesOf } from './diff'
import { faultOf, useLoaded, Wrong } from './parts'

/** What an agent was before, the newest first, each with what it changed. */
export function Versions({ name, newest, again }: { name: string; newest: number; again: (v: api.AgentVersion) => void }) {
  const { value, fault } = useLoaded(() => api.agentVersions(name), name)
  const [older, setOlder] = useState<{ versions: api.AgentVersion[]; next?: number }>()
  if (fault) return <Wrong>{fault.text}</Wrong>
  if (!value) return null
  const all = [...value.versions, ...(older?.versions ?? [])]
  const next = older ? older.next : value.next
  const use = (v: api.AgentVersion) => api.putAgent(fieldsOf(v), newest).then(again, (err) => (toast.value = { text: faultOf(err).text }))
  return (
    <section>
      <h3>Versions</h3>
      <ol class="c-versions">
        {all.map((v, i) => (
          <li key={v.version}>
            <div class="c-version">
              <b>Version {v.version}</b>
              <span class="c-note">{new Date(v.at).toLocaleString()}{v.by && ` · ${v.by}`}</span>
              {v.version !== newest && <button type="button" class="button small" aria-label={`Use this again: version ${v.version}`} onClick={() => void use(v)}>Use this again</button>}
            </div>
            {(v.version === 1 || all[i + 1]) && <Changed from={all[i + 1]} to={v} open={i === 0} />}
          </li>
        ))}
      </ol>
      {next && <button type="button" class="button small quiet" onClick={() => void api.agentVersions(name, next).then((r) => setOlder({ versions: [...(older?.versions ?? []), ...r.versions], next: r.next }))}>Earlier versions</button>}
    </section>
  )
}

function Changed({ from, to, open }: { from?: api.AgentVersion; to: api.AgentVersion; open: boolean }) {
  const lines = changes(from ? linesOf(from) : [], linesOf(to))
  return (
    <details class="c-more" open={open}>
      <summary>{from ? 'What it changed' : 'What it says'}</summary>
      <pre class="c-diff" tabIndex={0}>
        {lines.map((l, i) => <span key={i} class={l.sign === '+' ? 'added' : l.sign === '-' ? 'gone' : ''}>{l.sign + ' ' + l.text + '\n'}</span>)}
        {!lines.length && 'Nothing that is shown.'}
      </pre>
    </details>
  )
}
