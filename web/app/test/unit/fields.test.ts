import { expect, test } from 'vitest'
import { choicesOf, fieldsOf, filled, initial, placed, type Schema, type Values } from '../../src/chat/fields'

const schema: Schema = {
  properties: {
    name: { type: 'string' },
    nights: { type: ['integer', 'null'], default: 2 },
    late: { type: 'boolean' },
    room: { type: 'string', oneOf: [{ const: 's', title: 'Single' }, { const: 'd', title: 'Double' }] },
    floor: { enum: [1, '1', null] },
    extras: { type: 'array', items: { anyOf: [{ const: 'b', title: 'Breakfast' }, { const: 'p', title: 'Parking' }] }, maxItems: 1 },
    guests: { type: 'array', items: { type: 'string' } },
    invoice: { type: 'object', properties: { to: { type: 'string' }, country: { type: 'string', default: 'NO' }, tax: { type: 'object', properties: {} } }, required: ['to'] },
    rates: { type: 'array', items: { type: 'number' } },
    any: true as unknown as Schema,
  },
  required: ['name', 'guests'],
}
const fields = fieldsOf(schema)
const key = (...path: string[]) => JSON.stringify(path)
const fill = (values: Values) => filled(fields, { ...initial(fields), ...values })

test('each schema gets the field that suits it, objects one level deep', () => {
  expect(fields.map((f) => f.kind)).toEqual(['text', 'number', 'boolean', 'choice', 'choice', 'choices', 'lines', 'group', 'json', 'json'])
  expect(fields.find((f) => f.kind === 'group')!.fields.map((f) => f.kind)).toEqual(['text', 'text', 'json'])
  expect(fieldsOf({ type: 'object', additionalProperties: { type: 'string' } }).map((f) => f.kind)).toEqual(['json'])
  expect(fieldsOf({ type: 'object' })).toEqual([])
})

test('choices are called by their titles', () => {
  expect(choicesOf({ enum: ['a', 'b'], enumNames: ['A'] }).map((c) => c.title)).toEqual(['A', 'b'])
  expect(choicesOf(schema.properties!.room).map((c) => c.title)).toEqual(['Single', 'Double'])
  expect(choicesOf({ oneOf: [{ const: 1 }, { type: 'string' }] })).toEqual([])
})

test('what is filled in is of the right types, what is empty is left out', () => {
  expect(fill({ [key('name')]: 'Ann' }).payload).toEqual({ name: 'Ann', nights: 2, late: false, guests: [] })
  const { payload, faults } = fill({
    [key('name')]: 'Ann', [key('nights')]: '3', [key('late')]: true, [key('room')]: [1], [key('floor')]: [0], [key('extras')]: [1],
    [key('guests')]: ' Bo \n\nCy', [key('invoice', 'to')]: 'ACME', [key('invoice', 'tax')]: '{"id":[1]}', [key('rates')]: '[1.5]', [key('any')]: 'null',
  })
  expect(faults).toEqual({})
  expect(payload).toEqual({
    name: 'Ann', nights: 3, late: true, room: 'd', floor: 1, extras: ['p'], guests: ['Bo', 'Cy'],
    invoice: { to: 'ACME', country: 'NO', tax: { id: [1] } }, rates: [1.5], any: null,
  })
})

test('an object that nobody touched is left out, one that was begun has to be whole', () => {
  expect(fill({ [key('name')]: 'Ann' }).faults).toEqual({})
  expect(fill({ [key('name')]: 'Ann', [key('invoice', 'country')]: 'SE' }).faults).toEqual({ [key('invoice', 'to')]: 'This is needed.' })
})

test('what is wrong is said at its field', () => {
  expect(fill({}).faults).toEqual({ [key('name')]: 'This is needed.' })
  const { faults } = fill({ [key('name')]: 'Ann', [key('extras')]: [0, 1], [key('rates')]: '{"a":1}', [key('any')]: '{' })
  expect(faults[key('extras')]).toBe('Choose at most 1.')
  expect(faults[key('rates')]).toBe('This is a JSON list: […].')
  expect(faults[key('any')]).toContain('This is no JSON yet')
})

test('a whole payload can be JSON', () => {
  const whole = fieldsOf({ type: 'object', additionalProperties: { type: 'string' } })
  expect(filled(whole, { '[]': '{"a":"b"}' })).toEqual({ payload: { a: 'b' }, faults: {} })
  expect(filled(whole, { '[]': '[1]' }).faults).toEqual({ '[]': 'This is a JSON object: {…}.' })
})

test('a moment is shown here and sent with its zone', () => {
  const one = fieldsOf({ properties: { at: { type: 'string', format: 'date-time', default: '2026-11-23T09:30:00Z' } } })
  expect(filled(one, initial(one)).payload).toEqual({ at: '2026-11-23T09:30:00.000Z' })
})

test('names cannot change what a payload inherits', () => {
  const odd = fieldsOf(JSON.parse('{"properties":{"__proto__":{"type":"string"},"a.b":{"type":"string"}}}') as Schema)
  const { payload } = filled(odd, { [key('__proto__')]: 'x', [key('a.b')]: 'y' })
  expect(Object.entries(payload)).toEqual([['__proto__', 'x'], ['a.b', 'y']])
  expect(placed(odd, '.a.b')!.path).toEqual(['a.b'])
})

test('a place in the payload is found among the fields', () => {
  expect(placed(fields, '.invoice.to')!.key).toBe(key('invoice', 'to'))
  expect(placed(fields, '.invoice')!.key).toBe(key('invoice'))
  expect(placed(fields, '.extras.0')!.key).toBe(key('extras'))
  expect(placed(fields, '.invoices')).toBeUndefined()
})
