// What streaming costs the main thread.

import type { Browser } from 'playwright-core'
import type { Server } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { context, launch } from '../browser'
import { FakeGateway, serveDist } from './fakegw'
import type { Message } from '../../src/core/protocol'

let browser: Browser
let server: Server
let url: string
beforeAll(async () => {
  ;({ url, server } = await serveDist())
  browser = await launch()
})
afterAll(async () => {
  await browser.close()
  server.close()
})

const words = 'the lease lapses and **another** replica reads `the log` and goes on '.split(' ')
const piece = (i: number) => (i % 90 === 89 ? '\n\n' : words[i % words.length] + ' ')

function earlier(n: number): Message[] {
  return Array.from({ length: n }, (_, i) => {
    const user = i % 2 === 0
    const parley = { run: 'r' + (i >> 1), at: 1_700_000_000_000, ...(user ? {} : { status: 'finished', model: 'demo', tookMs: 900 }) }
    return { id: 'o' + i, role: user ? 'user' : 'assistant', content: user ? 'Question ' + i : Array.from({ length: 80 }, (_, j) => piece(j)).join('') + '\n\n```go\nfunc f() {}\n```\n', metadata: { parley } }
  })
}

test('1,000 pieces at 100 a second after 200 messages keep the main thread mostly idle', async () => {
  const page = await (await context(browser)).newPage()
  const gw = new FakeGateway()
  gw.state.messages = earlier(200)
  await gw.install(page)
  await page.goto(url + '/c/c1')
  const start = Date.now()
  await page.getByText('Question 198').waitFor()
  const drawn = Date.now() - start
  await page.getByLabel('Message').fill('Go on')
  await page.getByRole('button', { name: 'Send' }).click()
  await page.locator('.thinking').waitFor()
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
  const metric = async (name: string) => (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === name)!.value
  const busy = () => metric('TaskDuration')
  const parts = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration']
  const before = await Promise.all(parts.map(metric))
  gw.emit({ type: 'TEXT_MESSAGE_START', messageId: 'a1', role: 'assistant' })
  const [t0, b0] = [performance.now(), await busy()]
  for (let i = 0; i < 1_000; i++) {
    gw.emit({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'a1', delta: piece(i) })
    const wait = t0 + i * 10 - performance.now()
    if (wait > 1) await new Promise((ok) => setTimeout(ok, wait))
  }
  const share = (await busy() - b0) / ((performance.now() - t0) / 1_000)
  const after = await Promise.all(parts.map(metric))
  console.log(parts.map((p, i) => p + ' ' + (after[i]! - before[i]!).toFixed(2)).join(', '))
  console.log(`200 messages drawn after ${drawn} ms; streaming busy ${(100 * share).toFixed(1)} %`)
  expect(share).toBeLessThan(0.4) // some of it is the test's own WebSocket; 0.45 without contained turns
  await page.context().close()
})
