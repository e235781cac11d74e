import { useEffect, useRef, useState } from 'preact/hooks'
import { drawer, go, place } from '../chat/app-state'
import * as icons from '../ui/icons'
import { Add } from './Add'
import { AgentPage } from './AgentPage'
import { Agents } from './Agents'
import * as api from './api'
import { Connections, Credentials } from './Credentials'
import './console.css'
import { Keys } from './Keys'
import { faultOf, Field, Link } from './parts'
import { signedIn } from './state'
import { Servers } from './Servers'
import { Spending } from './Spending'
import { ToolPage } from './ToolPage'
import { Tools } from './Tools'

const tabs: [string, string][] = [['/console/tools', 'Tools'], ['/console/agents', 'Agents'], ['/console/servers', 'MCP servers'], ['/console/credentials', 'Credentials'], ['/console/usage', 'Usage'], ['/console/keys', 'API keys'], ['/console/connections', 'Connected accounts']]

function titleOf(path: string): string {
  const tool = /^\/console\/tools\/([^/+]+)$/.exec(path)
  const agent = /^\/console\/agents\/([^/+]+)$/.exec(path)
  if (agent) return decodeURIComponent(agent[1]!)
  return tool ? decodeURIComponent(tool[1]!) : (tabs.find(([to]) => path.startsWith(to))?.[1] ?? 'Console')
}

/** Where a team registers, tries and watches its tools. */
export function Console() {
  const path = place.value ?? ''
  const been = useRef('') // the place before: a keyboard goes on from where somebody has come to
  useEffect(() => {
    api.session().then((s) => (signedIn.value = s.signedIn), () => (signedIn.value = false))
  }, [])
  useEffect(() => {
    if (path === '/console' || path === '/console/') go('/console/tools', true)
    const stage = document.getElementById('console')
    stage?.scrollTo(0, 0)
    document.querySelector('.c-tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    if (been.current && been.current !== '/console') stage?.focus({ preventScroll: true })
    been.current = path
    document.title = titleOf(path) + ' · Parley'
  }, [path])
  return (
    <>
      <header class="header">
        <button type="button" class="icon only-narrow" aria-label="Conversations" aria-expanded={drawer.value} onClick={() => (drawer.value = true)}>
          <icons.Menu />
        </button>
        <h1 class="title">Console</h1>
        {signedIn.value && <button type="button" class="button small quiet" onClick={() => void api.signOut().then(() => (signedIn.value = false))}>Sign out</button>}
      </header>
      <nav class="c-tabs" aria-label="Console">
        {tabs.map(([to, name]) => <Link key={to} to={to} aria-current={path.startsWith(to) ? 'page' : undefined}>{name}</Link>)}
      </nav>
      <main class="c-stage" id="console" tabIndex={-1}>
        <div class="c-in">{path.startsWith('/console/connections') ? <Connections /> : signedIn.value === false ? <SignIn /> : signedIn.value && <Place path={path} />}</div>
      </main>
    </>
  )
}

function Place({ path }: { path: string }) {
  if (path.startsWith('/console/credentials')) return <Credentials />
  const agent = /^\/console\/agents(?:\/([^/]+))?\/?$/.exec(path)
  if (agent) return agent[1] ? <AgentPage key={agent[1]} name={decodeURIComponent(agent[1])} /> : <Agents />
  if (path.startsWith('/console/servers')) return <Servers />
  if (path.startsWith('/console/usage')) return <Spending />
  if (path.startsWith('/console/keys')) return <Keys />
  if (path.startsWith('/console/tools/+')) return <Add way={path.split('/')[4] ?? 'form'} />
  const m = /^\/console\/tools\/([^/]+)$/.exec(path)
  return m ? <ToolPage key={m[1]} name={m[1]!} /> : <Tools />
}

function SignIn() {
  const [token, setToken] = useState('')
  const [wrong, setWrong] = useState('')
  const submit = (e: Event) => {
    e.preventDefault()
    api.signIn(token.trim()).then(() => (signedIn.value = true), (err) => setWrong(faultOf(err).text))
    setToken('')
  }
  return (
    <form class="c-signin" onSubmit={submit}>
      <h2>Sign in</h2>
      <p>Tools are changed by whoever has the admin token. It was printed when the server started, or is PARLEY_ADMIN_TOKEN.</p>
      <Field label="Admin token" id="token" fault={wrong}>
        <input id="token" type="password" autocomplete="off" autofocus required value={token} onInput={(e) => setToken(e.currentTarget.value)} />
      </Field>
      <button class="button c-main">Sign in</button>
    </form>
  )
}
