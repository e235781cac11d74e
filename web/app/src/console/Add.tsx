import { useState } from 'preact/hooks'
import { go } from '../chat/app-state'
import * as api from './api'
import { Declare } from './Declare'
import { Import } from './Import'
import { faultOf, Field, Link, Wrong } from './parts'

const ways: [string, string][] = [['form', 'By form'], ['openapi', 'From OpenAPI'], ['curl', 'From curl']]

export function Add({ way }: { way: string }) {
  return (
    <>
      <Link to="/console/tools" class="c-back">All tools</Link>
      <div class="c-head"><h2>Add tools</h2></div>
      <nav class="c-ways" aria-label="Ways to add">
        {ways.map(([w, name]) => <Link key={w} to={'/console/tools/+/' + w} aria-current={w === way ? 'page' : undefined}>{name}</Link>)}
      </nav>
      {way === 'openapi' ? <Import /> : way === 'curl' ? <Curl /> : <Declare isNew given={{ name: '' }} done={(d) => go('/console/tools/' + d.name)} />}
    </>
  )
}

function Curl() {
  const [text, setText] = useState('')
  const [wrong, setWrong] = useState('')
  const [made, setMade] = useState<{ tool: api.Declaration; warnings: string[] }>()
  const submit = (e: Event) => {
    e.preventDefault()
    setWrong('')
    api.draft(text).then(setMade, (err) => setWrong(faultOf(err).text))
  }
  if (made) {
    return (
      <>
        {made.warnings.map((w) => <p class="c-note" key={w}>{w}</p>)}
        <Declare isNew given={made.tool} done={(d) => go('/console/tools/' + d.name)} />
      </>
    )
  }
  return (
    <form class="c-form" onSubmit={submit}>
      {wrong && <Wrong>{wrong}</Wrong>}
      <Field label="curl command" id="curl" hint="Nothing is called: it becomes a draft to look through.">
        <textarea id="curl" class="mono" rows={7} spellcheck={false} required placeholder="curl https://api.example.com/orders/17 -H 'X-Api-Key: …'" value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </Field>
      <div class="c-actions"><button class="button c-main">Make a draft</button></div>
    </form>
  )
}
