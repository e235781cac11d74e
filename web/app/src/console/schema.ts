// What a JSON Schema asks for, as fields of a form.

import type { Schema } from './api'

export type Kind = 'text' | 'number' | 'boolean' | 'enum' | 'object' | 'json'

export function kindOf(s: Schema): Kind {
  if (s.enum?.length) return 'enum'
  const types = [s.type ?? []].flat().filter((t) => t !== 'null')
  if (types.length !== 1) return 'json'
  switch (types[0]) {
    case 'string': return 'text'
    case 'number': case 'integer': return 'number'
    case 'boolean': return 'boolean'
    case 'object': return s.properties && Object.keys(s.properties).length ? 'object' : 'json'
  }
  return 'json' // arrays too: a list of JSON is quicker to type than a form of forms
}

export type Values = { [path: string]: string }

/** The path of a member, in a form that no name can counterfeit. */
export const at = (path: string, name: string) => JSON.stringify([...(path ? (JSON.parse(path) as string[]) : []), name])

/** The arguments that a filled-in form comes to; what is left empty is left out. Throws a FormError. */
export function argumentsOf(s: Schema, values: Values, path = ''): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [name, p] of Object.entries(s.properties ?? {})) {
    const here = at(path, name)
    const v = kindOf(p) === 'object' ? nested(p, values, here) : valueOf(p, values[here] ?? '', here)
    if (v !== undefined) Object.defineProperty(out, name, { value: v, enumerable: true })
    else if (s.required?.includes(name) && kindOf(p) === 'text') Object.defineProperty(out, name, { value: '', enumerable: true })
  }
  return out
}

function nested(s: Schema, values: Values, path: string): unknown {
  const v = argumentsOf({ ...s, required: [] }, values, path)
  return Object.keys(v).length ? argumentsOf(s, values, path) : undefined
}

export class FormError extends Error {
  constructor(readonly path: string, message: string) {
    super(message)
  }
}

function valueOf(s: Schema, text: string, path: string): unknown {
  if (text === '') return undefined
  switch (kindOf(s)) {
    case 'text': return text
    case 'number': {
      const n = Number(text)
      if (!Number.isFinite(n)) throw new FormError(path, 'This is not a number.')
      return n
    }
    case 'boolean': return text === 'true'
    case 'enum': return s.enum![Number(text)]
  }
  try {
    return JSON.parse(text)
  } catch {
    if ([s.type].flat().includes('array') && [s.items?.type].flat().includes('string')) return text.split(/[,\n]/).map((t) => t.trim()).filter(Boolean)
    throw new FormError(path, 'This is not valid JSON.')
  }
}

/** A body as it reads best, and whether it is JSON. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

/** What stands between spaces or commas. */
export const words = (s: string) => s.split(/[\s,]+/).filter(Boolean)

/** name=value, with spaces between them. */
export function variablesOf(text: string): Record<string, string> | undefined {
  const pairs = words(text).map((w) => {
    const at = w.indexOf('=')
    if (at < 1) throw new Error('Give them as name=value.')
    return [w.slice(0, at), w.slice(at + 1)] as const
  })
  return pairs.length ? Object.fromEntries(pairs) : undefined
}
