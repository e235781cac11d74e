// @vitest-environment jsdom
import { describe, expect, test } from 'vitest'
import { citedIn, MarkdownStream, parse, type Block } from '../../src/core/mdstream'
import { sanitize } from '../../src/core/sanitize'
import { hostile } from '../hostile'

const sample = `# Title

A paragraph with **bold**, \`code\` and a [link](https://example.com).

- one
- two

  with a second paragraph

| a | b |
|---|--:|
| 1 | 2 |

\`\`\`go
func main() {}

// still code
\`\`\`

> quoted

1. first [doc:1]
2. second
`

function html(blocks: Block[]): string {
  const root = document.createElement('div')
  for (const b of blocks) b.kind === 'code' ? root.append(b.text) : root.append(sanitize(b.html))
  return root.innerHTML
}

/** What the page ends up with when a text comes character by character. */
function streamed(text: string): { blocks: Block[]; broken: boolean } {
  const s = new MarkdownStream()
  let broken = false
  let seen: Block[] = []
  for (let i = 1; i <= text.length; i++) {
    const { blocks, sealed } = s.update(text.slice(0, i))
    for (let j = 0; j < seen.length; j++) if (JSON.stringify(seen[j]) !== JSON.stringify(blocks[j])) broken = true
    seen = blocks.slice(0, sealed)
  }
  return { blocks: s.finish(text).blocks, broken }
}

describe('Markdown that grows', () => {
  test('ends as the whole text would, its sealed blocks untouched on the way', () => {
    const { blocks, broken } = streamed(sample)
    expect(blocks).toEqual(parse(sample))
    expect(broken).toBe(false)
  })

  test('code is a block of its own while it is still open', () => {
    expect(new MarkdownStream().update('```js\nlet a').blocks).toEqual([{ kind: 'code', lang: 'js', text: 'let a' }])
  })

  test('windows line ends make no difference', () => {
    expect(parse(sample.replaceAll('\n', '\r\n'))).toEqual(parse(sample))
  })

  test('reads each block a few times, not the whole text each time', () => {
    const text = sample.repeat(40)
    const s = new MarkdownStream()
    const t = performance.now()
    for (let i = 0; i < text.length; i += 4) s.update(text.slice(0, i))
    const each = (performance.now() - t) / (text.length / 4)
    expect(each).toBeLessThan(2) // ms; parsing all of it takes far more at the end
  })

  test('citations: one, several, and not those that are links or addresses', () => {
    expect(citedIn('a [x:1] b [y:2, z:3] again [x:1]')).toEqual(['x:1', 'y:2', 'z:3'])
    expect(citedIn('[x:1](https://e.com) [x:1]: note [a b:1]')).toEqual([])
    expect(html(parse('see [x:1].'))).toContain('<sup data-ref="x:1">')
  })
})

describe('hostile answers', () => {
  const bad = 'script,style,img,iframe,svg,math,form,button,input,base,meta,video,object,embed,link'
  test.each(hostile)('%s', (text) => {
    for (let i = 1; i <= text.length; i++) {
      const root = document.createElement('div')
      root.innerHTML = html(new MarkdownStream().update(text.slice(0, i)).blocks.filter((b) => b.kind === 'html'))
      expect(root.querySelector(bad)).toBeNull()
      for (const el of root.querySelectorAll('*')) {
        for (const { name, value } of el.attributes) {
          expect(name).not.toMatch(/^on|^style$|^id$|^name$|^src/)
          if (name === 'href') expect(value).toMatch(/^(https?:\/\/|mailto:)/)
        }
      }
    }
  })

  test('links leave without a trace', () => {
    const a = sanitize('<a href="https://example.com">x</a>').querySelector('a')!
    expect([a.rel, a.target]).toEqual(['noopener noreferrer nofollow', '_blank'])
  })

  test('what sanitising gets as HTML, past Markdown, is harmless too', () => {
    for (const text of hostile) {
      const root = document.createElement('div')
      root.append(sanitize(text))
      expect(root.querySelector(bad)).toBeNull()
      for (const el of root.querySelectorAll('*')) expect(el.outerHTML.slice(0, el.outerHTML.indexOf('>'))).not.toMatch(/\son\w+=|javascript:|style=/i)
    }
  })
})
