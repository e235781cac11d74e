import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { source } from './app-state'
import { drawBlock } from './block'
import { parse } from '../core/mdstream'
import type { Source } from '../core/protocol'
import { fetchDocument, type Document } from '../ui/api'
import * as icons from '../ui/icons'
import { media } from '../ui/media'

const narrow = media('(max-width: 1180px)')

/** Beside the thread where there is room, else over it. */
export function SourcePanel() {
  const s = source.value
  const dialog = useRef<HTMLDialogElement>(null)
  const back = useRef<Element | null>(null)
  useLayoutEffect(() => {
    const d = dialog.current
    if (!d) return
    back.current ??= document.activeElement
    if (d.open) d.close()
    if (narrow.value) d.showModal()
    else d.show()
  }, [!s, narrow.value])
  useEffect(() => {
    if (s || !(back.current instanceof HTMLElement)) return
    back.current.focus()
    back.current = null
  }, [!s])
  if (!s) return null
  return (
    <dialog ref={dialog} class="source" aria-labelledby="source-title" onCancel={(e) => (e.preventDefault(), close())} onKeyDown={onKey} onClick={(e) => e.target === e.currentTarget && narrow.value && close()}>
      <Inside key={s.source.ref} s={s.source} n={s.number} />
    </dialog>
  )
}

function close(): void {
  source.value = undefined
}

function onKey(e: KeyboardEvent): void {
  if (e.key !== 'Escape') return
  e.preventDefault()
  close()
}

function Inside({ s, n }: { s: Source; n: number }) {
  const [doc, setDoc] = useState<Document | string>()
  const show = () => {
    setDoc('')
    fetchDocument(s.document).then(setDoc, (err: Error) => setDoc(`The document could not be fetched. ${err.message}`))
  }
  const headings = (s.headings ?? []).filter((h) => h !== s.title)
  return (
    <div class="source-in">
      <div class="source-head">
        <span class="n">{n}</span>
        <h2 id="source-title">{s.title}</h2>
        <button type="button" class="icon" aria-label="Close the source" autofocus onClick={close}><icons.Close /></button>
      </div>
      {headings.length > 0 && <p class="crumbs">{headings.join(' › ')}</p>}
      {typeof doc === 'object' ? <InDocument doc={doc} s={s} /> : <Passage text={s.text} />}
      {doc === undefined && <button type="button" class="button" onClick={show}><icons.Book />Show in document</button>}
      {doc === '' && <p class="loading">Fetching the document …</p>}
      {typeof doc === 'string' && doc && <p class="notice bad" role="alert"><icons.Warn />{doc}</p>}
      {typeof doc === 'object' && <button type="button" class="button" onClick={() => setDoc(undefined)}>Passage only</button>}
    </div>
  )
}

function Passage({ text }: { text: string }) {
  const root = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const plain = (ref: string) => document.createTextNode(`[${ref}]`)
    root.current!.replaceChildren(...parse(text).map((b) => drawBlock(b, true, plain)))
  }, [text])
  return <div class="md passage" dir="auto" ref={root} />
}

/** The whole text with the passage marked; offsets count code points. */
function InDocument({ doc, s }: { doc: Document; s: Source }) {
  const box = useRef<HTMLDivElement>(null)
  const mark = useRef<HTMLElement>(null)
  const [before, passage, after] = useMemo(() => {
    const runes = Array.from(doc.text)
    return [runes.slice(0, s.start), runes.slice(s.start, s.end), runes.slice(s.end)].map((r) => r.join('')) as [string, string, string]
  }, [doc, s])
  useLayoutEffect(() => {
    const [b, m] = [box.current!, mark.current!]
    b.focus({ preventScroll: true })
    b.scrollTop = m.offsetTop - Math.max(24, (b.clientHeight - m.offsetHeight) / 3)
  }, [doc])
  return (
    <div ref={box} class="document" tabIndex={0} role="region" aria-label={doc.title} dir="auto">
      {before}
      <mark ref={mark}>{passage}</mark>
      {after}
    </div>
  )
}
