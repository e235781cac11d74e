/** A call that runs f once per animation frame, by timer while the page is hidden. */
export interface PerFrame {
  (): void
  now(): void
}

export function perFrame(f: () => void): PerFrame {
  let frame = 0
  let timer = 0
  const now = () => {
    cancelAnimationFrame(frame)
    clearTimeout(timer)
    frame = timer = 0
    f()
  }
  const later = () => {
    if (frame || timer) return
    if (document.hidden) timer = window.setTimeout(now, 250)
    else frame = requestAnimationFrame(now)
  }
  // A frame that was asked for before the page was hidden does not come.
  document.addEventListener('visibilitychange', () => (frame || timer) && now())
  return Object.assign(later, { now })
}
