// Colours for code, fetched when the first finished block of code needs them.

interface Policy {
  createHTML(html: string): string
}

let policy: Policy | undefined

/** The page's one own policy: for what the highlighter made of plain text. */
function trusted(html: string): string {
  const types = (window as { trustedTypes?: { createPolicy(name: string, p: Policy): Policy } }).trustedTypes
  policy ??= types?.createPolicy('parley', { createHTML: (s) => s }) ?? { createHTML: (s) => s }
  return policy.createHTML(html)
}

export async function colour(code: HTMLElement, lang: string): Promise<void> {
  if (!lang) return
  const text = code.textContent ?? ''
  if (text.length > 50_000) return // not worth the wait
  try {
    const { highlight } = await import('./hl')
    const html = highlight(text, lang)
    if (html !== undefined && code.textContent === text) code.innerHTML = trusted(html)
  } catch {
    // Without colours, then: the file may be of a build that is gone.
  }
}
