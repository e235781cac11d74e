import { useEffect } from 'preact/hooks'
import { announcement, drawer, isNew, pending, running, show, source, stopAnswer, toast, view } from '../chat/app-state'
import { Composer } from '../chat/Composer'
import { Empty } from '../chat/Empty'
import { SourcePanel } from '../chat/SourcePanel'
import { Thread } from '../chat/Thread'
import { Header } from './Header'
import { Sidebar } from './Sidebar'

export function App() {
  useEffect(() => {
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  const empty = isNew.value && pending.value.length === 0
  return (
    <div class={'app' + (drawer.value ? ' drawer-open' : '')}>
      <a class="skip" href="#composer">Skip to the message box</a>
      <Sidebar />
      <div class="scrim" onClick={() => (drawer.value = false)} />
      <div class="main" inert={drawer.value}>
        <Header />
        <main class="stage">
          {view.value?.conv.missing ? <Missing /> : empty ? <Empty /> : <Thread />}
          <Composer />
        </main>
      </div>
      <SourcePanel />
      <Toast />
      <div class="sr" role="status" aria-live="polite">{announcement.value}</div>
    </div>
  )
}

/** Esc closes what is open, else stops the answer. */
function onKey(e: KeyboardEvent): void {
  if (e.key !== 'Escape' || e.defaultPrevented || e.isComposing) return
  if (document.querySelector('dialog:modal, :popover-open')) return
  if (drawer.value) drawer.value = false
  else if (source.value) source.value = undefined
  else if (running.value) {
    e.preventDefault()
    stopAnswer()
  }
}

function Missing() {
  return (
    <div class="missing">
      <h2>This conversation is not here</h2>
      <p>It was deleted, or it belongs to somebody else.</p>
      <button type="button" class="button" onClick={() => show(undefined)}>Start a new chat</button>
    </div>
  )
}

function Toast() {
  const t = toast.value
  useEffect(() => {
    if (!t || t.act) return
    const timer = setTimeout(() => toast.value === t && (toast.value = undefined), 6_000)
    return () => clearTimeout(timer)
  }, [t])
  return (
    <div class="toasts" role="status">
      {t && (
        <div class="toast">
          <span>{t.text}</span>
          {t.action && <button type="button" onClick={t.act}>{t.action}</button>}
        </div>
      )}
    </div>
  )
}
