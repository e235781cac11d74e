// What the page always needs of files; how they are uploaded and shown comes
// when there is one.

import { signal } from '@preact/signals'
import { thread } from './app-state'
import { draftOf } from './drafts'
import type { FileRef } from '../core/protocol'

export interface Attachment {
  key: string // also the upload's Idempotency-Key
  name: string
  media: string
  size: number
  sent: number // bytes that are up
  ref?: FileRef // it is up
  error?: string // it will not be
  preview?: string // address of a picture of it
}

/** What is attached, by draft. */
export const attached = signal<Record<string, Attachment[]>>({})

export const shelf = 'parley.files'

const parts = signal<typeof import('./attach') | undefined>(undefined)

async function fetchParts(): Promise<void> {
  parts.value ??= await import('./attach')
}

export function attachments(): Attachment[] {
  return attached.value[draftOf(thread.value)] ?? []
}

/** Attaches files to what is being written, and uploads them. */
export function attach(list: FileList | null): void {
  const files = [...(list ?? [])] // the list goes with its event
  void fetchParts().then(() => parts.peek()!.add(files))
}

/** Takes what is up out of the draft, for a message that is sent. */
export function takeFiles(): FileRef[] {
  const refs = attachments().flatMap((a) => (a.ref ? [a.ref] : []))
  parts.peek()?.clear()
  return refs
}

/** Files of a message or of a tool's result. */
export function Files(p: { files: FileRef[] | undefined; label: string }) {
  if (!p.files?.length) return null
  const Shown = parts.value?.Shown
  if (!Shown) void fetchParts()
  return Shown ? <Shown files={p.files} label={p.label} /> : null
}

/** What is attached to the message that is being written. */
export function Tray() {
  const Tray = parts.value?.Tray
  return Tray ? <Tray /> : null
}

try {
  if ((localStorage.getItem(shelf) ?? '{}') !== '{}') void fetchParts() // a draft has files
} catch {
  // Storage is forbidden: there are none.
}
