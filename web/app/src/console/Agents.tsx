import { loadAgents } from '../chat/app-state'
import * as api from './api'
import { Link, Remove, useLoaded, Wrong } from './parts'

/** Who can answer. */
export function Agents() {
  const { value, fault, again } = useLoaded(api.agents, '')
  if (fault) return <Wrong>{fault.text}</Wrong>
  if (!value) return null
  return (
    <>
      <div class="c-bar">
        <p class="c-note">Agents answer conversations, each with instructions, models and tools of its own. Without a choice the default one does.</p>
        <Link to="/console/agents/+" class="button small c-main">Add an agent</Link>
      </div>
      <table class="c-table">
        <thead><tr><th>Agent</th><th>What it is for</th><th><span class="sr">Actions</span></th></tr></thead>
        <tbody>
          {value.agents.map((a) => (
            <tr key={a.name}>
              <td><Link to={'/console/agents/' + a.name} class="c-name">{a.name}</Link>{a.title && <p>{a.title}</p>}</td>
              <td>{a.description}</td>
              <td>{a.name !== 'default' && <Remove name={a.name} act={() => api.removeAgent(a.name)} done={() => (again(), void loadAgents())} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}
