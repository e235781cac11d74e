import { agents, agentTitle, conversations, drawer, info, link, isNew, thread, title } from '../chat/app-state'
import type { Link } from '../core/conn'
import * as icons from './icons'

const words: Record<Link, [string, string]> = {
  connecting: ['connecting', 'Connecting to the server'],
  live: ['live', 'Connected: answers arrive as they are written'],
  reconnecting: ['reconnecting', 'The connection was lost and is being made again; nothing is lost'],
  offline: ['offline', 'No connection: what you send is kept and goes out later'],
  refused: ['signed out', 'The server wants a new sign-in: reload the page'],
}

export function Header() {
  const [word, hint] = words[link.value]
  const i = info.value
  const chose = conversations.value?.find((c) => c.id === thread.value)?.agent
  const agent = agents.value.find((a) => a.name === chose)?.name // one that was deleted no longer answers
  return (
    <header class="header">
      <button type="button" class="icon only-narrow" aria-label="Conversations" aria-expanded={drawer.value} onClick={() => (drawer.value = true)}>
        <icons.Menu />
      </button>
      <h1 class="title" dir="auto">{title.value || (isNew.value ? 'New chat' : 'Conversation')}</h1>
      {i?.demo ? (
        <span class="badge" title="Answers come from a small scripted model that runs inside Parley. Tools and citations are real. Set up a model to talk freely.">
          demo model
        </span>
      ) : (
        i?.model && !agent && <span class="model only-wide">{i.model}</span>
      )}
      {agent && <span class="model" title="The agent that answers">{agentTitle(agent)}</span>}
      <span class={'link ' + link.value} title={hint}>
        <span class="dot" />
        {word}
      </span>
    </header>
  )
}
