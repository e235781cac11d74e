// What a JSON Schema asks a person for, as the fields of a card, and what they
// come to. Objects are taken apart one level deep; what has no field of its
// own is typed as JSON.

export interface Schema {
  type?: string | string[]
  title?: string
  description?: string
  format?: string
  enum?: unknown[]
  enumNames?: string[]
  oneOf?: Schema[]
  anyOf?: Schema[]
  const?: unknown
  default?: unknown
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  minItems?: number
  maxItems?: number
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  [keyword: string]: unknown
}

export type Kind = 'text' | 'number' | 'boolean' | 'choice' | 'choices' | 'lines' | 'group' | 'json'

export interface Field {
  path: string[]
  key: string // the path, in a form that no name can counterfeit
  kind: Kind
  schema: Schema
  required: boolean
  fields: Field[] // of a group
}

/** What a field holds: a text, the numbers of what was chosen, or yes. */
export type Value = string | number[] | boolean

export type Values = Record<string, Value>

export interface Choice {
  value: unknown
  title: string
}

const typesOf = (s: Schema) => [s.type ?? []].flat().filter((t) => t !== 'null')

/** What is chosen from: enum, or alternatives that are a constant each. */
export function choicesOf(s: Schema | undefined): Choice[] {
  if (s?.enum) return s.enum.map((value, i) => ({ value, title: s.enumNames?.[i] ?? String(value) }))
  const some = s?.oneOf ?? s?.anyOf ?? []
  return some.every((c) => 'const' in Object(c)) ? some.map((c) => ({ value: c.const, title: c.title ?? String(c.const) })) : []
}

function kindOf(s: Schema, deep: boolean): Kind {
  const types = typesOf(s)
  if (choicesOf(s).length) return 'choice'
  if (types.length !== 1) return 'json'
  switch (types[0]) {
    case 'boolean': return 'boolean'
    case 'string': return 'text'
    case 'number': case 'integer': return 'number'
    case 'array':
      if (choicesOf(s.items).length) return 'choices'
      return s.items?.type === 'string' ? 'lines' : 'json'
  }
  return types[0] === 'object' && s.properties && !deep ? 'group' : 'json'
}

/** The fields of a schema of type object. */
export function fieldsOf(s: Schema): Field[] {
  if (s.properties || !('oneOf' in s || 'anyOf' in s || 'allOf' in s || '$ref' in s || 'patternProperties' in s || Object(s.additionalProperties) === s.additionalProperties)) return members(s, [])
  return [{ path: [], key: '[]', kind: 'json', schema: { ...s, title: s.title ?? 'Answer' }, required: true, fields: [] }]
}

function members(s: Schema, path: string[]): Field[] {
  return Object.entries(s.properties ?? {}).map(([name, p]) => {
    const here = [...path, name]
    const kind = kindOf(p, path.length > 0)
    return { path: here, key: JSON.stringify(here), kind, schema: p, required: !!s.required?.includes(name), fields: kind === 'group' ? members(p, here) : [] }
  })
}

/** What a form begins with. */
export function initial(fields: Field[]): Values {
  return Object.fromEntries(fields.flatMap((f) => (f.kind === 'group' ? Object.entries(initial(f.fields.map((m) => within(f, m)))) : [[f.key, first(f)]])))
}

/** A member of a group, with the default that the group has for it. */
function within(group: Field, f: Field): Field {
  const all = Object(group.schema.default) as Record<string, unknown>
  const name = f.path.at(-1)!
  return Object.hasOwn(all, name) ? { ...f, schema: { ...f.schema, default: all[name] } } : f
}

