// A server at the other end of a socket, by hand.

import type { Socket } from '../../src/core/conn'
import type { Command } from '../../src/core/protocol'

export type Sent = { [K in Command as K['type']]: K & { id: string } }[Command['type']] | { type: 'hello'; id: string }

export class FakeSocket implements Socket {
  readyState = 0
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  onerror: Socket['onerror'] = null
  sent: Sent[] = []
  closed = false

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Sent)
  }
  close(): void {
    this.closed = true
    this.readyState = 3
  }

  open(): void {
    this.readyState = 1
    this.onopen?.()
  }
  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }
  drop(code = 1006): void {
    this.readyState = 3
    this.onclose?.({ code, reason: '' })
  }
  /** Opens and welcomes. */
  welcome(more: object = {}): void {
    this.open()
    this.say({ type: 'welcome', id: this.sent[0]!.id, session: 's', build: 'dev', maxFrame: 65536, maxMessage: 32768, pingMs: 15000, ...more })
  }
  of<T extends Sent['type']>(type: T): Extract<Sent, { type: T }>[] {
    return this.sent.filter((s) => s.type === type) as Extract<Sent, { type: T }>[]
  }
  answer(type: Sent['type'], more: object): void {
    const asked = this.of(type).at(-1)!
    this.say({ type: 'ok', id: asked.id, ...more })
  }
}

export class Server {
  sockets: FakeSocket[] = []
  dial = (): FakeSocket => {
    const s = new FakeSocket()
    this.sockets.push(s)
    return s
  }
  get last(): FakeSocket {
    return this.sockets[this.sockets.length - 1]!
  }
}

export class Shelf {
  kept = new Map<string, string>()
  getItem = (k: string): string | null => this.kept.get(k) ?? null
  setItem = (k: string, v: string): void => void this.kept.set(k, v)
}
