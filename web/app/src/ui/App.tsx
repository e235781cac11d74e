import { signal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import { announcement, drawer, isNew, pending, place, running, show, source, stopAnswer, toast, view } from '../chat/app-state'
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
      <a class="skip" href={place.value ? '#console' : '#composer'}>{place.value ? 'Skip to the console' : 'Skip to the message box'}</a>
      <Sidebar />
      <div class="scrim" onClick={() => (drawer.value = false)} />
      <div class="main" inert={drawer.value}>
        {place.value === undefined ? (
          <>
            <Header />
            <main class="stage">
              {view.value?.conv.missing ? <Missing /> : empty ? <Empty /> : <Thread />}
              <Composer />
            </main>
          </>
        ) : (
          <ConsolePlace />
        )}
      </div>
      <SourcePanel />
      <Toast />
      <div class="sr" role="status" aria-live="polite">{announcement.value}</div>
    </div>
  )
}

const consolePage = signal<ComponentType | undefined>(undefined)

/** The console is a file of its own: who only chats does not load it. */
function ConsolePlace() {
  useEffect(() => {
    import('../console/console').then(
      (m) => (consolePage.value = m.Console),
      () => (toast.value = { text: 'The console could not be loaded.', action: 'Reload', act: () => location.reload() }),
    )
  }, [])
  const Console = consolePage.value
  return Console ? <Console /> : <main class="stage" />
}

/** Esc closes what is open, else stops the answer. */
function onKey(e: KeyboardEvent): void {
  if (e.key !== 'Escape' || e.defaultPrevented || e.isComposing) return
  if (document.querySelector('dialog:modal, :popover-open')) return
  if (drawer.value) drawer.value = false
  else if (source.value) source.value = undefined
  else if (running.value && place.value === undefined) {
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
