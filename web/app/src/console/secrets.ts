// Secrets of a declaration while it is not saved: shown as JSON they are masked
// as the server masks them, and put back before it is sent.

const mask = '•••'
const plain = ['accept', 'accept-language', 'content-type', 'user-agent', 'cache-control', 'prefer', 'x-requested-with']

type Members = Record<string, string>
type Request = { headers?: Members; secretQuery?: Members; steps?: Request[]; [field: string]: unknown }

function each(r: Request, f: (m: Members, secret: (name: string) => boolean) => Members): Request {
  const out = { ...r }
  if (r.headers) out.headers = f(r.headers, (n) => !plain.includes(n.toLowerCase()))
  if (r.secretQuery) out.secretQuery = f(r.secretQuery, () => true)
  return out
}

/** The declaration with its secrets masked. */
export function hidden(d: Request): Request {
  const mine = each(d, (m, secret) => Object.fromEntries(Object.entries(m).map(([n, v]) => [n, secret(n) ? mask : v])))
  return d.steps ? { ...mine, steps: d.steps.map(hidden) } : mine
}

/** The edited declaration with the secrets that are still masked taken from what it was made of. */
export function restored(edited: Request, from: Request): Request {
  if (typeof edited !== 'object' || !edited) throw new SyntaxError('not an object')
  const back = (m: Members | undefined, was: Members | undefined) => m && Object.fromEntries(Object.entries(m).map(([n, v]) => [n, v === mask ? (was?.[n] ?? v) : v]))
  const out = { ...edited }
  if (edited.headers) out.headers = back(edited.headers, from.headers)
  if (edited.secretQuery) out.secretQuery = back(edited.secretQuery, from.secretQuery)
  if (Array.isArray(edited.steps)) out.steps = edited.steps.map((s, i) => restored(s, from.steps?.[i] ?? {}))
  return out
}
