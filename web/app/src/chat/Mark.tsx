import { ask, pending } from './app-state'
import type { ConvView } from './view'
import * as icons from '../ui/icons'

/** Where a conversation was summarised: from here on the model is shown the summary of what stands above. */
export function Summary({ view, id }: { view: ConvView; id: string }) {
  const s = view.message(id).value.metadata?.parley.summary
  if (!s) return null
  return (
    <details class="summarised">
      <summary><icons.Chevron />Summarised up to here</summary>
      <p class="why">The conversation became long. From here on the model is shown this in place of what stands above.</p>
      <p class="text" dir="auto">{s.text}</p>
    </details>
  )
}

/** What could be asked next. */
export function Suggestions({ view }: { view: ConvView }) {
  const lines = view.suggestions.value
  if (!lines.length || pending.value.length) return null
  return (
    <ul class="suggested" aria-label="What you could ask next">
      {lines.map((line) => (
        <li key={line}><button type="button" dir="auto" onClick={() => ask(line)}>{line}</button></li>
      ))}
    </ul>
  )
}
