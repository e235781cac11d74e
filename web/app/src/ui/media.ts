import { signal, type ReadonlySignal } from '@preact/signals'

/** Whether a media query matches, as it changes. */
export function media(query: string): ReadonlySignal<boolean> {
  const m = matchMedia(query)
  const s = signal(m.matches)
  m.addEventListener('change', () => (s.value = m.matches))
  return s
}
