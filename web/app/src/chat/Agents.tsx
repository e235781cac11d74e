// Who is to answer a new conversation, above the message box.

import { agents, chosen } from './app-state'
import * as icons from '../ui/icons'

export function Chooser() {
  const all = agents.value
  const is = all.find((a) => a.name === chosen.value) ?? all[0]!
  const title = (a: typeof is) => a.title || (a === all[0] ? 'Parley' : a.name)
  const choose = (e: Event, name: string) => {
    const menu = (e.currentTarget as HTMLElement).closest<HTMLElement>('[popover]')!
    menu.hidePopover()
    chosen.value = name
    document.getElementById('composer')?.focus()
  }
  return (
    <div class="pins">
      <button type="button" class="pin-add agent-now" popovertarget="agent-menu" title="Who is to answer this conversation">
        <span class="sr">Agent: </span>{title(is)}<icons.Chevron />
      </button>
      <div id="agent-menu" class="menu pin-menu" popover="auto" role="menu" aria-label="Agents">
        {all.map((a) => (
          <button type="button" role="menuitemradio" aria-checked={a === is} key={a.name} onClick={(e) => choose(e, a.name)}>
            <b>{title(a)}</b>
            {a.description && <span>{a.description}</span>}
          </button>
        ))}
      </div>
    </div>
  )
}
