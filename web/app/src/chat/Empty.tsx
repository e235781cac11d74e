import { agents, ask, chosen, info } from './app-state'
import * as icons from '../ui/icons'

const examples = [
  { icon: icons.Cloud, text: 'What is the weather in Lisbon and in Oslo tomorrow?', hint: 'calls a REST endpoint for each city' },
  { icon: icons.Replicas, text: 'How does Parley survive a replica’s death?', hint: 'answers from documents, with citations' },
  { icon: icons.Plug, text: 'How do I register a REST endpoint as a tool?', hint: 'shows the request to make' },
  { icon: icons.Halt, text: 'What happens when I press Stop?', hint: 'then try it, in the middle of the answer' },
]

export function Empty() {
  const agent = agents.value.find((a) => a.name === chosen.value) ?? agents.value[0]
  const own = agent?.questions?.map((text) => ({ icon: icons.Mark, text, hint: '' }))
  return (
    <div class="empty">
      <div class="empty-in">
        <icons.Mark size={44} />
        <h2>{agent?.title || 'What would you like to know?'}</h2>
        <p>{agent?.description || 'Parley looks things up through the tools it was given, and shows every call it makes.'}</p>
        <ul class="examples">
          {(own ?? examples).map(({ icon: Icon, text, hint }) => (
            <li key={text}>
              <button type="button" onClick={() => ask(text)}>
                <Icon />
                <span><b>{text}</b>{hint && <small>{hint}</small>}</span>
              </button>
            </li>
          ))}
        </ul>
        {info.value?.demo && <p class="demo-note">This server runs its built-in demo model, which follows a script. The calls it makes are real.</p>}
      </div>
    </div>
  )
}
