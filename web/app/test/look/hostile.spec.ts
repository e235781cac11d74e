// Hostile answers, piece by piece, in a real browser: nothing runs, nothing
// leaves, and the policy is not even needed.

import type { Server } from 'node:http'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { context, foreign, launch, shot } from '../browser'
import { hostile } from '../hostile'
import { FakeGateway, serveDist } from './fakegw'

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

test('answers, questions, titles, tool results and sources are text', async () => {
  const page = await (await context(browser)).newPage()
  const left = foreign(page)
  const gw = new FakeGateway()
  await gw.install(page)
  let dialogs = 0
  page.on('dialog', (d) => (dialogs++, void d.dismiss()))
  await page.goto(url)
  await page.getByText('live', { exact: true }).waitFor()
  const all = hostile.join('\n\n')
  gw.onSend = () => {
    gw.emit({ type: 'conversation.titled', title: hostile[1] })
    gw.call('k1', 'search', { q: all }, { method: 'GET', host: hostile[0]! })
    const source = { ref: 'd:1', document: 'd', title: hostile[1]!, headings: [hostile[0]!], text: all, start: 0, end: 5 }
    gw.result('k1', all, { latencyMs: 3, failed: true, reason: hostile[1] }, [source])
    gw.text('a1')
    for (let i = 0; i < all.length; i += 3) gw.emit({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'a1', delta: all.slice(i, i + 3) })
    gw.emit({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'a1', delta: '\n\nThe end [d:1].' })
    gw.finish()
  }
  await page.getByLabel('Message').fill(all)
  await page.getByRole('button', { name: 'Send' }).click()
  await page.locator('.cite').last().click()
  await page.getByRole('dialog').waitFor()
  await shot(page, 'hostile')
  const found = await page.evaluate(() => ({
    elements: document.querySelectorAll('.md :is(script, style, img, iframe, form, input, svg, math, base, meta, video, object, embed)').length,
    handlers: [...document.querySelectorAll('.md *')].flatMap((e) => [...e.attributes]).filter((a) => /^on|^style$/.test(a.name)).length,
    links: [...document.querySelectorAll('.md a[href]')].map((a) => a.getAttribute('href')),
    violations: window.violations,
  }))
  expect(found).toMatchObject({ elements: 0, handlers: 0, violations: [] })
  for (const href of found.links) expect(href).toMatch(/^(https?:\/\/|mailto:)/)
  expect([dialogs, left]).toEqual([0, []])
  await page.context().close()
})
