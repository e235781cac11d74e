// What the console asks of the server.

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

export interface Tool {
  name: string
  description: string
  parameters?: Schema
  effect: string
  method?: string
  host?: string
  builtin?: boolean
  disabled?: boolean
  fault?: string
  approval?: string
  stats?: Stats
}

export type Declaration = Record<string, unknown> & { name: string }

export interface Tried {
  content: string
  failed: boolean
  outcome: { method?: string; host?: string; status?: number; latencyMs: number; requests?: number; retries?: number; cached?: boolean | string; bytes?: number; cut?: boolean; reason?: string }
}

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
}

export interface Report {
  title?: string
  version?: string
  base?: string
  servers?: string[]
  warnings?: string[]
  counts: Record<string, number>
  operations: Operation[]
}

export interface Credential { name: string; kind: string; origins: string[]; description?: string; [field: string]: unknown }

const body = (v: unknown) => JSON.stringify(v)
const tool = (name: string) => '/v1/tools/' + encodeURIComponent(name)

export const session = () => call<{ signedIn: boolean }>('/v1/session')
export const signIn = (token: string) => call('/v1/session', { method: 'POST', body: body({ token }) })
export const signOut = () => call('/v1/session', { method: 'DELETE' })
export const tools = () => call<{ tools: Tool[] }>('/v1/tools')
export const declaration = (name: string) => call<Declaration>(tool(name))
export const put = (d: Declaration) => call<Declaration>(tool(d.name), { method: 'PUT', body: body(d) })
export const disable = (name: string, disabled: boolean) => call(tool(name), { method: 'PATCH', body: body({ disabled }) })
export const remove = (name: string) => call(tool(name), { method: 'DELETE' })
export const tryTool = (name: string, args: unknown, signal: AbortSignal) => call<Tried>(tool(name) + '/call', { method: 'POST', body: body({ arguments: args }), signal })
export const importing = (request: object, signal: AbortSignal) => call<Report>('/v1/tools/import', { method: 'POST', body: body(request), signal })
export const draft = (curl: string) => call<{ tool: Declaration; warnings: string[] }>('/v1/tools/draft', { method: 'POST', body: body({ curl }) })
export const credentials = () => call<{ credentials: Credential[] }>('/v1/credentials')
export const putCredential = (c: Credential) => call('/v1/credentials/' + encodeURIComponent(c.name), { method: 'PUT', body: body(c) })
export const removeCredential = (name: string) => call('/v1/credentials/' + encodeURIComponent(name), { method: 'DELETE' })
export const connections = () => call<{ connections: { credential: string }[] }>('/v1/connections')
export const disconnect = (name: string) => call('/v1/connections/' + encodeURIComponent(name), { method: 'DELETE' })
