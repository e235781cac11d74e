// The HTTP side: the list of conversations, documents, and who is answering.

import { ProblemError, type Problem } from '../core/protocol'

export interface ConversationInfo {
  id: string
  title: string
  created: string
  updated: string
  waiting?: boolean // for somebody to decide
  agent?: string // that answers; none: the default
}

export interface Info {
  name: string
  build: string
  model: string
  demo: boolean
  feeds?: boolean // there are some to pin
  agents?: boolean // there is more to know of them than that there is one
  limits?: { maxMessage?: number; maxFile?: number; maxFiles?: number }
}

export interface Document {
  id: string
  title: string
  text: string
}

/** Calls the server; what it refuses is a ProblemError. */
export async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const r = await fetch(path, { credentials: 'same-origin', headers: init?.body ? { 'content-type': 'application/json' } : undefined, ...init })
  if (r.ok) return (r.status === 204 ? undefined : await r.json()) as T
  const problem = (await r.json().catch(() => null)) as Problem | null
  throw new ProblemError(problem?.title ? problem : { title: `The server answered ${r.status}.`, status: r.status, code: 'unavailable' })
}

const conversation = (id: string) => '/v1/conversations/' + encodeURIComponent(id)

export function listConversations(after?: string): Promise<{ conversations: ConversationInfo[]; next?: string }> {
  const q = new URLSearchParams({ limit: '50' })
  if (after) q.set('after', after)
  return call('/v1/conversations?' + q)
}

export function renameConversation(id: string, title: string): Promise<void> {
  return call(conversation(id), { method: 'PATCH', body: JSON.stringify({ title }) })
}

/** keepalive: it is sent even while the page goes away. */
export function deleteConversation(id: string): Promise<void> {
  return call(conversation(id), { method: 'DELETE', keepalive: true })
}

/** A feed that a conversation has pinned, or could pin. */
export interface Feed {
  name: string
  description: string
  pinned: boolean
  now?: { asOf: string; stale?: boolean; note?: string; latest?: { value: unknown; at: string; age: string } }
}

export function listFeeds(id: string): Promise<{ feeds: Feed[] }> {
  return call(conversation(id) + '/feeds')
}

/** The tools that a conversation does not ask about any more. */
export function listAllowances(id: string): Promise<{ allowances: { tool: string }[] }> {
  return call(conversation(id) + '/allowances')
}

/** Has a conversation ask about a tool again. */
export function disallow(id: string, tool: string): Promise<void> {
  return call(conversation(id) + '/allowances/' + encodeURIComponent(tool), { method: 'DELETE' })
}

/** What everybody may know of an agent. The first is the default. */
export interface Agent {
  name: string
  title?: string
  description?: string
  questions?: string[]
}

export function agents(): Promise<{ agents: Agent[] }> {
  return call('/v1/agents')
}

export function info(): Promise<Info> {
  return call('/v1/info')
}

export function fetchDocument(id: string): Promise<Document> {
  return call('/v1/documents/' + encodeURIComponent(id))
}
