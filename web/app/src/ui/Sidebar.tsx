import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { drawer, go, info, isNew, listed, moreConversations, nextPage, place, remove, rename, show, thread, title as shownTitle, toast } from '../chat/app-state'
import { disallow, listAllowances, type ConversationInfo } from './api'
import { dateTime, dayGroup } from './format'
import * as icons from './icons'
import { media } from './media'
import { ThemeSwitch } from './Theme'

const renaming = signal('')
const menuOf = signal('')
const allowed = signal<string[]>([]) // tools that the conversation of the menu does not ask about
const unread = signal(false) // it could not be asked which those are
const narrow = media('(max-width: 800px)')

export function Sidebar() {
  const first = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (drawer.value) first.current?.focus()
  }, [drawer.value])
  return (
    <aside class="sidebar" aria-label="Conversations" inert={narrow.value && !drawer.value}>
      <div class="brand">
        <icons.Mark />
        <span>Parley</span>
        <button type="button" class="icon only-narrow" aria-label="Close" onClick={() => (drawer.value = false)}>
          <icons.Close />
        </button>
      </div>
      <button ref={first} type="button" class="new" aria-current={isNew.value && !place.value ? 'page' : undefined} onClick={newChat}>
        <icons.Plus />
        New chat
      </button>
      <nav class="list" aria-label="Earlier conversations">
        <List />
      </nav>
      <a class="new to-console" href="/console/tools" aria-current={place.value ? 'page' : undefined} onClick={(e) => open(e)}>
        <icons.Plug />
        Tools
      </a>
      <div class="foot">
        <ThemeSwitch />
        {info.value && <span class="build" title="The build that answers">{info.value.build}</span>}
      </div>
      <RowMenu />
    </aside>
  )
}

function newChat(): void {
  show(undefined)
  drawer.value = false
  document.getElementById('composer')?.focus()
}

function List() {
  const list = listed.value
  if (!list) return null
  if (!list.length) return <p class="none">Your conversations will stand here.</p>
  return (
    <>
      {groups(list).map(([day, items]) => (
        <section key={day}>
          <h2>{day}</h2>
          <ul>{items.map((c) => <Row key={c.id} c={c} />)}</ul>
        </section>
      ))}
      {nextPage.value && <button type="button" class="more" onClick={() => void moreConversations().catch(() => {})}>Show older</button>}
    </>
  )
}

function groups(list: ConversationInfo[]): [string, ConversationInfo[]][] {
  const by = new Map<string, ConversationInfo[]>()
  const now = Date.now()
  for (const c of [...list].sort((a, b) => Date.parse(b.updated) - Date.parse(a.updated))) {
    const day = dayGroup(Date.parse(c.updated), now)
    by.set(day, [...(by.get(day) ?? []), c])
  }
  return [...by]
}

function Row({ c }: { c: ConversationInfo }) {
  const current = thread.value === c.id && !place.value
  if (renaming.value === c.id) return <li><Rename c={c} /></li>
  const title = c.title || (current && shownTitle.value) || 'Untitled'
  return (
    <li class={current ? 'current' : ''}>
      <a href={'/c/' + encodeURIComponent(c.id)} aria-current={current ? 'page' : undefined} title={`${title}\n${dateTime(Date.parse(c.updated))}`} dir="auto" onClick={(e) => open(e, c.id)}>
        {c.waiting && <span class="waits"><span class="sr">waits for you: </span></span>}
        {title}
      </a>
      <button type="button" class="icon" aria-label={`Actions for ${title}`} aria-haspopup="menu" onClick={(e) => openMenu(e.currentTarget, c.id)}>
        <icons.More />
      </button>
    </li>
  )
}

function open(e: MouseEvent, id?: string): void {
  if (e.metaKey || e.ctrlKey || e.shiftKey || e.button) return
  e.preventDefault()
  if (id) show(id)
  else go('/console/tools')
  drawer.value = false
}

function openMenu(button: HTMLElement, id: string): void {
  const menu = document.getElementById('row-menu')!
  menuOf.value = id
  allowed.value = []
  unread.value = false
  listAllowances(id).then((r) => menuOf.value === id && (allowed.value = r.allowances.map((a) => a.tool)), () => menuOf.value === id && (unread.value = true))
  const r = button.getBoundingClientRect()
  menu.style.top = Math.min(r.bottom + 4, innerHeight - 104) + 'px'
  menu.style.left = Math.max(8, r.right - 160) + 'px'
  menu.style.maxHeight = innerHeight - parseFloat(menu.style.top) - 8 + 'px'
  menu.showPopover()
  menu.querySelector('button')?.focus()
}

function RowMenu() {
  const act = (f: (id: string) => void) => () => {
    document.getElementById('row-menu')!.hidePopover()
    f(menuOf.value)
  }
  return (
    <div id="row-menu" class="menu" popover="auto" role="menu" onKeyDown={arrows}>
      <button type="button" role="menuitem" onClick={act((id) => (renaming.value = id))}><icons.Pencil />Rename</button>
      <button type="button" role="menuitem" class="danger" onClick={act(remove)}><icons.Trash />Delete</button>
      {unread.value && <div class="allowed"><p role="alert">What is always allowed here could not be read. Open this menu again to try once more.</p></div>}
      {allowed.value.length > 0 && (
        <div class="allowed" role="group" aria-label="Always allowed here">
          <p aria-hidden="true">Always allowed here</p>
          {allowed.value.map((tool) => (
            <button type="button" role="menuitem" key={tool} aria-label={`Ask again before ${tool}`} onClick={() => askAgain(menuOf.value, tool)}>
              <span>{tool}</span>
              <b>Ask again</b>
            </button>
          ))}
        </div>
      )}
    </div>
  )
}

function askAgain(id: string, tool: string): void {
  disallow(id, tool).then(
    () => {
      allowed.value = allowed.value.filter((t) => t !== tool)
      document.querySelector<HTMLElement>('#row-menu button')?.focus()
    },
    (err: Error) => (toast.value = { text: err.message }),
  )
}

function arrows(e: KeyboardEvent): void {
  if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return
  e.preventDefault()
  const items = [...(e.currentTarget as HTMLElement).querySelectorAll('button')]
  const i = items.indexOf(document.activeElement as HTMLButtonElement)
  items[(i + (e.key === 'ArrowDown' ? 1 : items.length - 1)) % items.length]?.focus()
}

function Rename({ c }: { c: ConversationInfo }) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.select(), [])
  const done = (keep: boolean) => {
    if (renaming.value !== c.id) return
    const title = input.current?.value.trim() ?? ''
    renaming.value = ''
    if (keep && title && title !== c.title) void rename(c.id, title)
  }
  return (
    <input
      ref={input}
      class="rename"
      aria-label="Title"
      defaultValue={c.title}
      maxLength={200}
      onBlur={() => done(true)}
      onKeyDown={(e) => {
        if (e.isComposing) return
        if (e.key === 'Enter') done(true)
        if (e.key === 'Escape') {
          e.preventDefault()
          done(false)
        }
      }}
    />
  )
}
