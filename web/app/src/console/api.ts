// What the console asks of the server.

import { ProblemError, type Problem } from '../core/protocol'
import { call } from '../ui/api'

export interface Schema {
  type?: string | string[]
  title?: string
  description?: string
  enum?: unknown[]
  default?: unknown
  examples?: unknown[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
}

export interface Stats { calls: number; failed: number; cached: number; p50Ms: number; p95Ms: number }

export interface Point extends Stats { at: string }

export interface Tool {
  name: string
  description: string
  parameters?: Schema
  effect: string
  method?: string
  host?: string
  builtin?: boolean
  supplied?: boolean
  disabled?: boolean
  fault?: string
  approval?: string
  stats?: Stats
}

export type Declaration = Record<string, unknown> & { name: string }

export interface Tried {
  content: string
  failed: boolean
  outcome: { method?: string; host?: string; status?: number; latencyMs: number; requests?: number; retries?: number; breaker?: string; cache?: string; ageMs?: number; bytes?: number; cut?: boolean; reason?: string }
  attempts?: Attempt[]
  ask?: { reason: string; message: string; url?: string }
}

/** One HTTP request of a call. */
export interface Attempt { method: string; host: string; status?: number; tookMs: number; reason?: string; headers?: { name: string; value: string }[]; leftOut?: number }

export interface Operation {
  operation: string
  name: string
  tags?: string[]
  summary?: string
  deprecated?: boolean
  status: string
  reason?: string
  changes?: string[]
  needs?: string
  warnings?: string[]
  kept?: string[]
}

/** An import that the server goes on with. */
export interface Importing {
  id: string
  state: string
  ahead?: number
  count?: number
  of?: number
  report?: Report
  problem?: Problem
}

export interface Report {
  title?: string
  version?: string
  base?: string
  servers?: string[]
  warnings?: string[]
  counts: Record<string, number>
  leftOut?: number
  operations: Operation[]
}

export interface MCPServer {
  name: string
  url: string
  headers?: Record<string, string>
  trusted?: boolean
  approval?: string
  allow?: string[]
  deny?: string[]
  disabled?: boolean
  timeoutMs?: number
  stdio?: boolean
  state?: { connected: boolean; software?: string; protocol?: string; tools: number; leftOut?: string[]; error?: string }
}

export interface Connection { credential: string; description?: string; since: string }

export interface Credential { name: string; kind: string; origins: string[]; description?: string; [field: string]: unknown }

export interface Agent {
  name: string
  title?: string
  description?: string
  questions?: string[]
  instructions?: string
  models?: string[]
  tools?: string[] // none: all
  temperature?: number
  maxTokens?: number
  maxTurns?: number
  maxCalls?: number
}

export interface AgentVersion extends Agent { version: number; at: string; by?: string }

export interface AgentShown extends AgentVersion { available: { models: string[]; system: string } }

export type By = 'day' | 'person' | 'model' | 'tenant'

/** A sum of what was spent. */
export interface Spent {
  day?: string
  person?: string
  model?: string
  tenant?: string
  runs: number
  tokens: number
  inputTokens: number
  outputTokens: number
  costMicros: number
  unpricedTokens?: number
}

export interface Key { id: string; name: string; tenant: string; scopes: string[]; created: string; expires?: string }

export interface MadeKey extends Key { token: string }

const body = (v: unknown) => JSON.stringify(v)
const tool = (name: string) => '/v1/tools/' + encodeURIComponent(name)

export const session = () => call<{ signedIn: boolean }>('/v1/session')
export const signIn = (token: string) => call('/v1/session', { method: 'POST', body: body({ token }) })
export const usage = (by: By, days: number) => call<{ usage: Spent[] }>('/v1/usage/report?' + new URLSearchParams({ by, days: String(days) }))
export const signOut = () => call('/v1/session', { method: 'DELETE' })
export const tools = () => call<{ tools: Tool[] }>('/v1/tools')
export const declaration = (name: string) => call<Declaration>(tool(name))
export const put = (d: Declaration) => call<Declaration>(tool(d.name), { method: 'PUT', body: body(d) })
export const patch = (name: string, members: object) => call(tool(name), { method: 'PATCH', body: body(members) })
export const disable = (name: string, disabled: boolean) => patch(name, { disabled })
export const series = (name: string) => call<{ day: Point[] | null }>(tool(name) + '/stats')
/** One tool as the list has it, with its use in the last hour. */
export const listed = (name: string) => call<{ tools: Tool[] }>('/v1/tools?' + new URLSearchParams({ q: name, limit: '50' })).then((r) => r.tools.find((t) => t.name === name))
export const remove = (name: string) => call(tool(name), { method: 'DELETE' })
export const tryTool = (name: string, args: unknown, signal: AbortSignal) => call<Tried>(tool(name) + '/call', { method: 'POST', body: body({ arguments: args }), signal })
/** Imports, however long that takes; what the signal aborts the server does not go on with. */
export async function importing(request: object, signal: AbortSignal, progress: (at: Importing) => void): Promise<Report> {
  const headers = { 'content-type': 'application/json', prefer: 'respond-async, wait=1' }
  let at = await call<Report | Importing>('/v1/tools/import', { method: 'POST', body: body(request), headers, signal })
  if (!('state' in at)) return at
  const path = '/v1/tools/imports/' + at.id
  const cancel = () => void call(path, { method: 'DELETE', keepalive: true }).catch(() => {})
  signal.addEventListener('abort', cancel)
  try {
    while (!at.report) {
      if (at.problem) throw new ProblemError(at.problem)
      progress(at)
      await new Promise((done) => setTimeout(done, 400))
      at = await call<Importing>(path, { signal })
    }
    return at.report
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}
export const draft = (curl: string) => call<{ tool: Declaration; warnings: string[] }>('/v1/tools/draft', { method: 'POST', body: body({ curl }) })
const as = (token: string) => ({ headers: { 'content-type': 'application/json', authorization: 'Bearer ' + token } })
export const keys = (token: string) => call<{ keys: Key[] }>('/v1/keys', as(token))
export const makeKey = (token: string, k: { name: string; tenant: string; scopes: string[]; expires?: string }) => call<MadeKey>('/v1/keys', { method: 'POST', body: body(k), ...as(token) })
export const removeKey = (token: string, id: string) => call('/v1/keys/' + encodeURIComponent(id), { method: 'DELETE', ...as(token) })
export const credentials = () => call<{ credentials: Credential[] }>('/v1/credentials')
export const putCredential = (c: Credential) => call('/v1/credentials/' + encodeURIComponent(c.name), { method: 'PUT', body: body(c) })
export const removeCredential = (name: string) => call('/v1/credentials/' + encodeURIComponent(name), { method: 'DELETE' })
export const connections = () => call<{ connections: Connection[] }>('/v1/connections')
export const disconnect = (name: string) => call('/v1/connections/' + encodeURIComponent(name), { method: 'DELETE' })
export const servers = () => call<{ servers: MCPServer[] | null }>('/v1/mcp')
export const putServer = ({ state: _, stdio: __, ...s }: MCPServer) => call('/v1/mcp/' + encodeURIComponent(s.name), { method: 'PUT', body: body(s) })
export const removeServer = (name: string) => call('/v1/mcp/' + encodeURIComponent(name), { method: 'DELETE' })
export { agents } from '../ui/api'
const agent = (name: string) => '/v1/agents/' + encodeURIComponent(name)
export const getAgent = (name: string) => call<AgentShown>(agent(name))
/** Stores a version behind the one that is known, or a new agent for 0. */
export const putAgent = (a: Agent, behind: number) =>
  call<AgentVersion>(agent(a.name), { method: 'PUT', body: body(a), headers: { 'content-type': 'application/json', 'if-match': `"${behind}"` } })
export const removeAgent = (name: string) => call(agent(name), { method: 'DELETE' })
export const agentVersions = (name: string, before?: number) => call<{ versions: AgentVersion[]; next?: number }>(agent(name) + '/versions?limit=20' + (before ? '&before=' + before : ''))
