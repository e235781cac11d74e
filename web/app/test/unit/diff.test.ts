import { expect, test } from 'vitest'
import { changes, linesOf } from '../../src/console/diff'

const shown = (from: string[], to: string[]) => changes(from, to).map((l) => l.sign + l.text)

test('what is gone and what was added is shown with the lines around it', () => {
  const long = Array.from({ length: 20 }, (_, i) => `line ${i}`)
  expect(shown(long, long.toSpliced(10, 1, 'other', 'more'))).toEqual([' line 8', ' line 9', '-line 10', '+other', '+more', ' line 11', ' line 12'])
  expect(shown([], ['a', 'b'])).toEqual(['+a', '+b'])
  expect(shown(['a', 'b'], ['a', 'b'])).toEqual([])
  expect(shown(['a', 'b'], ['b', 'a']).filter((l) => l[0] !== ' ')).toHaveLength(2)
})

test('taking what is gone out of the one and what was added out of the other leaves the same', () => {
  let seed = 7
  const dice = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n
  for (let round = 0; round < 300; round++) {
    const text = () => Array.from({ length: dice(12) }, () => 'abc'[dice(3)]!)
    const [from, to] = [text(), text()]
    const left = (of: string[], sign: string) => {
      const away = changes(from, to).filter((l) => l.sign === sign).map((l) => l.text)
      return of.length - away.length
    }
    expect(left(from, '-')).toBe(left(to, '+'))
  }
})

test('each field of an agent is a line, and each line of its instructions', () => {
  expect(linesOf({ name: 'a', title: 'A', tools: [], models: ['x', 'y'], questions: ['q'], instructions: 'one\ntwo', maxTurns: 3 })).toEqual([
    'title: A', 'models: x, y', 'tools: none', 'turns a run: 3', 'question: q', 'one', 'two',
  ])
})
