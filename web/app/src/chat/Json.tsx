import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { colour } from './colour'
import { indented } from '../core/json'
import type { Formatted } from '../core/protocol'
import { copy } from '../ui/clipboard'
import * as icons from '../ui/icons'

/** An answer that was to have a format: as it comes while it is written, and indented once it is known what it is. */
export function Json({ text, format }: { text: string; format?: Formatted }) {
  const code = useRef<HTMLElement>(null)
  const lines = useMemo(() => format && indented(text), [text, !format])
  const shown = lines ?? text
  useLayoutEffect(() => {
    code.current!.textContent = shown
    if (format) void colour(code.current!, 'json')
  }, [shown, !format])
  return (
    <div class="md">
      <div class={'code json' + (lines === undefined ? ' raw' : '')} data-lang="json">
        <div class="code-head">
          <span>json</span>
          {format && <Fits format={format} />}
          {format && <Copy text={shown} />}
        </div>
        <pre tabIndex={0} role="group" aria-label="Code, json"><code ref={code} /></pre>
      </div>
    </div>
  )
}

function Fits({ format: { name, valid } }: { format: Formatted }) {
  const any = name === 'json_object' // which has no schema
  const says = valid ? (any ? 'is a JSON object' : 'matches ' + name) : any ? 'is no JSON object' : 'does not match ' + name
  return <span class={'fits' + (valid ? '' : ' not')}>{valid ? <icons.Check /> : <icons.Warn />}<span title={says}>{says}</span></span>
}

function Copy({ text }: { text: string }) {
  const [done, setDone] = useState(false)
  const act = async () => {
    if (!(await copy(text))) return
    setDone(true)
    setTimeout(() => setDone(false), 1_600)
  }
  return <button type="button" aria-label="Copy the code" onClick={() => void act()}>{done ? 'Copied' : 'Copy'}</button>
}
