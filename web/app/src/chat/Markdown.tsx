// Draws Markdown block by block. Sealed blocks are never touched again, so the
// cost of a piece of text is that of the block it falls into.

import { useLayoutEffect, useRef } from 'preact/hooks'
import { MarkdownStream, sameBlock, type Block } from '../core/mdstream'
import { source } from './app-state'
import { drawBlock } from './block'
import type { ConvView } from './view'
import { pathOf } from './Turn'

interface Props {
  text: string
  final: boolean
  view: ConvView
  turn: string
}

export function Markdown({ text, final, view, turn }: Props) {
  const root = useRef<HTMLDivElement>(null)
  const drawn = useRef<Drawn | undefined>(undefined)
  useLayoutEffect(() => {
    const d = (drawn.current ??= new Drawn(root.current!))
    d.draw(text, final, (ref) => chip(view, turn, ref))
  }, [text, final])
  return <div class="md" dir="auto" ref={root} />
}

class Drawn {
  private stream = new MarkdownStream()
  private blocks: Block[] = []
  private sealed = 0
  private text = ''
  private root: HTMLElement

  constructor(root: HTMLElement) {
    this.root = root
  }

  draw(text: string, final: boolean, cite: (ref: string) => Node): void {
    if (!text.startsWith(this.text)) this.reset()
    this.text = text
    const { blocks, sealed } = final ? this.stream.finish(text) : this.stream.update(text)
    for (let i = final ? 0 : this.sealed; i < blocks.length; i++) this.put(i, blocks[i]!, i < sealed, cite)
    while (this.root.childNodes.length > blocks.length) this.root.lastChild!.remove()
    this.blocks = blocks
    this.sealed = sealed
  }

  private put(i: number, b: Block, sealed: boolean, cite: (ref: string) => Node): void {
    const old = this.root.childNodes[i] as HTMLElement | undefined
    const same = sameBlock(this.blocks[i], b)
    if (same && (i < this.sealed || !sealed || b.kind !== 'code')) return
    const next = drawBlock(b, sealed, cite, old)
    if (!old) this.root.append(next)
    else if (next !== old) old.replaceWith(next)
  }

  private reset(): void {
    this.root.replaceChildren()
    this.stream = new MarkdownStream()
    this.blocks = []
    this.sealed = 0
  }
}

function chip(view: ConvView, turn: string, ref: string): Node {
  const s = view.sources.get(ref)
  const n = view.number(turn, ref)
  if (!s || !n) return document.createTextNode(`[${ref}]`)
  const b = document.createElement('button')
  b.type = 'button'
  b.className = 'cite'
  b.textContent = String(n)
  b.title = pathOf(s)
  b.setAttribute('aria-label', `Source ${n}: ${pathOf(s)}`)
  b.onclick = () => (source.value = { source: s, number: n })
  return b
}
