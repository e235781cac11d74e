// A gateway that lives in the test: it serves dist, answers the HTTP calls and
// speaks parley.v1 to one page, entry by entry as the test says.

import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import type { Page, WebSocketRoute } from 'playwright-core'
import type { Entry, Event, Message, Metadata, Source, State } from '../../src/core/protocol'
import { apply, emptyState } from '../../src/core/store'

const dist = join(import.meta.dirname, '../../../dist')
const types: Record<string, string> = { js: 'text/javascript', css: 'text/css', html: 'text/html', svg: 'image/svg+xml', woff2: 'font/woff2' }
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify parley"

/** Serves the built page. */
export function serveDist(): Promise<{ url: string; server: Server }> {
  const server = createServer((req, res) => {
    const path = new URL(req.url!, 'http://x').pathname
    const file = path.startsWith('/_/') ? path.slice(path.indexOf('/', 3) + 1) : 'index.html'
    try {
      let body: Buffer | string = readFileSync(join(dist, file))
      if (file === 'index.html') body = body.toString().replaceAll('"./', '"/_/x/')
      res.writeHead(200, { 'content-type': types[file.split('.').pop()!] ?? 'text/plain', 'content-security-policy': policy })
      res.end(body)
    } catch {
      res.writeHead(404).end()
    }
  })
  return new Promise((ok) => server.listen(0, '127.0.0.1', () => ok({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, server })))
}

interface Heard {
  type: string
  id: string
  c?: string
  msg?: { clientId: string; content: string }
  [key: string]: unknown
}

export class FakeGateway {
  demo = true
  state: State = emptyState()
  heard: Heard[] = []
  onSend: (text: string) => void = () => {}
  conversations: { id: string; title: string; created: string; updated: string }[] = []
  documents: Record<string, { id: string; title: string; text: string }> = {}
  older: Message[] = []
  refuse = false
  busy = false // somebody else's question is being answered
  full = false // there is no free place: nothing of a question is in the log yet
  private sockets = new Set<WebSocketRoute>()
  private n = 0
  private run = ''
  private messageId = 0
  private waiters: (() => void)[] = []

  async install(page: Page): Promise<void> {
    await page.route('**/v1/**', (route) => {
      const url = new URL(route.request().url())
      const doc = /^\/v1\/documents\/(.+)$/.exec(url.pathname)
      if (url.pathname === '/v1/info') return route.fulfill({ json: { name: 'Parley', build: 'v1.0.0', model: 'gpt-5-mini', demo: this.demo, limits: { maxMessage: 32768 } } })
      if (url.pathname === '/v1/conversations') return route.fulfill({ json: { conversations: this.conversations } })
      const one = this.conversations.find((c) => url.pathname === '/v1/conversations/' + c.id)
      if (one && route.request().method() === 'PATCH') one.title = (route.request().postDataJSON() as { title: string }).title
      if (doc && this.documents[doc[1]!]) return route.fulfill({ json: this.documents[doc[1]!] })
      return route.fulfill({ status: 204 })
    })
    await page.routeWebSocket('**/v1/ws', (ws) => {
      if (this.refuse) return void ws.close({ code: 1013 })
      this.sockets.add(ws)
      ws.onMessage((data) => this.hear(ws, JSON.parse(String(data)) as Heard))
      ws.onClose(() => this.sockets.delete(ws))
    })
  }

  /** Drops every connection. */
  async cut(): Promise<void> {
    for (const ws of this.sockets) await ws.close({ code: 1012 })
    this.sockets.clear()
  }

  /** Waits until a command of a type was heard. */
  async until(type: string): Promise<Heard> {
    for (;;) {
      const h = this.heard.find((h) => h.type === type)
      if (h) return h
      await new Promise<void>((ok) => this.waiters.push(ok))
    }
  }

