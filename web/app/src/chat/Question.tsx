import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { edit, editing, maxMessage, pending, running, view } from './app-state'
import { fit, sends } from './Composer'
import { Files } from './files'
import type { Message } from '../core/protocol'
import { dateTime, number } from '../ui/format'
import * as icons from '../ui/icons'
import { media } from '../ui/media'

const touch = media('(pointer: coarse)')
const size = new TextEncoder()

/** What a person asked, and the way to ask it in other words. */
export function Question({ m, newest }: { m: Message; newest: boolean }) {
  const open = editing.value?.id === m.id
  const button = useRef<HTMLButtonElement>(null)
  const was = useRef(open)
  useLayoutEffect(() => {
    if (was.current && !open && document.activeElement === document.body) button.current?.focus({ preventScroll: true })
    was.current = open
  }, [open])
  const at = m.metadata?.parley.at
  return (
    <div class="asked">
      <h2 class="sr">You</h2>
      {open ? (
        <Editor m={m} newest={newest} />
      ) : (
        <>
          <div class="said">
            <Files files={m.metadata?.parley.files} label="Attached files" />
            {m.content && <div class="question" dir="auto" title={at ? dateTime(at) : undefined}>{m.content}</div>}
          </div>
          <button
            type="button"
            class="icon edit"
            ref={button}
            title={busy() ? 'Edit: when the answer has ended' : 'Edit'}
            aria-label="Edit the question"
            aria-disabled={busy()}
            onClick={() => busy() || (editing.value = { id: m.id, text: m.content ?? '' })}
          >
            <icons.Pencil />
          </button>
        </>
      )}
    </div>
  )
}

/** Whether something is answered or waits: a question can then not be edited. */
function busy(): boolean {
  return running.value || pending.value.length > 0 || !!view.value?.queued.value.length
}

function Editor({ m, newest }: { m: Message; newest: boolean }) {
  const box = useRef<HTMLTextAreaElement>(null)
  const [text, setText] = useState(editing.peek()?.text ?? '')
  useLayoutEffect(() => {
    box.current!.focus()
    box.current!.setSelectionRange(text.length, text.length)
  }, [])
  useLayoutEffect(() => fit(box.current!), [text])
  const over = size.encode(text).length - maxMessage.value
  const can = !busy() && text.trim() !== '' && text.trim() !== m.content?.trim() && over <= 0
  const cancel = () => (editing.value = undefined)
  const send = () => {
    if (!can) return
    const next = touch.peek() ? document.querySelector<HTMLElement>('.thread') : document.getElementById('composer') // a phone's keyboard goes
    next?.focus({ preventScroll: true })
    edit(m.id, text.trim())
  }
  const key = (e: KeyboardEvent) => {
    if (e.key === 'Escape' && !e.isComposing) return e.preventDefault(), cancel()
    if (sends(e) || (e.key === 'Enter' && (e.ctrlKey || e.metaKey))) return e.preventDefault(), send()
  }
  const note = 'note-' + m.id
  return (
    <form class="editor" aria-label="Edit the question" onSubmit={(e) => (e.preventDefault(), send())}>
      <textarea ref={box} rows={1} dir="auto" value={text} aria-label="Your question" aria-describedby={note} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={key} />
      <div class="editor-foot">
        <p class={over > 0 ? 'bad' : ''} id={note}>{over > 0 ? `${number(over)} too many` : busy() ? 'An answer is being written.' : newest ? 'The answer below is replaced.' : 'Everything below is replaced.'}</p>
        <button type="button" class="button small quiet" onClick={cancel}>Cancel</button>
        <button type="submit" class="button small" aria-disabled={!can}>Send</button>
      </div>
    </form>
  )
}
