import { useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { fresh, pending, pulse, session, view } from './app-state'
import type { ConvView } from './view'
import type { OutItem } from '../core/outbox'
import type { Message } from '../core/protocol'
import { Follow } from './follow'
import { Turn } from './Turn'
import * as icons from '../ui/icons'
import { link } from './app-state'

export function Thread() {
  const v = view.value
  const box = useRef<HTMLDivElement>(null)
  const follow = useMemo(() => new Follow(() => v && void session.history(v.conv)), [v])
  useLayoutEffect(() => follow.attach(box.current!), [follow])
  useLayoutEffect(() => follow.toEnd(), [fresh.value, follow])
  return (
    <div class="thread" ref={box} tabIndex={-1}>
      <div class="column">
        {v && <Turns view={v} follow={follow} />}
        {v && <Queued view={v} />}
        <Pending />
      </div>
      <ToNewest follow={follow} />
    </div>
  )
}

function Turns({ view, follow }: { view: ConvView; follow: Follow }) {
  const keys = view.turns.value
  const first = useRef(keys[0])
  useLayoutEffect(() => {
    if (first.current !== undefined && first.current !== keys[0]) follow.prepended()
    first.current = keys[0]
  }, [keys[0]])
  return (
    <>
      <Top view={view} />
      {keys.map((k) => <Turn key={k} id={k} view={view} />)}
    </>
  )
}

function Top({ view }: { view: ConvView }) {
  void pulse.value
  const c = view.conv
  if (!c.ready) return <p class="loading" role="status">Opening the conversation …</p>
  return c.loading ? <p class="loading">Fetching older messages …</p> : null
}

function Queued({ view }: { view: ConvView }) {
  return (
    <>
      {view.queued.value.map((m: Message) => (
        <section class="turn queued" key={m.id}>
          <div class="question" dir="auto">{m.content}</div>
          <p class="sending">waits for the answer above</p>
        </section>
      ))}
    </>
  )
}

function Pending() {
  const items = pending.value
  const last = items[items.length - 1]
  return (
    <>
      {items.map((i) => (
        <section class={'turn pending' + (i === last && i.key === fresh.value ? ' tall' : '')} key={i.key}>
          <div class="question" dir="auto">{i.cmd.type === 'send' && i.cmd.msg.content}</div>
          <Sending item={i} />
        </section>
      ))}
    </>
  )
}

function Sending({ item }: { item: OutItem }) {
  if (item.problem)
    return (
      <div class="notice bad" role="alert">
        <icons.Warn />
        <span>Not sent. {item.problem.detail || item.problem.title}</span>
        <button type="button" class="button small" onClick={() => session.outbox.retry(item.key)}>Try again</button>
        <button type="button" class="button small quiet" onClick={() => session.outbox.remove(item.key)}>Discard</button>
      </div>
    )
  const waits = link.value !== 'live'
  return <p class="sending">{waits ? 'kept here; sent when the connection is back' : item.sent ? 'sent' : 'sending …'}</p>
}

function ToNewest({ follow }: { follow: Follow }) {
  if (follow.atEnd.value) return null
  return (
    <div class="newest">
      <button type="button" onClick={() => follow.toEnd(true)}>
        <icons.Down />
        To newest
      </button>
    </div>
  )
}
