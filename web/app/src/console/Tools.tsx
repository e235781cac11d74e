import { useState } from 'preact/hooks'
import { toast } from '../chat/app-state'
import { duration, number } from '../ui/format'
import * as api from './api'
import { faultOf, Link, useLoaded, Wrong } from './parts'

const step = 100 // rows that are drawn at once

export function Tools() {
  const { value, fault, again } = useLoaded(api.tools, '')
  const [query, setQuery] = useState('')
  const [shown, setShown] = useState(step)
  const all = value?.tools ?? []
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const found = all.filter((t) => words.every((w) => `${t.name} ${t.method} ${t.host} ${t.description}`.toLowerCase().includes(w)))
  return (
    <>
      <div class="c-bar">
        <input type="search" aria-label="Search tools" placeholder="Search tools" value={query} onInput={(e) => (setQuery(e.currentTarget.value), setShown(step))} />
        <span class="c-count" role="status">{value && (words.length ? `${number(found.length)} of ${number(all.length)}` : number(all.length))}</span>
        <Link to="/console/tools/+/form" class="button small c-main">Add tools</Link>
      </div>
      {fault && <Wrong>{fault.text}</Wrong>}
      {value && (
        <table class="c-table">
          <thead>
            <tr><th>Tool</th><th>Called at</th><th>Effect</th><th class="num">Calls</th><th class="num">p50</th><th class="num">p95</th><th class="num">Errors</th><th class="num">Cached</th><th><span class="sr">Used</span></th></tr>
          </thead>
          <tbody>{found.slice(0, shown).map((t) => <Row key={t.name} t={t} changed={again} />)}</tbody>
        </table>
      )}
      {value && !found.length && <p class="c-none">{all.length ? 'No tool fits.' : 'There are no tools yet.'}</p>}
      {found.length > shown && <button type="button" class="button small" onClick={() => setShown(shown + step)}>Show {number(Math.min(step, found.length - shown))} more</button>}
    </>
  )
}

function Row({ t, changed }: { t: api.Tool; changed: () => void }) {
  const s = t.stats
  const share = (n: number) => (s!.calls ? Math.round((1_000 * n) / s!.calls) / 10 + ' %' : '–')
  const toggle = () => void api.disable(t.name, !t.disabled).then(changed, (err) => (toast.value = { text: faultOf(err).text }))
  return (
    <tr class={t.disabled ? 'off' : ''}>
      <td>
        <Link to={'/console/tools/' + t.name} class="c-name">{t.name}</Link>
        {t.builtin && <span class="c-tag">built in</span>}
        {t.disabled && <span class="c-tag">off</span>}
        {t.fault && <span class="c-tag bad" title={t.fault}>cannot be used</span>}
        <p>{t.description}</p>
      </td>
      <td class="c-where"><b>{t.method ?? ''}</b> {t.host ?? '–'}</td>
      <td>{t.effect}{t.approval && <small> · {t.approval}</small>}</td>
      <td class="num">{s ? number(s.calls) : '–'}</td>
      <td class="num">{s?.calls ? duration(s.p50Ms) : '–'}</td>
      <td class="num">{s?.calls ? duration(s.p95Ms) : '–'}</td>
      <td class="num">{s ? share(s.failed) : '–'}</td>
      <td class="num">{s ? share(s.cached) : '–'}</td>
      <td>{!t.builtin && <button type="button" class="button small quiet" aria-pressed={!t.disabled} onClick={toggle}>{t.disabled ? 'Enable' : 'Disable'}</button>}</td>
    </tr>
  )
}
