import { expect, test } from 'vitest'
import { argumentsOf, at, FormError, kindOf, variablesOf } from '../../src/console/schema'
import { hidden, restored } from '../../src/console/secrets'

const schema = {
  properties: {
    city: { type: 'string' }, days: { type: ['integer', 'null'] }, exact: { type: 'boolean' }, unit: { enum: [1, 'two'] },
    tags: { type: 'array', items: { type: 'string' } }, place: { type: 'object', properties: { lat: { type: 'number' } } }, any: {},
  },
  required: ['city'],
}

test('each schema gets the field that suits it', () => {
  expect(Object.values(schema.properties).map(kindOf)).toEqual(['text', 'number', 'boolean', 'enum', 'json', 'object', 'json'])
})

test('what is typed becomes arguments of the right types, what is empty is left out', () => {
  const v = { [at('', 'city')]: 'Oslo', [at('', 'days')]: '3', [at('', 'exact')]: 'false', [at('', 'unit')]: '0', [at('', 'tags')]: 'a, b', [at(at('', 'place'), 'lat')]: '1.5', [at('', 'any')]: '{"x":[1]}' }
  expect(argumentsOf(schema, v)).toEqual({ city: 'Oslo', days: 3, exact: false, unit: 1, tags: ['a', 'b'], place: { lat: 1.5 }, any: { x: [1] } })
  expect(argumentsOf(schema, {})).toEqual({ city: '' })
})

test('what is no number or no JSON is said at its field', () => {
  for (const [name, text] of [['days', 'x'], ['any', '{']] as const) {
    const path = at('', name)
    expect(() => argumentsOf(schema, { [path]: text })).toThrow(FormError)
    try { argumentsOf(schema, { [path]: text }) } catch (e) { expect((e as FormError).path).toBe(path) }
  }
})

test('a member named __proto__ is a member', () => {
  const s = { properties: JSON.parse('{"__proto__":{"type":"string"}}') as object }
  expect(Object.keys(argumentsOf(s as never, { [at('', '__proto__')]: 'x' }))).toEqual(['__proto__'])
})

test('secrets of a draft are masked as JSON, and kept where they still are', () => {
  const draft = {
    name: 'x', headers: { 'X-Api-Key': 'canary', Accept: 'text/plain' }, secretQuery: { key: 'canary' },
    steps: [{ headers: { Authorization: 'Bearer canary' } }],
  }
  const shown = hidden(draft)
  expect(JSON.stringify(shown)).not.toContain('canary')
  expect(shown.headers!.Accept).toBe('text/plain')
  expect(restored(JSON.parse(JSON.stringify(shown)), draft)).toEqual(draft)
  expect(restored({ ...shown, headers: { 'X-Api-Key': 'another', New: '•••' } }, draft).headers).toEqual({ 'X-Api-Key': 'another', New: '•••' })
})

test('variables of a document are pairs', () => {
  expect(variablesOf(' region=eu  v=a=b')).toEqual({ region: 'eu', v: 'a=b' })
  expect(variablesOf(' ')).toBeUndefined()
  expect(() => variablesOf('region')).toThrow('name=value')
})
