// The wall between a model's words and the page. Nothing that Markdown yields
// is put into the document but through here.

import DOMPurify from 'dompurify'

const config = {
  USE_PROFILES: { html: true },
  FORBID_TAGS: ['style', 'form', 'input', 'button', 'select', 'textarea', 'img', 'video', 'audio', 'iframe', 'picture', 'source', 'svg', 'math', 'map', 'area'],
  FORBID_ATTR: ['style', 'id', 'name', 'class', 'background', 'tabindex', 'autofocus'],
  ALLOW_DATA_ATTR: false,
  ADD_ATTR: ['data-ref'],
  ADD_URI_SAFE_ATTR: ['data-ref'], // architecture:12 looks like an address
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
} as const

// No relative ones: an answer has no say about Parley's own addresses.
const follow = /^(?:https?:\/\/|mailto:)/i

/** Returns what is harmless of html, its links safe to follow. */
export function sanitize(html: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(html, config as unknown as { RETURN_DOM_FRAGMENT: true })
  for (const a of fragment.querySelectorAll('a')) {
    if (!follow.test(a.getAttribute('href') ?? '')) {
      a.removeAttribute('href')
      continue
    }
    a.rel = 'noopener noreferrer nofollow'
    a.target = '_blank'
  }
  return fragment
}
