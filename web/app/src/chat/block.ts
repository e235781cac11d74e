// From a block of Markdown to elements of the page.

import type { Block } from '../core/mdstream'
import { sanitize } from '../core/sanitize'
import { copy } from '../ui/clipboard'
import { colour } from './colour'

/**
 * Draws a block. An open block of code is written on in the element that
 * shows it, old, so that its scroll position and selection last.
 */
export function drawBlock(b: Block, sealed: boolean, cite: (ref: string) => Node, old?: HTMLElement): HTMLElement {
  if (b.kind === 'code') return drawCode(b, sealed, old)
  const div = document.createElement('div')
  div.className = 'block'
  div.append(sanitize(b.html))
  for (const sup of div.querySelectorAll('[data-ref]')) sup.replaceWith(cite(sup.getAttribute('data-ref')!))
  for (const table of div.querySelectorAll('table')) table.replaceWith(scrollBox(table))
  for (const pre of div.querySelectorAll('pre')) pre.tabIndex = 0
  return div
}

/** A table may be wider than the column: it scrolls by itself, by keyboard too. */
function scrollBox(table: HTMLTableElement): HTMLElement {
  const box = document.createElement('div')
  box.className = 'table'
  box.tabIndex = 0
  box.setAttribute('role', 'region')
  box.setAttribute('aria-label', 'Table')
  box.append(table.cloneNode(true))
  return box
}

function drawCode(b: Extract<Block, { kind: 'code' }>, sealed: boolean, old?: HTMLElement): HTMLElement {
  const box = old?.classList.contains('code') && old.dataset.lang === b.lang ? old : codeBox(b.lang)
  const code = box.querySelector('code')!
  code.textContent = b.text
  if (sealed) void colour(code, b.lang)
  return box
}

function codeBox(lang: string): HTMLElement {
  const box = document.createElement('div')
  box.className = 'code'
  box.dataset.lang = lang
  const head = document.createElement('div')
  head.className = 'code-head'
  const name = document.createElement('span')
  name.textContent = lang || 'text'
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = 'Copy'
  button.setAttribute('aria-label', 'Copy the code')
  head.append(name, button)
  const pre = document.createElement('pre')
  pre.tabIndex = 0
  pre.setAttribute('role', 'region')
  pre.setAttribute('aria-label', lang ? `Code, ${lang}` : 'Code')
  const code = document.createElement('code')
  pre.append(code)
  box.append(head, pre)
  button.onclick = async () => {
    if (!(await copy(code.textContent ?? ''))) return
    button.textContent = 'Copied'
    setTimeout(() => (button.textContent = 'Copy'), 1_600)
  }
  return box
}
