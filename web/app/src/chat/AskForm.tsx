// A form made of a flat JSON Schema, for what a tool asks to be filled in.

import { useState } from 'preact/hooks'
import type { BodyProps } from './Ask'
import { TimeLeft } from './Ask'
import * as icons from '../ui/icons'

interface Property {
  type?: string
  title?: string
  description?: string
  enum?: unknown[]
  enumNames?: string[]
  default?: unknown
}

type Values = Record<string, unknown>

export function AskForm({ ask, busy, decide }: BodyProps) {
  const properties = Object.entries((ask.responseSchema?.properties ?? {}) as Record<string, Property>)
  const required = (ask.responseSchema?.required ?? []) as string[]
  const [values, setValues] = useState<Values>(() => Object.fromEntries(properties.map(([name, p]) => [name, p.default ?? (p.type === 'boolean' ? false : '')])))
  const set = (name: string, v: unknown) => setValues((old) => ({ ...old, [name]: v }))
  const submit = (e: Event) => {
    e.preventDefault()
    void decide('resolved', payload(properties, values))
  }
  return (
    <form onSubmit={submit}>
      {properties.map(([name, p]) => <Input key={name} name={name} p={p} required={required.includes(name)} value={values[name]} set={(v) => set(name, v)} />)}
      <div class="ask-row">
        <button type="submit" class="button primary" disabled={busy}><icons.Check />Send</button>
        <button type="button" class="button" disabled={busy} onClick={() => void decide('cancelled')}>Not now</button>
        <TimeLeft until={ask.expiresAt} />
      </div>
    </form>
  )
}

interface InputProps {
  name: string
  p: Property
  required: boolean
  value: unknown
  set: (v: unknown) => void
}

function Input({ name, p, required, value, set }: InputProps) {
  const label = (p.title || name) + (required ? '' : ' (optional)')
  if (p.type === 'boolean')
    return (
      <label class="ask-field check">
        <input type="checkbox" checked={!!value} onChange={(e) => set(e.currentTarget.checked)} />
        <span>{p.title || name}{p.description && <small>{p.description}</small>}</span>
      </label>
    )
  return (
    <label class="ask-field">
      <span>{label}{p.description && <small>{p.description}</small>}</span>
      {p.enum ? (
        <select required={required} value={String(value ?? '')} onChange={(e) => set(e.currentTarget.value)}>
          <option value="" />
          {p.enum.map((v, i) => <option key={String(v)} value={String(v)}>{p.enumNames?.[i] ?? String(v)}</option>)}
        </select>
      ) : p.type === 'number' || p.type === 'integer' ? (
        <input type="number" step={p.type === 'integer' ? 1 : 'any'} required={required} value={String(value ?? '')} onInput={(e) => set(e.currentTarget.value)} />
      ) : (
        <input type="text" required={required} value={String(value ?? '')} onInput={(e) => set(e.currentTarget.value)} />
      )}
    </label>
  )
}

/** What was filled in, as the schema has it; what is empty is left out. */
function payload(properties: [string, Property][], values: Values): Values {
  const out: Values = {}
  for (const [name, p] of properties) {
    const v = values[name]
    if (p.type === 'boolean') out[name] = !!v
    else if (v === '' || v === undefined) continue
    else if (p.enum) out[name] = p.enum.find((e) => String(e) === v) ?? v
    else out[name] = p.type === 'number' || p.type === 'integer' ? Number(v) : v
  }
  return out
}
