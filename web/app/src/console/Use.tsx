import { duration, number, time } from '../ui/format'
import * as api from './api'
import { useLoaded } from './parts'

/** How a tool has been used: figures of the last hour, calls of the last day as bars. */
export function Use({ name, hour }: { name: string; hour?: api.Stats }) {
  const { value } = useLoaded(() => api.series(name), name)
  const share = (n: number) => (hour!.calls ? Math.round((1_000 * n) / hour!.calls) / 10 + ' %' : '–')
  const figures: [string, string][] = hour
    ? [['Calls in the last hour', number(hour.calls)], ['p50', hour.calls ? duration(hour.p50Ms) : '–'], ['p95', hour.calls ? duration(hour.p95Ms) : '–'], ['Errors', share(hour.failed)], ['Cached', share(hour.cached)]]
    : []
  if (!hour && !value?.day?.length) return null
  return (
    <section class="c-use" aria-label="Use">
      <dl>
        {figures.map(([name, v]) => <div key={name}><dt>{name}</dt><dd>{v}</dd></div>)}
      </dl>
      {value?.day?.length ? <Bars points={value.day} /> : null}
    </section>
  )
}

const height = 32

function Bars({ points }: { points: api.Point[] }) {
  const most = Math.max(1, ...points.map((p) => p.calls))
  const sum = (of: 'calls' | 'failed') => points.reduce((n, p) => n + p[of], 0)
  const tall = (n: number) => (n ? Math.max(1.5, (height * n) / most) : 0)
  const said = `${number(sum('calls'))} calls in 24 hours, ${number(sum('failed'))} failed`
  return (
    <figure>
      <svg role="img" aria-label={said} viewBox={`0 0 ${points.length * 3} ${height}`} preserveAspectRatio="none">
        {points.map((p, i) => p.calls > 0 && (
          <g key={p.at}>
            <title>{`${time(Date.parse(p.at))}: ${number(p.calls)} calls, p95 ${duration(p.p95Ms)}`}</title>
            <rect class="calls" x={i * 3} width={2} y={height - tall(p.calls)} height={tall(p.calls)} />
            <rect class="failed" x={i * 3} width={2} y={height - tall(p.failed)} height={tall(p.failed)} />
          </g>
        ))}
      </svg>
      <figcaption>{said}</figcaption>
    </figure>
  )
}
