// Times and numbers as people read them, in the browser's language.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 })
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const count = new Intl.NumberFormat()
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long' })
const month = new Intl.DateTimeFormat(undefined, { month: 'long', year: 'numeric' })

/** One rule everywhere: ms below a second, then seconds with a tenth, then minutes. */
export function duration(ms: number): string {
  if (ms < 999.5) return whole.format(ms) + '\u00a0ms'
  if (ms < 59_950) return tenth.format(ms / 1_000) + '\u00a0s'
  const s = Math.round(ms / 1_000)
  return `${whole.format(Math.floor(s / 60))}\u00a0min ${whole.format(s % 60)}\u00a0s`
}

export function number(n: number): string {
  return count.format(n)
}

/** What was spent: cents, and for less than a dollar as much as says something. */
export function dollars(micros: number): string {
  const usd = micros / 1_000_000
  const digits = usd >= 1 ? 2 : usd >= 0.01 ? 3 : 5
  return new Intl.NumberFormat(undefined, { style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol', minimumFractionDigits: 2, maximumFractionDigits: digits }).format(usd)
}

export function bytes(n: number): string {
  if (n < 1_000) return whole.format(n) + '\u00a0B'
  if (n < 999_950) return tenth.format(n / 1_000) + '\u00a0kB'
  return tenth.format(n / 1_000_000) + '\u00a0MB'
}

/** How long there is still time, in its largest unit. */
export function timeLeft(ms: number): string {
  if (ms <= 0) return 'no time left'
  const min = Math.ceil(ms / 60_000)
  if (min < 60) return `${whole.format(min)}\u00a0min left`
  const h = Math.round(min / 60)
  return h < 48 ? `${whole.format(h)}\u00a0h left` : `${whole.format(Math.round(h / 24))}\u00a0days left`
}

/** What somebody is told who waits. */
export function waits(ahead: number): string {
  return ahead > 0 ? `waiting · ${number(ahead)} ahead of you` : 'waiting · you are next'
}

export function time(ms: number): string {
  return clock.format(ms)
}

export function dateTime(ms: number): string {
  return full.format(ms)
}

/** The heading of the group that a day falls in, seen from now. */
export function dayGroup(ms: number, now: number): string {
  const days = Math.round((midnight(now) - midnight(ms)) / 86_400_000)
  if (days < 2) return capital(relative.format(-Math.max(days, 0), 'day'))
  if (days < 7) return capital(weekday.format(ms))
  return capital(month.format(ms))
}

function midnight(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0)
}

function capital(s: string): string {
  return s.charAt(0).toLocaleUpperCase() + s.slice(1)
}
