import { useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { ahead, fresh, pending, pulse, replacing, session, view } from './app-state'
import type { ConvView } from './view'
import type { OutItem } from '../core/outbox'
import { Files } from './files'
import type { FileRef, Message } from '../core/protocol'
import { Follow } from './follow'
import { Turn } from './Turn'
import { waits } from '../ui/format'
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
  const all = view.turns.value
  const edited = all.indexOf(replacing.value ?? '')
  const keys = edited < 0 ? all : all.slice(0, edited) // the rest is on its way out
  const first = useRef(keys[0])
  useLayoutEffect(() => {
    if (first.current !== keys[0] && keys.includes(first.current ?? '')) follow.prepended()
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
          <div class="said">
            <Files files={m.metadata?.parley.files} label="Attached files" />
            {m.content && <div class="question" dir="auto">{m.content}</div>}
          </div>
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
          <div class="said">
            <Files files={filesOf(i)} label="Attached files" />
            {contentOf(i) && <div class="question" dir="auto">{contentOf(i)}</div>}
          </div>
          <Sending item={i} first={i === items[0]} />
        </section>
      ))}
      {!items.length && <Waits />}
    </>
  )
}

function contentOf(i: OutItem): string {
  return i.cmd.type === 'send' ? i.cmd.msg.content : i.cmd.type === 'edit' ? i.cmd.content : ''
}

/** The files of a question that is not in the log yet; an edit keeps those that it finds. */
function filesOf(i: OutItem): FileRef[] | undefined {
  return i.cmd.type === 'edit' ? view.peek()?.message(i.cmd.messageId).peek().metadata?.parley.files : i.files
}

function Sending({ item, first }: { item: OutItem; first: boolean }) {
  if (item.problem)
    return (
      <div class="notice bad" role="alert">
        <icons.Warn />
        <span>Not sent. {item.problem.detail || item.problem.title}</span>
        <button type="button" class="button small" onClick={() => session.outbox.retry(item.key)}>Try again</button>
        <button type="button" class="button small quiet" onClick={() => session.outbox.remove(item.key)}>Discard</button>
      </div>
    )
  if (first && item.sent && link.value === 'live' && ahead.value !== undefined) return <Waits />
  return <p class="sending">{link.value !== 'live' ? 'kept here; sent when the connection is back' : item.sent ? 'sent' : 'sending …'}</p>
}

/** The place of a question that waits for an answer to begin. */
function Waits() {
  const n = ahead.value
  return n === undefined || link.value !== 'live' ? null : <p class="sending place">{waits(n)}</p>
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
