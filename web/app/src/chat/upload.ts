// Files on their way into a message: uploaded as soon as they are chosen, kept
// with the draft until it is sent.

import { announcement, info, thread } from './app-state'
import { draftOf } from './drafts'
import { attached, shelf, type Attachment } from './files'
import type { FileRef, Problem } from '../core/protocol'
import { bytes } from '../ui/format'

const running = new Map<string, XMLHttpRequest>()
const mostTries = 8 // while the page is online
const againMs = [1_000, 2_000, 5_000, 10_000]

export const isPicture = (media: string) => /^image\/(png|jpeg|gif|webp)$/.test(media)

export const fileURL = (f: FileRef) => '/v1/files/' + encodeURIComponent(f.id)

export function add(files: File[]): void {
  const draft = draftOf(thread.peek())
  const most = info.peek()?.limits?.maxFiles ?? 10
  const room = info.peek()?.limits?.maxFile ?? 20 << 20
  const names: string[] = []
  for (const file of files) {
    const a: Attachment = { key: crypto.randomUUID(), name: file.name || 'picture', media: file.type, size: file.size, sent: 0 }
    if (isPicture(file.type)) a.preview = URL.createObjectURL(file)
    if ((attached.peek()[draft]?.length ?? 0) >= most) {
      announcement.value = `A message has at most ${most} files.`
      break
    }
    if (file.size > room) a.error = `Too large: at most ${bytes(room)}`
    else if (file.size === 0) a.error = 'The file is empty'
    attached.value = { ...attached.peek(), [draft]: [...(attached.peek()[draft] ?? []), a] }
    names.push(a.name)
    if (!a.error) send(draft, a.key, file, 0)
  }
  if (names.length) announcement.value = `Attached ${names.join(', ')}`
}

export function detach(key: string): void {
  running.get(key)?.abort()
  running.delete(key)
  for (const [draft, list] of Object.entries(attached.peek())) {
    const a = list.find((a) => a.key === key)
    if (!a) continue
    if (a.preview?.startsWith('blob:')) URL.revokeObjectURL(a.preview)
    if (a.ref) void fetch(fileURL(a.ref), { method: 'DELETE', credentials: 'same-origin' }).catch(() => {}) // else the server sweeps it
    set(draft, list.filter((a) => a.key !== key))
  }
}

/** Empties the draft: its files belong to a message now. */
export function clear(): void {
  const draft = draftOf(thread.peek())
  for (const a of attached.peek()[draft] ?? []) if (a.preview?.startsWith('blob:')) URL.revokeObjectURL(a.preview)
  set(draft, [])
}

function set(draft: string, list: Attachment[]): void {
  attached.value = { ...attached.peek(), [draft]: list }
  keep()
}

function change(draft: string, key: string, c: Partial<Attachment>): void {
  attached.value = { ...attached.peek(), [draft]: (attached.peek()[draft] ?? []).map((a) => (a.key === key ? { ...a, ...c } : a)) }
  if (c.ref) keep()
}

function send(draft: string, key: string, file: File, tries: number): void {
  const gone = () => !attached.peek()[draft]?.some((a) => a.key === key)
  if (gone()) return
  const later = (wait: number) => {
    change(draft, key, { sent: 0 })
    const go = () => {
      removeEventListener('online', go)
      clearTimeout(timer)
      send(draft, key, file, tries + 1)
    }
    const timer = window.setTimeout(go, wait)
    addEventListener('online', go)
  }
  const wait = againMs[Math.min(tries, againMs.length - 1)]!
  const x = new XMLHttpRequest()
  running.set(key, x)
  x.open('POST', '/v1/files?' + new URLSearchParams({ name: file.name || 'picture' }))
  x.setRequestHeader('Content-Type', file.type || 'application/octet-stream')
  x.setRequestHeader('Idempotency-Key', key)
  x.upload.onprogress = (e) => change(draft, key, { sent: e.loaded })
  x.onload = () => {
    running.delete(key)
    if (x.status === 201) return done(draft, key, JSON.parse(x.responseText) as Answer)
    if (x.status === 429 || x.status === 502 || x.status === 503 || x.status === 504) return later(Number(x.getResponseHeader('Retry-After')) * 1_000 || wait)
    change(draft, key, { error: problemOf(x.responseText) ?? `The server answered ${x.status}.` })
  }
  x.onerror = () => {
    if (tries < mostTries || !navigator.onLine) return later(wait) // the key makes it harmless if it had arrived
    change(draft, key, { error: 'The connection breaks off. Remove it and try again.' })
  }
  x.send(file)
}

interface Answer {
  fileId: string
  name: string
  media: string
  size: number
}

function done(draft: string, key: string, r: Answer): void {
  change(draft, key, { ref: { id: r.fileId, name: r.name, media: r.media, size: r.size }, media: r.media, sent: r.size })
}

function problemOf(body: string): string | undefined {
  try {
    const p = JSON.parse(body) as Problem
    return p.detail || p.title
  } catch {
    return
  }
}

/** What is up survives a reload, with its draft. */
function keep(): void {
  try {
    const up = Object.entries(attached.peek()).flatMap(([draft, list]) => {
      const refs = list.flatMap((a) => (a.ref ? [a.ref] : []))
      return refs.length ? [[draft, refs] as const] : []
    })
    localStorage.setItem(shelf, JSON.stringify(Object.fromEntries(up)))
  } catch {
    // Storage is full or forbidden: they last as long as the page.
  }
}

function load(): void {
  try {
    const kept = JSON.parse(localStorage.getItem(shelf) ?? '{}') as Record<string, FileRef[]>
    attached.value = Object.fromEntries(
      Object.entries(kept).map(([draft, refs]) => [
        draft,
        refs.map((f) => ({ key: f.id, name: f.name, media: f.media, size: f.size, sent: f.size, ref: f, preview: isPicture(f.media) ? fileURL(f) : undefined })),
      ]),
    )
  } catch {
    // What cannot be read is nothing.
  }
}
load()
