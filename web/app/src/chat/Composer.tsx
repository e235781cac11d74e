import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { agents, ask, info, isNew, link, maxMessage, running, stopAnswer, thread, view } from './app-state'
import { loadDraft, saveDraft } from './drafts'
import { attach, attachments, takeFiles, Tray } from './files'
import { number } from '../ui/format'
import * as icons from '../ui/icons'
import { media } from '../ui/media'

const touch = media('(pointer: coarse)')
const size = new TextEncoder()

export function Composer() {
  const box = useRef<HTMLTextAreaElement>(null)
  const [text, setText] = useState(() => loadDraft(thread.value))
  const at = useRef(thread.value)
  const sent = useRef(-1_000) // Stop comes where Send was: a double click is no Stop
  const write = (t: string) => {
    setText(t)
    saveDraft(thread.peek(), t)
  }
  useEffect(() => {
    if (at.current !== thread.value) setText(loadDraft(thread.value))
    at.current = thread.value
    if (!touch.peek()) box.current?.focus()
  }, [thread.value])
  useLayoutEffect(() => fit(box.current!), [text])
  const over = size.encode(text).length - maxMessage.value
  const files = attachments()
  const uploading = files.some((a) => !a.ref && !a.error)
  const filled = text.trim() !== '' || files.some((a) => a.ref)
  const can = filled && over <= 0 && !uploading
  const drop = useDrop()
  const picker = useRef<HTMLInputElement>(null)
  const send = () => {
    if (!can) return
    ask(text.trim(), takeFiles())
    sent.current = performance.now()
    write('')
  }
  if (view.value?.conv.missing) return null
  return (
    <div class="composer-wrap">
      <Hint />
      <PinRow />
      <AgentRow />
      <form class={'composer' + (drop ? ' drop' : '')} onSubmit={(e) => (e.preventDefault(), send())}>
        <Tray />
        <input ref={picker} type="file" multiple hidden onChange={(e) => (attach(e.currentTarget.files), (e.currentTarget.value = ''), box.current?.focus())} />
        <button type="button" class="attach" title="Attach files" aria-label="Attach files" onClick={() => picker.current!.click()}>
          <icons.Clip />
        </button>
        <textarea
          id="composer"
          ref={box}
          rows={1}
          dir="auto"
          value={text}
          placeholder={running.value ? 'Ask the next question' : 'Ask a question'}
          aria-label="Message"
          enterkeyhint={touch.value ? 'enter' : 'send'}
          onInput={(e) => write(e.currentTarget.value)}
          onPaste={(e) => e.clipboardData?.files.length && (e.preventDefault(), attach(e.clipboardData.files))}
          onKeyDown={(e) => sends(e) && (e.preventDefault(), send())}
        />
        {over > -2_000 && <span class={'count' + (over > 0 ? ' bad' : '')} role="status">{over > 0 ? `${number(over)} too many` : `${number(-over)} left`}</span>}
        {running.value && (
          <button type="button" class="stop" title="Stop the answer (Esc)" aria-label="Stop the answer" onClick={() => performance.now() - sent.current > 500 && stopAnswer()}>
            <icons.Stop />
            Stop
          </button>
        )}
        {(!running.value || filled || uploading) && (
          <button type="submit" class="send" aria-disabled={!can} title={uploading ? 'Send: when the files are uploaded' : running.value ? 'Send: it waits for the answer that runs' : 'Send (Enter)'} aria-label="Send">
            <icons.Send />
          </button>
        )}
      </form>
    </div>
  )
}

/** Takes files that are dropped anywhere on the page, which would else show them instead of itself. */
function useDrop(): boolean {
  const [over, setOver] = useState(false)
  useEffect(() => {
    const act = (e: DragEvent) => {
      if (!hasFiles(e.dataTransfer)) return
      e.preventDefault()
      setOver(e.type === 'dragover')
      if (e.type === 'drop') attach(e.dataTransfer!.files)
    }
    const left = (e: DragEvent) => e.relatedTarget || setOver(false)
    document.addEventListener('dragover', act)
    document.addEventListener('drop', act)
    document.addEventListener('dragleave', left)
    return () => {
      document.removeEventListener('dragover', act)
      document.removeEventListener('drop', act)
      document.removeEventListener('dragleave', left)
    }
  }, [])
  return over
}

function hasFiles(t: DataTransfer | null): boolean {
  return !!t?.types.includes('Files')
}

/** Enter sends, but not while an input method composes, and not on a phone. */
export function sends(e: KeyboardEvent): boolean {
  return e.key === 'Enter' && !e.shiftKey && !e.isComposing && e.keyCode !== 229 && !touch.peek()
}

/** As high as its text; the style sheet says how high at most. */
export function fit(box: HTMLTextAreaElement): void {
  if (CSS.supports('field-sizing', 'content')) return
  box.style.height = 'auto'
  box.style.height = box.scrollHeight + 'px'
}

const pins = signal<typeof import('./Pins') | undefined>(undefined) // most servers have no feeds

function PinRow() {
  const some = info.value?.feeds && !isNew.value
  useEffect(() => void (some && (pins.peek() ?? import('./Pins').then((m) => (pins.value = m), () => {}))), [some])
  const Pins = pins.value?.Pins
  return some && Pins ? <Pins key={thread.value} c={thread.value} /> : null
}

const chooser = signal<typeof import('./Agents') | undefined>(undefined) // most servers have one agent

function AgentRow() {
  const some = agents.value.length > 1 && isNew.value
  useEffect(() => void (some && (chooser.peek() ?? import('./Agents').then((m) => (chooser.value = m), () => {}))), [some])
  const Chooser = chooser.value?.Chooser
  return some && Chooser ? <Chooser /> : null
}

function Hint() {
  if (link.value === 'refused')
    return (
      <p class="hint bad">
        The server asks for a new sign-in. <button type="button" onClick={() => location.reload()}>Reload</button>
      </p>
    )
  if (link.value === 'offline') return <p class="hint">You are offline. What you send is kept and goes out when the connection is back.</p>
  return null
}