function first({ kind, schema }: Field): Value {
  const d = schema.default
  const numbers = (vs: unknown[], of: Choice[]) => of.flatMap((c, i) => (vs.some((v) => same(v, c.value)) ? [i] : []))
  switch (kind) {
    case 'boolean': return d === true
    case 'choice': return d === undefined ? [] : numbers([d], choicesOf(schema)).slice(0, 1)
    case 'choices': return Array.isArray(d) ? numbers(d, choicesOf(schema.items)) : []
    case 'lines': return Array.isArray(d) ? d.join('\n') : ''
    case 'json': return d === undefined ? '' : JSON.stringify(d, null, 2)
  }
  if (d === undefined || d === null) return ''
  return schema.format === 'date-time' ? localTime(String(d)) : String(d)
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/** A moment as a browser's field has it: here, and without a zone. */
function localTime(text: string): string {
  const at = new Date(text)
  return isNaN(+at) ? '' : new Date(+at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

export interface Filled {
  payload: Record<string, unknown>
  faults: Record<string, string> // by a field's key
}

/** What was filled in, as the schema has it, and what is wrong with it; what is empty is left out. */
export function filled(fields: Field[], values: Values): Filled {
  const faults: Filled['faults'] = {}
  const begun = initial(fields)
  const of = (fs: Field[]): Filled['payload'] => Object.fromEntries(fs.flatMap((f) => {
    const v = f.kind === 'group' ? group(f) : one(f)
    if (v === undefined && f.required && f.kind !== 'group') faults[f.key] ??= f.kind === 'choice' ? 'Choose one.' : 'This is needed.'
    return v === undefined ? [] : [[f.path.at(-1) ?? '', v] as const]
  }))
  const one = (f: Field) => {
    try {
      return valueOf(f, values[f.key] ?? '')
    } catch (err) {
      faults[f.key] = (err as Error).message
    }
  }
  const group = (f: Field) => (f.required || f.fields.some((m) => !same(values[m.key], begun[m.key])) ? of(f.fields) : undefined)
  const out = of(fields)
  return { payload: fields[0]?.path.length === 0 ? ((out[''] ?? {}) as Filled['payload']) : out, faults }
}

/** What one field comes to, nothing if it is empty. Throws what is wrong with it. */
function valueOf(f: Field, v: Value): unknown {
  const s = f.schema
  switch (f.kind) {
    case 'boolean': return v === true
    case 'choice': return choicesOf(s)[(v as number[])[0] ?? -1]?.value
    case 'choices': return several(f, choicesOf(s.items).filter((_, i) => (v as number[]).includes(i)).map((c) => c.value), 'Choose')
    case 'lines': return several(f, String(v).split('\n').map((l) => l.trim()).filter(Boolean), 'Give')
    case 'json': return String(v).trim() ? json(s, String(v)) : undefined
  }
  if (v === '') return undefined
  if (f.kind === 'number') return numberOf(String(v))
  return s.format === 'date-time' ? new Date(String(v)).toISOString() : v
}

function numberOf(text: string): number {
  const n = Number(text)
  if (!Number.isFinite(n)) throw new Error('This is not a number.')
  return n
}

function several({ schema: { minItems = 0, maxItems = Infinity, default: d }, required }: Field, vs: unknown[], verb: string): unknown[] | undefined {
  if (!vs.length && !required && (d === undefined || minItems > 0)) return undefined
  if (vs.length < minItems) throw new Error(`${verb} at least ${minItems}.`)
  if (vs.length > maxItems) throw new Error(`${verb} at most ${maxItems}.`)
  return vs
}

const shapes: Record<string, string> = { object: 'This is a JSON object: {…}.', array: 'This is a JSON list: […].' }

function json(s: Schema, text: string): unknown {
  let v: unknown
  try {
    v = JSON.parse(text)
  } catch (err) {
    throw new Error('This is no JSON yet: ' + (err as Error).message)
  }
  const types = typesOf(s)
  const is = Array.isArray(v) ? 'array' : v === null ? 'null' : typeof v
  if (types.length === 1 && shapes[types[0]!] && is !== types[0] && !(v === null && s.type !== types[0])) throw new Error(shapes[types[0]!])
  return v
}

/** The field that a server's name for a place in the payload, such as .stay.nights.0, is of. */
export function placed(fields: Field[], at: string): Field | undefined {
  const all = fields.flatMap((f) => [f, ...f.fields])
  const here = (f: Field) => f.path.map((n) => '.' + n).join('')
  return all.filter((f) => f.path.length && (at + '.').startsWith(here(f) + '.')).sort((a, b) => here(b).length - here(a).length)[0]
}
