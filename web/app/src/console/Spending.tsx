import { useState } from 'preact/hooks'
import { dollars, number } from '../ui/format'
import * as api from './api'
import { useLoaded, Wrong } from './parts'

const ways: [api.By, string][] = [['day', 'Day'], ['person', 'Person'], ['model', 'Model'], ['tenant', 'Tenant']]

/** What was spent, by day, person, model or tenant. */
export function Spending() {
  const [by, setBy] = useState<api.By>('day')
  const [days, setDays] = useState(30)
  const { value, fault } = useLoaded(() => api.usage(by, days), by + days)
  if (fault) return <Wrong>{fault.text}</Wrong>
  const rows = value?.usage ?? []
  return (
    <>
      <div class="c-bar">
        <p class="c-note">Tokens and money of the models, by days in UTC. What has no known price is in no sum of money.</p>
        <label>By <select value={by} onChange={(e) => setBy(e.currentTarget.value as api.By)}>{ways.map(([v, name]) => <option key={v} value={v}>{name}</option>)}</select></label>
        <label>of <select value={days} onChange={(e) => setDays(Number(e.currentTarget.value))}>{[1, 7, 30, 366].map((n) => <option key={n} value={n}>{n === 1 ? 'today' : number(n) + ' days'}</option>)}</select></label>
      </div>
      {rows.length ? (
        <table class="c-table c-spending">
          <thead><tr><th>{ways.find(([v]) => v === by)![1]}</th><th class="num">Answers</th><th class="num">Read</th><th class="num">Written</th><th class="num">Tokens</th><th class="num">Cost</th></tr></thead>
          <tbody>
            {rows.map((r) => (
              <tr key={r[by]}>
                <td>{r[by] || 'none'}</td>
                <td class="num">{number(r.runs)}</td>
                <td class="num">{number(r.inputTokens)}</td>
                <td class="num">{number(r.outputTokens)}</td>
                <td class="num c-tokens">{number(r.tokens)}<span class="c-unit"> tokens</span></td>
                <td class="num c-cost">{cost(r)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : value && <p class="c-none">Nothing was spent in this time.</p>}
    </>
  )
}

function cost(r: api.Spent): string {
  if (r.unpricedTokens && !r.costMicros) return 'not known'
  return (r.unpricedTokens ? 'at least ' : '') + dollars(r.costMicros)
}
