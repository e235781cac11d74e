import { useState } from 'preact/hooks'
import { go, loadAgents, toast } from '../chat/app-state'
import * as api from './api'
import { Field, faultOf, Link, useLoaded, Wrong, type Fault } from './parts'
import { Versions } from './Versions'
import { words } from './schema'

/** One agent: what it is told, what it may use, and its versions. */
export function AgentPage({ name }: { name: string }) {
  const add = name === '+'
  const { value, fault, again } = useLoaded(() => api.getAgent(add ? 'default' : name), name)
  const saved = (v: api.AgentVersion) => {
    toast.value = { text: v.version === value?.version ? 'Nothing has changed.' : `Saved as version ${v.version}: it answers from the next question on.` }
    void loadAgents()
    if (add) go('/console/agents/' + v.name)
    else again()
  }
  return (
    <>
      <Link to="/console/agents" class="c-back">All agents</Link>
      <div class="c-head">
        <h2 class={add ? '' : 'mono'}>{add ? 'Add an agent' : name}</h2>
        {!add && value && <span class="c-note">{value.version ? `version ${value.version}` : 'as the server’s settings describe it'}</span>}
      </div>
      {fault && <Wrong>{fault.text}</Wrong>}
      {value && (
        <div class="c-split">
          <Form key={value.version} given={add ? { name: '' } : value} behind={add ? 0 : value.version} available={value.available} saved={saved} />
          {!add && value.version > 0 && <Versions key={'v' + value.version} name={name} newest={value.version} again={saved} />}
        </div>
      )}
    </>
  )
}

interface Given { given: api.Agent; behind: number; available: api.AgentShown['available']; saved: (v: api.AgentVersion) => void }

function Form({ given, behind, available, saved }: Given) {
  const [a, setAgent] = useState(given)
  const [wrong, setWrong] = useState<Fault>()
  const set = (more: Partial<api.Agent>) => setAgent({ ...a, ...more })
  const at = (name: string) => (wrong && (wrong.field === name || wrong.field.startsWith(name + '.')) ? wrong.text : undefined)
  const submit = (e: Event) => {
    e.preventDefault()
    setWrong(undefined)
    api.putAgent(fieldsOf(a), behind).then(saved, (err) => setWrong(faultOf(err)))
  }
  const text = (field: 'title' | 'description') => ({ id: 'a-' + field, value: a[field] ?? '', onInput: (e: { currentTarget: { value: string } }) => set({ [field]: e.currentTarget.value || undefined }) })
  const count = (field: 'temperature' | 'maxTokens' | 'maxTurns' | 'maxCalls', label: string, hint: string, most: number, step = '1') => (
    <Field label={label} id={'a-' + field} fault={at(field)} hint={hint}>
      <input id={'a-' + field} type="number" min={step === '1' ? 1 : 0} max={most} step={step} placeholder="as the settings say" value={a[field] ?? ''} onInput={(e) => set({ [field]: e.currentTarget.value === '' ? undefined : Number(e.currentTarget.value) })} />
    </Field>
  )
  return (
    <form class="c-form" onSubmit={submit}>
      {wrong && !fields.some((n) => at(n)) && <Wrong>{wrong.text}</Wrong>}
      {!given.name && <Field label="Name" id="a-name" fault={at('name')} hint="a-z, 0-9 and -; it stays."><input id="a-name" class="mono" required pattern="[a-z0-9\-]{1,64}" value={a.name} onInput={(e) => set({ name: e.currentTarget.value })} /></Field>}
      <Field label="Title" id="a-title" fault={at('title')} hint="What people read."><input {...text('title')} maxLength={100} /></Field>
      <Field label="Description" id="a-description" fault={at('description')}><input {...text('description')} maxLength={500} placeholder="Knows the shop’s orders and its returns." /></Field>
      <Field label="Instructions" id="a-instructions" fault={at('instructions')} hint={a.instructions ? 'They take the place of the server’s own instructions.' : 'None: the server’s own, as shown.'}>
        <textarea id="a-instructions" rows={10} placeholder={available.system} value={a.instructions ?? ''} onInput={(e) => set({ instructions: e.currentTarget.value || undefined })} />
      </Field>
      <Models value={a.models ?? []} all={available.models} fault={at('models')} change={(models) => set({ models: models.length ? models : undefined })} />
      <Tools value={a.tools} fault={at('tools')} change={(tools) => set({ tools })} />
      <Field label="First questions" id="a-questions" fault={at('questions')} hint="One a line, at most six: shown where a conversation begins.">
        <textarea id="a-questions" rows={3} value={(a.questions ?? []).join('\n')} onInput={(e) => set({ questions: e.currentTarget.value ? e.currentTarget.value.split('\n') : undefined })} />
      </Field>
      <div class="c-pair even">
        {count('temperature', 'Temperature', '0 to 2', 2, '0.1')}
        {count('maxTokens', 'Tokens a turn', 'at most', 1_000_000)}
        {count('maxTurns', 'Turns a run', 'at most; the last is without tools', 100)}
        {count('maxCalls', 'Tool calls a turn', 'at most', 64)}
      </div>
      <div class="c-actions"><button class="button c-main">Save</button></div>
    </form>
  )
}

