import { describe, expect, test } from 'vitest'
import { indented } from '../../src/core/json'

describe('JSON for people to read', () => {
  test('a line for each member, and none for what is empty', () => {
    expect(indented('{"city":"Bern","at":[46.9,7.4],"tags":[ ],"more":{ }}')).toBe(
      '{\n  "city": "Bern",\n  "at": [\n    46.9,\n    7.4\n  ],\n  "tags": [],\n  "more": {}\n}')
  })
  test('what is indented already stays so', () => {
    const once = indented('[{"a":{"b":[1,{}]}},null]')!
    expect(indented(once)).toBe(once)
  })
  test.each([
    ['numbers that no double is', '[12345678901234567890123,1.0,1E400,-0]', ['12345678901234567890123', '1.0', '1E400', '-0']],
    ['names in their order, doubles too', '{"2":1,"1":2,"2":3}', ['"2": 1', '"1": 2', '"2": 3']],
    ['punctuation, quotes and escapes in texts', '["{a,b}: [\\"c\\"]\\\\","\\u00e9","\\n"]', ['"{a,b}: [\\"c\\"]\\\\"', '"\\u00e9"', '"\\n"']],
  ])('%s stay as they were said', (_, json, lines) => {
    expect(indented(json)!.split('\n').slice(1, -1).map((l) => l.trim().replace(/,$/, ''))).toEqual(lines)
  })
  test('a scalar is a line', () => expect(indented(' "x" ')).toBe('"x"'))
  test.each(['', '{"a":', '```json\n{}\n```', '{"a":1} and more'])('%j is none', (text) => expect(indented(text)).toBeUndefined())
})
