import { useEffect, useState } from 'preact/hooks'
import { toast } from '../chat/app-state'
import { duration, number } from '../ui/format'
import * as api from './api'
import { faultOf, Link, policyOf, useLoaded, Wrong } from './parts'

const step = 100 // rows that are drawn at once
const every = 5_000 // ms after which figures are read again, while the page is looked at

export function Tools() {
  const { value, fault, again } = useLoaded(api.tools, '')
  const [query, setQuery] = useState('')
  const [shown, setShown] = useState(step)
  useEffect(() => {
    const timer = setInterval(() => document.hidden || again(), every)
    return () => clearInterval(timer)
  })
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
            <tr><th>Tool</th><th>Effect</th><th>Approval</th><th class="num">Calls</th><th class="num">p50</th><th class="num">p95</th><th class="num">Errors</th><th class="num">Cached</th><th><span class="sr">Used</span></th></tr>
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
  const fixed = t.builtin || t.supplied
  const change = (members: object) => void api.patch(t.name, members).then(changed, (err) => (toast.value = { text: faultOf(err).text }, changed()))
  return (
    <tr class={t.disabled ? 'off' : ''}>
      <td>
        <Link to={'/console/tools/' + t.name} class="c-name">{t.name}</Link>
        {t.builtin && <span class="c-tag">built in</span>}
        {t.supplied && <span class="c-tag">MCP</span>}
        {t.disabled && <span class="c-tag">off</span>}
        {t.fault && <span class="c-tag bad" >cannot be used</span>}
        {t.host && <div class="c-at">{t.method} {t.host}</div>}
        <p>{t.fault || t.description}</p>
      </td>
      <td class="c-effect">{t.effect}</td>
      <td class="c-approval">{fixed || t.fault ? <span class="c-note">{t.fault ? '–' : policyOf(t)}</span> : <Policy t={t} change={(approval) => change({ approval })} />}</td>
      <td class="num">{s ? number(s.calls) : '–'}</td>
      <td class="num">{s?.calls ? duration(s.p50Ms) : '–'}</td>
      <td class="num">{s?.calls ? duration(s.p95Ms) : '–'}</td>
      <td class="num">{s ? share(s.failed) : '–'}</td>
      <td class="num">{s ? share(s.cached) : '–'}</td>
      <td>{!fixed && <button type="button" class="button small quiet" aria-label={(t.disabled ? 'Enable ' : 'Disable ') + t.name} onClick={() => change({ disabled: !t.disabled })}>{t.disabled ? 'Enable' : 'Disable'}</button>}</td>
    </tr>
  )
}

function Policy({ t, change }: { t: api.Tool; change: (approval: string | null) => void }) {
  return (
    <select class="c-policy" aria-label={'Approval of ' + t.name} value={t.approval ?? ''} onChange={(e) => change(e.currentTarget.value || null)}>
      <option value="">{policyOf({ effect: t.effect })} (default)</option>
      <option value="auto">auto</option>
      <option value="ask">ask</option>
      <option value="never">never</option>
    </select>
  )
}
