// Pieces that the console's places share.

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { go } from '../chat/app-state'
import { ProblemError } from '../core/protocol'
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
