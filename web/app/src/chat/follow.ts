// Scrolling of a thread: the end is kept in view as long as the reader is
// there, and nothing moves under a reader who is elsewhere.

import { signal } from '@preact/signals'

const slack = 60 // px from the end that still count as the end
const early = 600 // px from the top at which older messages are fetched

export class Follow {
  readonly atEnd = signal(true)
  private following = true
  private height = 0
  private top = 0 // where the last scroll event saw it
  private box: HTMLElement | undefined
  private observer: ResizeObserver | undefined

  constructor(private readonly onTop: () => void) {}

  attach(box: HTMLElement): () => void {
    this.box = box
    const content = box.firstElementChild!
    this.observer = new ResizeObserver(() => this.grown())
    this.observer.observe(content)
    this.observer.observe(box)
    box.addEventListener('scroll', this.scrolled, { passive: true })
    content.addEventListener('click', this.clicked, true)
    this.toEnd()
    return () => {
      this.observer?.disconnect()
      box.removeEventListener('scroll', this.scrolled)
      content.removeEventListener('click', this.clicked, true)
      this.box = undefined
    }
  }

  toEnd(smooth = false): void {
    this.following = true
    const box = this.box
    if (!box) return
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches
    box.scrollTo({ top: box.scrollHeight, behavior: smooth && !calm ? 'smooth' : 'instant' })
    this.atEnd.value = true
  }

  /** To be called when something was put above what is in view. */
  prepended(): void {
    const box = this.box
    if (!box || this.following) return
    box.scrollTop += box.scrollHeight - this.height
    this.height = box.scrollHeight
  }

  private grown(): void {
    const box = this.box
    if (!box) return
    if (this.following) box.scrollTop = box.scrollHeight
    this.height = box.scrollHeight
    this.top = Math.min(this.top, box.scrollTop)
    this.atEnd.value = this.gap() <= slack
    if (box.scrollTop < early) this.onTop()
  }

  private scrolled = (): void => {
    const top = this.box!.scrollTop
    const end = this.gap() <= slack
    if (end) this.following = true
    else if (top < this.top) this.following = false // and not because the text grew
    this.top = top
    this.atEnd.value = end || this.following
    if (top < early) this.onTop()
  }

  /** What the reader opens should not move away. */
  private clicked = (e: Event): void => {
    if ((e.target as Element).closest('[aria-expanded], summary')) this.following = false
  }

  private gap(): number {
    const b = this.box
    return b ? b.scrollHeight - b.scrollTop - b.clientHeight : 0
  }
}