  private hear(ws: WebSocketRoute, h: Heard): void {
    this.heard.push(h)
    const say = (o: object) => ws.send(JSON.stringify({ id: h.id, ...o }))
    if (h.type === 'hello') say({ type: 'welcome', session: 's1', build: 'v1.0.0', maxFrame: 65536, maxMessage: 32768, pingMs: 15000 })
    else if (h.type === 'ping') say({ type: 'pong' })
    else if (h.type === 'sub') say({ type: 'sub.ok', c: h.c, head: this.at(), recovered: false, snapshot: this.state, at: this.at(), older: this.older.length ? this.state.messages[0]?.id : undefined })
    else if (h.type === 'history') say({ type: 'ok', messages: this.older })
    else if (h.type === 'send') this.hearSaid(h.msg!, say)
    else if (h.type === 'edit') this.hearSaid({ clientId: h.clientId as string, content: h.content as string }, say, h.messageId as string)
    else say({ type: 'ok', run: 'r-again' })
    for (const w of this.waiters.splice(0)) w()
  }

  private hearSaid(msg: { clientId: string; content: string }, say: (o: object) => void, edits?: string): void {
    if (edits && this.busy) return say({ type: 'err', problem: { title: 'Conflict', status: 409, code: 'busy', detail: 'The answer is still being written.' } })
    const id = 'u' + ++this.messageId
    const twice = this.heard.filter((o) => (o.msg?.clientId ?? o.clientId) === msg.clientId).length > 1
    say({ type: 'ok', c: 'c1', messageId: id, run: 'r' + id })
    if (twice || this.full) return
    const said: Message = { id, role: 'user', content: msg.content, metadata: { parley: { clientId: msg.clientId, edits, at: Date.now() } } }
    const queued = this.state.run?.status === 'running'
    this.emit({ type: queued ? 'conversation.queued' : 'conversation.message', said })
    if (queued) return
    this.begin('r' + id, id)
    this.onSend(msg.content)
  }

  private at(): string {
    return '7-' + this.n
  }

  /** Writes one event to the log and to the page. */
  emit(ev: Event): void {
    this.n++
    const e: Entry = { at: this.at(), run: this.run || undefined, try: 1, ts: Date.now(), ev }
    apply(this.state, e)
    for (const ws of this.sockets) ws.send(JSON.stringify({ type: 'ev', c: 'c1', items: [e] }))
  }

  /** Tells the page how many come before its question. */
  place(ahead: number): void {
    for (const ws of this.sockets) ws.send(JSON.stringify({ type: 'eph', c: 'c1', kind: 'queue', data: { ahead } }))
  }

  snap(state: State): void {
    this.state = state
    for (const ws of this.sockets) ws.send(JSON.stringify({ type: 'snap', c: 'c1', at: this.at(), snapshot: state, reason: 'rollback' }))
  }

  begin(run: string, question: string, replaces?: string): void {
    this.run = run
    this.emit({ type: 'RUN_STARTED', threadId: 'c1', runId: run, metadata: { parley: { question, replaces } } })
  }

  text(id: string, ...pieces: string[]): void {
    this.emit({ type: 'TEXT_MESSAGE_START', messageId: id, role: 'assistant' })
    for (const delta of pieces) this.emit({ type: 'TEXT_MESSAGE_CONTENT', messageId: id, delta })
  }

  call(id: string, name: string, args: object, where: { method: string; host: string }, parent = 'm-' + this.run): void {
    this.emit({ type: 'TOOL_CALL_START', toolCallId: id, toolCallName: name, parentMessageId: parent, metadata: { parley: where } })
    this.emit({ type: 'TOOL_CALL_ARGS', toolCallId: id, delta: JSON.stringify(args) })
    this.emit({ type: 'TOOL_CALL_END', toolCallId: id })
  }

  result(id: string, content: string, outcome: NonNullable<Metadata['parley']['outcome']>, sources?: Source[]): void {
    this.emit({ type: 'TOOL_CALL_RESULT', messageId: 'res-' + id, toolCallId: id, content, role: 'tool', metadata: { parley: { outcome, sources } } })
  }

  finish(outcome = 'success'): void {
    this.emit({
      type: 'RUN_FINISHED', threadId: 'c1', runId: this.run, outcome: { type: outcome },
      usage: [{ model: 'gpt-5-mini', inputTokens: 1210, outputTokens: 164, totalTokens: 1374 }],
      metadata: { parley: { model: this.demo ? 'demo' : 'gpt-5-mini', tookMs: 1934 } },
    })
  }

  fail(code: string, message: string): void {
    this.emit({ type: 'RUN_ERROR', runId: this.run, code, message, metadata: { parley: { model: 'gpt-5-mini', tookMs: 5012 } } })
  }
}
