// What was begun and not sent, per conversation.

import { localPrefix } from '../core/outbox'

/** The name of the draft of a thread: new ones share one. */
export const draftOf = (thread: string) => (thread.startsWith(localPrefix) ? 'new' : thread)

const key = (thread: string) => 'parley.draft.' + draftOf(thread)

export function loadDraft(thread: string): string {
  try {
    return localStorage.getItem(key(thread)) ?? ''
  } catch {
    return ''
  }
}

export function saveDraft(thread: string, text: string): void {
  try {
    if (text) localStorage.setItem(key(thread), text)
    else localStorage.removeItem(key(thread))
  } catch {
    // Storage is full or forbidden: the draft lasts as long as the page.
  }
}
