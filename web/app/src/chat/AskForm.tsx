// A form made of a JSON Schema, for what a tool asks to be filled in.

import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks'
import type { BodyProps } from './Ask'
import { TimeLeft } from './Ask'
import { choicesOf, fieldsOf, filled, initial, placed, type Field, type Schema, type Value } from './fields'
import * as icons from '../ui/icons'

export function AskForm({ ask, busy, decide }: BodyProps) {
  const fields = useMemo(() => fieldsOf((ask.responseSchema ?? {}) as Schema), [ask.id])
  const [values, setValues] = useState(() => initial(fields))
  const [faults, setFaults] = useState<Record<string, string>>({})
  const form = useRef<HTMLFormElement>(null)
  useEffect(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus(), [faults])
  const submit = (e: Event) => {
    e.preventDefault()
    const { payload, faults } = filled(fields, values)
    setFaults(faults)
    if (Object.keys(faults).length) return
    void decide('resolved', payload, (at, text) => {
      const f = placed(fields, at)
      if (f) setFaults({ [f.key]: text })
      return !!f
    })
  }
  const part: Part = {
    value: (f) => values[f.key]!,
    fault: (f) => faults[f.key],
    set: (f, v) => {
      setValues((old) => ({ ...old, [f.key]: v }))
      if (faults[f.key]) setFaults(({ [f.key]: _, ...rest }) => rest)
    },
  }
  return (
    <form ref={form} onSubmit={submit}>
      {fields.map((f) => <Input key={f.key} f={f} needed={f.required} part={part} />)}
      <div class="ask-row">
        <button type="submit" class="button primary" disabled={busy}><icons.Check />Send</button>
        <button type="button" class="button" disabled={busy} onClick={() => void decide('cancelled')}>Not now</button>
        <TimeLeft until={ask.expiresAt} />
      </div>
    </form>
  )
}

interface Part {
  value: (f: Field) => Value
  fault: (f: Field) => string | undefined
  set: (f: Field, v: Value) => void
}

/** needed: nothing can be sent without it. */
interface InputProps {
  f: Field
  needed: boolean
  part: Part
}

function Input({ f, needed, part }: InputProps) {
  const id = useId()
  const fault = part.fault(f)
  const wrong = fault && <p class="ask-problem" id={id + '-wrong'} role="alert">{fault}</p>
  if (f.kind === 'group' || f.kind === 'choices')
    return (
      <fieldset class="ask-field" tabIndex={-1} aria-invalid={!!fault} aria-describedby={fault ? id + '-wrong' : undefined}>
        <legend><Name f={f} /></legend>
        {f.kind === 'choices' ? <Boxes f={f} part={part} /> : f.fields.map((m) => <Input key={m.key} f={m} needed={needed && m.required} part={part} />)}
        {wrong}
      </fieldset>
    )
  const own = { id, required: needed, 'aria-invalid': !!fault, 'aria-describedby': fault ? id + '-wrong' : undefined }
  if (f.kind === 'boolean')
    return (
      <div class="ask-field">
        <label class="check">
          <input {...own} required={false} type="checkbox" checked={!!part.value(f)} onChange={(e) => part.set(f, e.currentTarget.checked)} />
          <span><Name f={f} plain /></span>
        </label>
        {wrong}
      </div>
    )
  return (
    <div class="ask-field">
      <label for={id}><Name f={f} /></label>
      <Control f={f} part={part} own={own} />
      {wrong}
    </div>
  )
}

const hints: { [kind: string]: string } = { lines: 'One per line.', json: 'As JSON.' }

/** plain: a box to tick is neither needed nor optional. */
function Name({ f, plain }: { f: Field; plain?: boolean }) {
  const note = [f.schema.description, hints[f.kind]].filter(Boolean).join(' ')
  return <>{f.schema.title || f.path.at(-1)}{!f.required && !plain && ' (optional)'}{note && <small>{note}</small>}</>
}

function Boxes({ f, part }: { f: Field; part: Part }) {
  const chosen = part.value(f) as number[]
  return (
    <>
      {choicesOf(f.schema.items).map((c, i) => (
        <label class="check" key={i}>
          <input type="checkbox" checked={chosen.includes(i)} onChange={(e) => part.set(f, e.currentTarget.checked ? [...chosen, i].sort((a, b) => a - b) : chosen.filter((n) => n !== i))} />
          <span>{c.title}</span>
        </label>
      ))}
    </>
  )
}

interface ControlProps {
  f: Field
  part: Part
  own: { id: string; required: boolean; 'aria-invalid': boolean; 'aria-describedby'?: string }
}

const types = { email: 'email', uri: 'url', date: 'date', 'date-time': 'datetime-local' } as const

function Control({ f, part, own }: ControlProps) {
  const { schema: s, kind } = f
  const value = part.value(f)
  const type = (e: { currentTarget: { value: string } }) => part.set(f, e.currentTarget.value)
  if (kind === 'choice')
    return (
      <select {...own} value={String((value as number[])[0] ?? '')} onChange={(e) => part.set(f, e.currentTarget.value === '' ? [] : [Number(e.currentTarget.value)])}>
        <option value="" />
        {choicesOf(s).map((c, i) => <option key={i} value={String(i)}>{c.title}</option>)}
      </select>
    )
  const text = String(value)
  if (kind === 'lines' || kind === 'json')
    return <textarea {...own} required={own.required && kind === 'json'} class={kind} spellcheck={kind === 'lines'} rows={Math.min(12, Math.max(3, text.split('\n').length + 1))} value={text} onInput={type} />
  if (kind === 'number') return <input {...own} type="number" step={s.type === 'integer' ? 1 : 'any'} min={s.minimum} max={s.maximum} value={text} onInput={type} />
  const format = types[s.format as keyof typeof types] ?? 'text'
  return <input {...own} type={format as 'text'} step={format === 'datetime-local' ? 1 : undefined} minLength={s.minLength} maxLength={s.maxLength} value={text} onInput={type} />
}
