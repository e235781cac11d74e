// The part of the fold that is about tool calls; see gateway/chat/state_tool.go.

import type { Details, Entry, Message, State, ToolCall } from './protocol'
import { add, dropEmpty, place } from './store'

export function applyTool(s: State, e: Entry): void {
  switch (e.ev.type) {
    case 'TOOL_CALL_START':
      return callStart(s, e)
    case 'TOOL_CALL_ARGS':
      return callArgs(s, e)
    case 'TOOL_CALL_RESULT':
      return callResult(s, e)
    case 'conversation.answered':
      return answered(s, e)
  }
}

function callStart(s: State, e: Entry): void {
  const ev = e.ev
  const callId = ev.toolCallId ?? ''
  if (findCall(s, callId)) return
  const id = ev.parentMessageId || callId
  let i = place(s, id)
  if (i < 0) i = add(s, { id, role: 'assistant' }, e.run, e.ts)
  const call: ToolCall = { id: callId, type: 'function', function: { name: ev.toolCallName ?? '', arguments: '' } }
  if (ev.metadata) call.metadata = ev.metadata
  const m = s.messages[i]!
  s.messages[i] = { ...m, toolCalls: [...(m.toolCalls ?? []), call] }
}

function callArgs(s: State, e: Entry): void {
  const found = findCall(s, e.ev.toolCallId ?? '')
  if (!found) return
  const m = s.messages[found.message]!
  const toolCalls = [...m.toolCalls!]
  const c = toolCalls[found.call]!
  toolCalls[found.call] = { ...c, function: { ...c.function, arguments: c.function.arguments + (e.ev.delta ?? '') } }
  s.messages[found.message] = { ...m, toolCalls }
}

/** Notes on a call what was answered when it asked, once. */
function answered(s: State, e: Entry): void {
  const a = e.ev.answered
  if (!a) return
  s.interrupts = dropEmpty(s.interrupts?.filter((i) => i.id !== a.interruptId))
  const found = findCall(s, e.ev.toolCallId ?? '')
  if (!found) return
  const m = s.messages[found.message]!
  const toolCalls = [...m.toolCalls!]
  const c = toolCalls[found.call]!
  const had = c.metadata?.parley.answers ?? []
  if (had.some((h) => h.interruptId === a.interruptId)) return
  toolCalls[found.call] = { ...c, metadata: { parley: { ...c.metadata?.parley, answers: [...had, a] } } }
  s.messages[found.message] = { ...m, toolCalls }
}

/**
 * Puts a result behind the message that made the call, in the order of that
 * message's calls, whichever came first.
 */
function callResult(s: State, e: Entry): void {
  const ev = e.ev
  const callId = ev.toolCallId ?? ''
  if (s.messages.some((m) => (m.toolCallId ?? '') === callId)) return
  const d: Details = { ...ev.metadata?.parley }
  d.run = e.run || undefined
  d.at = e.ts || undefined
  const m: Message = { id: ev.messageId ?? '', role: 'tool', content: ev.content || undefined, metadata: { parley: d } }
  if (callId) m.toolCallId = callId
  if (d.outcome?.failed && d.outcome.reason) m.error = d.outcome.reason
  s.messages.splice(placeOfResult(s, callId), 0, m)
}

function placeOfResult(s: State, callId: string): number {
  const found = findCall(s, callId)
  if (!found) return s.messages.length
  const before = s.messages[found.message]!.toolCalls!.slice(0, found.call).map((c) => c.id)
  let at = found.message + 1
  while (at < s.messages.length && before.includes(s.messages[at]!.toolCallId ?? '')) at++
  return at
}

function findCall(s: State, id: string): { message: number; call: number } | undefined {
  for (let i = s.messages.length - 1; i >= 0; i--) {
    const call = s.messages[i]!.toolCalls?.findIndex((c) => c.id === id) ?? -1
    if (call >= 0) return { message: i, call }
  }
}
