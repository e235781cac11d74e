// JSON for people to read. Every token stays as it was said: parsing and
// writing it anew would round numbers, drop doubles and order names.

const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/g
const deepest = 40 // that a line is moved in: what nests deeper would be mostly space

/** The JSON with a line for each member; undefined if the text is none. */
export function indented(text: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return
  }
  const out: string[] = []
  let depth = 0
  let last = ''
  const line = () => out.push('\n' + '  '.repeat(Math.min(depth, deepest)))
  for (const [t] of text.matchAll(token)) {
    const closes = t === '}' || t === ']'
    if (closes) depth--
    const empty = closes && (last === '{' || last === '[')
    if (!empty && (closes || last === '{' || last === '[' || last === ',')) line()
    out.push(t === ':' ? ': ' : t)
    if (t === '{' || t === '[') depth++
    last = t
  }
  return out.join('')
}
