import { signal } from '@preact/signals'
import * as icons from './icons'

type Theme = 'light' | 'dark' | 'system'

const theme = signal<Theme>((document.documentElement.dataset.theme as Theme | undefined) ?? 'system')

function choose(t: Theme): void {
  theme.value = t
  if (t === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = t
  try {
    localStorage.setItem('parley.theme', t)
  } catch {
    // Storage is forbidden: the choice lasts as long as the page.
  }
}

const choices = [
  ['system', 'As the system', icons.Screen],
  ['light', 'Light', icons.Sun],
  ['dark', 'Dark', icons.Moon],
] as const

export function ThemeSwitch() {
  return (
    <div class="themes" role="group" aria-label="Theme">
      {choices.map(([t, label, Icon]) => (
        <button type="button" key={t} title={label} aria-label={label} aria-pressed={theme.value === t} onClick={() => choose(t)}>
          <Icon />
        </button>
      ))}
    </div>
  )
}