const fields = ['name', 'title', 'description', 'instructions', 'models', 'tools', 'questions', 'temperature', 'maxTokens', 'maxTurns', 'maxCalls'] as const

/** An agent as it is put: without what the server says of it. */
export function fieldsOf(a: api.Agent): api.Agent {
  const out = Object.fromEntries(fields.flatMap((f) => (a[f] === undefined ? [] : [[f, a[f]]]))) as unknown as api.Agent
  if (out.questions) out.questions = out.questions.map((q) => q.trim()).filter(Boolean)
  return out
}

function Models({ value, all, fault, change }: { value: string[]; all: string[]; fault?: string; change: (m: string[]) => void }) {
  const free = all.filter((m) => !value.includes(m))
  const move = (i: number, by: number) => change(value.map((m, j) => (j === i ? value[i + by]! : j === i + by ? value[i]! : m)))
  return (
    <fieldset class={'c-field' + (fault ? ' wrong' : '')}>
      <legend>Models</legend>
      {value.length > 0 && (
        <ol class="c-models">
          {value.map((m, i) => (
            <li key={m}>
              <span class="mono">{m}</span>{!all.includes(m) && <span class="c-tag bad">not configured</span>}
              <button type="button" class="button small quiet" disabled={i === 0} aria-label={`Move ${m} up`} onClick={() => move(i, -1)}>↑</button>
              <button type="button" class="button small quiet" disabled={i === value.length - 1} aria-label={`Move ${m} down`} onClick={() => move(i, 1)}>↓</button>
              <button type="button" class="button small quiet" aria-label={`Remove ${m}`} onClick={() => change(value.filter((n) => n !== m))}>Remove</button>
            </li>
          ))}
        </ol>
      )}
      {free.length > 0 && (
        <select aria-label="Add a model" value="" onChange={(e) => (change([...value, e.currentTarget.value]), (e.currentTarget.value = ''))}>
          <option value="">Add a model…</option>
          {free.map((m) => <option key={m}>{m}</option>)}
        </select>
      )}
      <p role={fault ? 'alert' : undefined}>{fault || (value.length ? 'The first answers; the others stand in for those before them.' : `None: all that are configured, in this order: ${all.join(', ')}.`)}</p>
    </fieldset>
  )
}

function Tools({ value, fault, change }: { value?: string[]; fault?: string; change: (t: string[] | undefined) => void }) {
  const [some, setSome] = useState((value ?? []).join(' '))
  const kind = value === undefined ? 'all' : value.length ? 'some' : 'none'
  const [is, setKind] = useState(kind)
  const choose = (k: string) => (setKind(k as typeof is), change(k === 'all' ? undefined : k === 'none' ? [] : words(some)))
  return (
    <Field label="Tools" id="a-tools" fault={fault} hint={is === 'some' ? 'Names, beginnings such as shop_*, and tags such as tag:shop.' : undefined}>
      <select id="a-tools" value={is} onChange={(e) => choose(e.currentTarget.value)}>
        <option value="all">all that there are</option>
        <option value="some">only these</option>
        <option value="none">none</option>
      </select>
      {is === 'some' && <textarea class="mono c-under" rows={2} aria-label="Tools that it may use" value={some} onInput={(e) => (setSome(e.currentTarget.value), change(words(e.currentTarget.value)))} />}
    </Field>
  )
}
