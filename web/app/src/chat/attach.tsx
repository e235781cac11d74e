// Files in the page: those of messages, and those that are being attached.

import '../styles/attach.css'
import { useState } from 'preact/hooks'
import { attachments, type Attachment } from './files'
import { detach, fileURL, isPicture } from './upload'
import type { FileRef } from '../core/protocol'
import { bytes } from '../ui/format'
import * as icons from '../ui/icons'

export { add, clear } from './upload'

/** Files of a message or of a tool's result: pictures, and names of the rest. */
export function Shown({ files, label }: { files: FileRef[]; label: string }) {
  return (
    <ul class="files" aria-label={label}>
      {files.map((f) => (
        <li key={f.id}><One f={f} /></li>
      ))}
    </ul>
  )
}

function One({ f }: { f: FileRef }) {
  const [broken, setBroken] = useState(false)
  if (isPicture(f.media) && !broken)
    return (
      <a class="picture" href={fileURL(f)} target="_blank" rel="noopener" title={f.name}>
        <img src={fileURL(f)} alt={f.name} loading="lazy" decoding="async" onError={() => setBroken(true)} />
      </a>
    )
  return (
    <a class="chip" href={fileURL(f) + '?download'} download={f.name}>
      <icons.Paper />
      <span class="chip-name" dir="auto">{f.name}</span>
      <span class="chip-size">{bytes(f.size)}</span>
    </a>
  )
}

/** What is attached to the message that is being written. */
export function Tray() {
  const list = attachments()
  if (!list.length) return null
  return (
    <ul class="tray" aria-label="Attached files">
      {list.map((a) => <Item key={a.key} a={a} />)}
    </ul>
  )
}

function Item({ a }: { a: Attachment }) {
  return (
    <li class={'tray-item' + (a.error ? ' bad' : '')}>
      {a.preview && !a.error ? <img src={a.preview} alt="" /> : a.error ? <icons.Warn /> : <icons.Paper />}
      <span class="tray-text">
        <span class="chip-name" dir="auto">{a.name}</span>
        {a.error ? (
          <span class="chip-size" role="alert">{a.error}</span>
        ) : a.ref ? (
          <span class="chip-size">{bytes(a.size)}</span>
        ) : (
          <progress max={a.size} value={a.sent} aria-label={'Uploading ' + a.name} />
        )}
      </span>
      <button type="button" class="icon small" aria-label={'Remove ' + a.name} title="Remove" onClick={() => detach(a.key)}>
        <icons.Close />
      </button>
    </li>
  )
}
