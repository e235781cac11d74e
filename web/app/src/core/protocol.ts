// The wire: entries of a conversation's log, messages, and the frames of
// subprotocol parley.v1. Field names are those of the Go package gateway/chat.

export type Role = 'system' | 'user' | 'assistant' | 'tool' | 'reasoning'

export interface Usage {
  model?: string
  inputTokens?: number
  outputTokens?: number
  totalTokens?: number
  costMicros?: number // in millionths of a US dollar
  unpricedTokens?: number // whose price is not known
  estimatedTokens?: number // that nobody has counted
}

/** A file that is kept, without what is in it. */
export interface FileRef {
  id: string
  name: string
  media: string
  size: number
}

export interface Outcome {
  method?: string
  host?: string
  status?: number
  latencyMs: number
  requests?: number
  retries?: number
  breaker?: string
  cache?: 'hit' | 'revalidated' | 'stale'
  ageMs?: number
  bytes?: number
  cut?: boolean
  failed?: boolean
  reason?: string
  files?: FileRef[]
}

/** A passage that an answer cites as [ref]. Offsets count code points. */
export interface Source {
  ref: string
  document: string
  title: string
  headings?: string[]
  text: string
  start: number
  end: number
}

export type AnswerStatus = 'resolved' | 'cancelled' | 'expired'

/** What became of an interrupt. */
export interface Answered {
  interruptId: string
  status: AnswerStatus
  payload?: Record<string, unknown>
  by?: string
  at?: number
}

/** Something that a run waits for and a person decides, as AG-UI 1.0 has it. */
export interface Interrupt {
  id: string
  reason: string // tool_call, input_required, parley:connect
  message?: string
  toolCallId?: string
  responseSchema?: Record<string, unknown>
  expiresAt: string
  metadata?: { parley: { tool?: string; method?: string; host?: string; url?: string } }
}

/** What was said up to a message, in short: the model is shown it instead. */
export interface Summary {
  text: string
  model?: string
  at?: number
}

/** Whether an answer has the format that was asked for. */
export interface Formatted {
  name: string
  valid?: boolean
}

export interface Details {
  summary?: Summary
  format?: Formatted // of a run's beginning: nothing is valid yet
  run?: string
  at?: number
  clientId?: string
  edits?: string
  files?: FileRef[]
  question?: string
  replaces?: string
  method?: string
  host?: string
  effect?: string
  answers?: Answered[]
  outcome?: Outcome
  sources?: Source[]
  status?: string
  failure?: { code: string; message: string }
  model?: string
  usage?: Usage
  finish?: string // why the model ended, if not because it was done
  tookMs?: number
  unseen?: { fileId: string; name: string; reason: string }[] // files that the model was not shown
  missed?: Missed[]
  agent?: AgentRef // that answers; none: the default, as the settings describe it
}

export interface AgentRef {
  name: string
  version?: number
  instead?: string // of this one, which is no more
}

/** A model that should have answered and did not. */
export interface Missed {
  model: string
  kind: string
  began?: boolean
}

export interface Metadata {
  parley: Details
}

export interface ToolCall {
  id: string
  type: string
  function: { name: string; arguments: string }
  metadata?: Metadata
}

export interface Message {
  id: string
  role: Role
  content?: string
  toolCalls?: ToolCall[]
  toolCallId?: string
  error?: string
  metadata?: Metadata
}

export type RunStatus = 'accepted' | 'running' | 'waiting' | 'finished' | 'cancelled' | 'failed'

export interface Run {
  id: string
  question?: string
  status: RunStatus
  try: number
  started?: number
  handed?: number // tries that ended since their writer gave the run up in good order
  agent?: AgentRef
  format?: string // that the answer is to have; none for text
}

export interface State {
  messages: Message[]
  queued?: Message[]
  run?: Run
  open?: string[]
  by?: string // the model that writes the open text, if it can go on with it
  title?: string
  pins?: string[] // feeds, by name
  interrupts?: Interrupt[] // what the run waits for
  suggestions?: string[] // what could be asked next
  deleted?: boolean // there is nothing more, and nothing comes
}

export interface Event {
  type: string
  threadId?: string
  runId?: string
  messageId?: string
  role?: Role
  delta?: string
  toolCallId?: string
  toolCallName?: string
  parentMessageId?: string
  content?: string
  outcome?: { type: string; interrupts?: Interrupt[] }
  answered?: Answered
  message?: string
  code?: string
  usage?: Usage[]
  snapshot?: State
  said?: Message
  try?: number
  title?: string
  pins?: string[]
  summary?: Summary
  suggestions?: string[]
  metadata?: Metadata
}

export interface Entry {
  at: string
  run?: string
  try?: number
  ts: number
  ev: Event
}

export interface Problem {
  type?: string
  title: string
  status: number
  detail?: string
  field?: string
  code: string
  retryMs?: number
}

/** What the client asks; the connection adds the id. */
export type Command =
  | { type: 'sub'; c: string; after?: string }
  | { type: 'unsub'; c: string }
  | { type: 'send'; c?: string; agent?: string; msg: { clientId: string; content: string; files?: string[] } }
  | { type: 'cancel'; c: string; run: string }
  | { type: 'regenerate'; c: string; messageId: string; clientId: string }
  | { type: 'edit'; c: string; messageId: string; clientId: string; content: string }
  | { type: 'answer'; c: string; answers: { interruptId: string; status: 'resolved' | 'cancelled'; payload?: object }[] }
  | { type: 'pin' | 'unpin'; c: string; feed: string }
  | { type: 'history'; c: string; before?: string; limit: number }
  | { type: 'ping' }

/** Any answer to a command. Which fields are set follows from type. */
export interface Reply {
  type: string
  id: string
  c?: string
  head?: string
  recovered?: boolean
  snapshot?: State
  at?: string
  older?: string
  messageId?: string
  run?: string
  messages?: Message[]
  next?: string
  problem?: Problem
}

export interface Welcome {
  type: 'welcome'
  session: string
  build: string
  maxFrame: number
  maxMessage: number
  pingMs: number
  resumeMs: number
}

/** What the server says unasked. */
export type Push =
  | { type: 'ev'; c: string; items: Entry[] }
  | { type: 'snap'; c: string; at: string; snapshot: State; reason: string }
  | { type: 'eph'; c: string; kind: string; data: { ahead?: number } } // no part of the conversation; may be lost
  | { type: 'beat'; late?: boolean }
  | { type: 'bye'; reason: string; retryMs?: number }

/** An error that the server answered with. */
export class ProblemError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail || problem.title)
    this.problem = problem
  }
}

/** The connection went before an answer came; the command may have arrived. */
export class LostError extends Error {
  constructor() {
    super('The connection was lost.')
  }
}
