// Markdown that grows. Only the text from the last block on is read again; all
// blocks before it are sealed: they never change until the whole is parsed once
// more at the end (late reference links, lists that turn out to be one).

import { Marked, type Token, type Tokens, type TokensList } from 'marked'

/** A top-level block. Code is kept apart from HTML: it needs no parsing. */
export type Block = { kind: 'html'; html: string } | { kind: 'code'; lang: string; text: string }

export interface Rendered {
  blocks: Block[]
  sealed: number // blocks before this one are final until finish
}

type Links = TokensList['links']

const md = new Marked({ gfm: true })

const cite = /\[([^[\]\s,;]+:\d+(?:\s*[,;]\s*[^[\]\s,;]+:\d+)*)\](?![(:])/
const refsOf = (m: RegExpMatchArray) => m[1]!.split(/\s*[,;]\s*/)

/** The refs that a text cites, in order, each once. */
export function citedIn(text: string): string[] {
  return [...new Set([...text.matchAll(new RegExp(cite, 'g'))].flatMap(refsOf))]
}

// [document:chunk], which a person gets as a numbered chip. Whether the
// source exists is decided where it is drawn.
md.use({
  extensions: [
    {
      name: 'cite',
      level: 'inline',
      start: (src) => src.match(/\[[^[\]\s]+:\d/)?.index,
      tokenizer(src) {
        const m = cite.exec(src)
        if (m?.index === 0) return { type: 'cite', raw: m[0], refs: refsOf(m) }
      },
      renderer: (t) => (t.refs as string[]).map((r) => `<sup data-ref="${escape(r)}">[${escape(r)}]</sup>`).join(''),
    },
  ],
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ text, href }) => escape(text ? `[image: ${text}]` : `[image: ${href}]`),
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
})

export class MarkdownStream {
  private blocks: Block[] = []
  private start = 0 // of the first block that is not sealed, in the text
  private links: Links = {}

  /** Reads text, which must begin with what the last call got. */
  update(text: string): Rendered {
    text = normal(text)
    const { tokens, links } = lex(text.slice(this.start), this.links)
    const last = tokens.findLastIndex((t) => t.type !== 'space')
    for (const t of tokens.slice(0, Math.max(last, 0))) {
      this.start += t.raw.length
      const b = render(t)
      if (b) this.blocks.push(b)
    }
    this.links = links
    const open = last >= 0 ? render(tokens[last]!) : undefined
    return { blocks: open ? [...this.blocks, open] : [...this.blocks], sealed: this.blocks.length }
  }

  /** Reads the whole text once. */
  finish(text: string): Rendered {
    const blocks = parse(text)
    return { blocks, sealed: blocks.length }
  }
}

/** Parses a text that does not grow. */
export function parse(text: string): Block[] {
  return lex(normal(text), {}).tokens.flatMap((t) => render(t) ?? [])
}

export function sameBlock(a: Block | undefined, b: Block): boolean {
  if (a?.kind === 'code' && b.kind === 'code') return a.lang === b.lang && a.text === b.text
  return a?.kind === 'html' && b.kind === 'html' && a.html === b.html
}

function lex(text: string, known: Links): { tokens: Token[]; links: Links } {
  const lexer = new md.Lexer(md.defaults)
  Object.assign(lexer.tokens.links, known)
  const tokens = lexer.lex(text)
  return { tokens, links: tokens.links }
}

function render(t: Token): Block | undefined {
  if (t.type === 'space' || t.type === 'def') return
  if (t.type === 'code') {
    const c = t as Tokens.Code
    return { kind: 'code', lang: (c.lang ?? '').trim().split(/\s+/)[0]!.toLowerCase(), text: c.text }
  }
  return { kind: 'html', html: md.parser([t]) }
}

function normal(text: string): string {
  return text.replace(/\r\n?/g, '\n')
}

function escape(s: string): string {
  return s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
}
