// Pieces that the console's places share.

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { go, toast } from '../chat/app-state'
import { ProblemError } from '../core/protocol'
import { credentials } from './api'
import { signedIn } from './state'

export function Link({ to, children, ...rest }: { to: string; children: ComponentChildren; class?: string; 'aria-current'?: 'page' }) {
  return (
    <a
      {...rest}
      href={to}
      onClick={(e) => {
        if (e.metaKey || e.ctrlKey || e.shiftKey || e.button) return
        e.preventDefault()
        go(to)
      }}
    >
      {children}
    </a>
  )
}

export interface Fault { field: string; text: string }

/** What is wrong, and in which field; a session that is over shows the sign-in again. */
export function faultOf(err: unknown): Fault {
  if (err instanceof ProblemError) {
    if (err.problem.status === 401 && err.problem.field !== 'token') signedIn.value = false
    return { field: err.problem.field ?? '', text: err.problem.detail || err.problem.title }
  }
  return { field: '', text: (err as Error).message }
}

/** What a call brings; again asks once more. */
export function useLoaded<T>(load: () => Promise<T>, key: unknown): { value?: T; fault?: Fault; again: () => void } {
  const [state, set] = useState<{ value?: T; fault?: Fault }>({})
  const [n, more] = useState(0)
  useEffect(() => {
    let current = true
    load().then(
      (value) => current && set({ value }),
      (err) => current && set({ fault: faultOf(err) }),
    )
    return () => void (current = false)
  }, [key, n])
  return { ...state, again: () => more(n + 1) }
}

/** A labelled field with its hint or what is wrong with it. */
export function Field({ label, id, hint, fault, children }: { label: string; id: string; hint?: string; fault?: string; children: ComponentChildren }) {
  return (
    <div class={'c-field' + (fault ? ' wrong' : '')}>
      <label for={id}>{label}</label>
      {children}
      {(fault || hint) && <p id={id + '-note'} role={fault ? 'alert' : undefined}>{fault || hint}</p>}
    </div>
  )
}

export function Wrong({ children }: { children: ComponentChildren }) {
  return <p class="c-wrong" role="alert">{children}</p>
}

/** Members of a header whose values are secrets. */
export function Headers({ value, fault, hint, change }: { value: Record<string, string>; fault?: string; hint?: string; change: (h: Record<string, string> | '') => void }) {
  const [rows, setRows] = useState(Object.entries(value))
  const keep = (next: [string, string][]) => {
    setRows(next)
    const filled = next.filter(([n]) => n)
    change(filled.length ? Object.fromEntries(filled) : '')
  }
  const edit = (i: number, row: [string, string]) => keep(rows.map((r, j) => (j === i ? row : r)))
  return (
    <fieldset class={'c-field' + (fault ? ' wrong' : '')}>
      <legend>Headers</legend>
      {rows.map(([name, v], i) => (
        <div class="c-header" key={i}>
          <input class="mono" aria-label="Header name" placeholder="X-Api-Key" value={name} onInput={(e) => edit(i, [e.currentTarget.value, v])} />
          <input class="mono" type="password" autocomplete="off" aria-label={'Value of ' + (name || 'the header')} value={v} onInput={(e) => edit(i, [name, e.currentTarget.value])} />
          <button type="button" class="button small quiet" aria-label={'Remove ' + (name || 'the header')} onClick={() => keep(rows.filter((_, j) => j !== i))}>Remove</button>
        </div>
      ))}
      <button type="button" class="button small" onClick={() => setRows([...rows, ['', '']])}>Add a header</button>
      <p role={fault ? 'alert' : undefined}>{fault || hint || 'Values are secrets: once saved they are never shown again.'}</p>
    </fieldset>
  )
}

/** A credential's name, of those that there are. */
export function AuthField({ id, value, fault, hint, change }: { id: string; value: string; fault?: string; hint?: string; change: (v: string) => void }) {
  const { value: all } = useLoaded(credentials, '')
  const names = (all?.credentials ?? []).map((c) => c.name)
  if (value && !names.includes(value)) names.push(value)
  return (
    <Field label="Credential" id={id} fault={fault} hint={hint ?? 'How it shows who calls.'}>
      <select id={id} value={value} onChange={(e) => change(e.currentTarget.value)}>
        <option value="">none</option>
        {names.map((n) => <option key={n}>{n}</option>)}
      </select>
    </Field>
  )
}

/** What becomes of a call if nobody has said it. */
export const policyOf = (t: { approval?: string; effect?: string }) => t.approval || (t.effect === 'safe' ? 'auto' : 'ask')

/** A button that asks once more. */
export function Remove({ name, verb = 'Delete', act, done }: { name: string; verb?: string; act: () => Promise<unknown>; done: () => void }) {
  const [asked, setAsked] = useState(false)
  const go = () => void act().then(done, (err) => (toast.value = { text: faultOf(err).text }))
  return asked ? <button type="button" class="button small c-danger" autofocus onClick={go} onBlur={() => setAsked(false)}>{verb} {name}</button> : <button type="button" class="button small quiet" aria-label={verb + ' ' + name} onClick={() => setAsked(true)}>{verb}…</button>
}
