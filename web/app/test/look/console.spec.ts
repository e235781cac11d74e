// axe over the console's places, in both lights, wide and narrow; what a
// keyboard meets there.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Server } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { context, launch, phone, shot, sidewaysScroll, type Look } from '../browser'
import { FakeGateway, serveDist } from './fakegw'
import { conversations } from './scenes'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

const schema = { type: 'object', properties: { order: { type: 'string', description: 'Its number.' }, full: { type: 'boolean' } }, required: ['order'] }
const stats = { calls: 1240, failed: 31, cached: 410, p50Ms: 84, p95Ms: 640 }
const none = { calls: 0, failed: 0, cached: 0, p50Ms: 0, p95Ms: 0 }
const tools = [
  { name: 'current_time', description: 'Tells the date and time of a place.', effect: 'safe', builtin: true, stats: none },
  { name: 'get_order', description: 'Looks up one order of the shop, with what was bought and where the parcel is.', effect: 'safe', method: 'GET', host: 'shop.example', parameters: schema, stats },
  { name: 'old_prices', description: 'Prices of last year.', effect: 'safe', method: 'GET', host: 'prices.example', disabled: true, approval: 'auto', stats: none },
  { name: 'refund_order', description: 'Gives money back.', effect: 'unsafe', method: 'POST', host: 'payments.shop.example', stats: { ...stats, calls: 12, failed: 1, cached: 0 } },
  { name: 'tracker_search', description: 'Searches the tracker.', effect: 'unsafe', supplied: true, stats: none },
  { name: 'wrong', description: '', effect: 'safe', fault: 'url: has no host', stats: none },
]
const day = Array.from({ length: 96 }, (_, i) => {
  const calls = Math.round(40 + 38 * Math.sin(i / 9) + (i % 5))
  return { at: new Date(Date.UTC(2026, 4, 4) + i * 900_000).toISOString(), ...stats, calls, failed: i % 17 === 3 ? Math.round(calls / 3) : 0 }
})
const answers: Record<string, unknown> = {
  '/v1/session': { signedIn: true },
  '/v1/tools': { tools },
  '/v1/tools/get_order': { name: 'get_order', description: tools[1]!.description, method: 'GET', url: 'https://shop.example/v1/orders/{order}', parameters: schema, headers: { 'X-Api-Key': '•••' }, auth: 'shop' },
  '/v1/tools/get_order/stats': { hour: [], day },
  '/v1/tools/get_order/call': { content: '{"order":{"id":"17","status":"shipped"}}', failed: false, outcome: { method: 'GET', host: 'shop.example', status: 200, latencyMs: 212, requests: 2, retries: 1, bytes: 1840 } },
  '/v1/tools/import': { title: 'Shop', version: '3', counts: { available: 2, skipped: 1 }, operations: [
    { operation: 'GET /orders/{order}', name: 'get_order', summary: 'Looks up an order.', status: 'available' },
    { operation: 'POST /orders/{order}/refund', name: 'refund_order', summary: 'Gives money back.', status: 'available', needs: 'an API key' },
    { operation: 'GET /feed', name: 'feed', status: 'skipped', reason: 'it answers with a stream' },
  ] },
  '/v1/credentials': { credentials: [
    { name: 'shop', kind: 'apiKey', parameter: 'X-Api-Key', value: '•••', origins: ['https://shop.example'], description: 'the shop' },
    { name: 'tracker', kind: 'oauth2', grant: 'authorization_code', tokenUrl: 'https://tracker.example/token', authorizeUrl: 'https://tracker.example/authorize', clientId: 'parley', clientSecret: '•••', origins: ['https://api.tracker.example'], description: 'your tracker' },
  ] },
  '/v1/connections': { connections: [{ credential: 'calendar', description: 'your calendar', since: '2026-05-04T10:00:00Z' }] },
  '/v1/mcp': { servers: [
    { name: 'tracker', url: 'https://tracker.example/mcp', trusted: true, state: { connected: true, tools: 14, software: 'tracker 2.1' } },
    { name: 'wiki', url: 'https://wiki.example/mcp', state: { connected: false, tools: 0, error: 'no answer within 10 s' } },
  ] },
}

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

async function open(look: Look, path: string): Promise<Page> {
  const page = await (await context(browser, { ...look, calm: true })).newPage()
  const gw = new FakeGateway()
  gw.conversations = conversations()
  await gw.install(page)
  await page.route((u) => u.pathname in answers, (route) => route.fulfill({ json: answers[new URL(route.request().url()).pathname] }))
  await page.goto(url + path)
  return page
}

async function faults(page: Page): Promise<string[]> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Runtime.evaluate', { expression: axe })
  const { result } = await cdp.send('Runtime.evaluate', {
    expression: `axe.run({ runOnly: ${JSON.stringify(tags)} }).then((r) => JSON.stringify(r.violations.map((v) => v.impact + ' ' + v.id + ': ' + v.nodes.map((n) => n.target + ' ' + n.failureSummary).join(' | '))))`,
    awaitPromise: true,
  })
  return JSON.parse(result.value as string) as string[]
}

const looks: [string, Look][] = [['desk-light', {}], ['desk-dark', { dark: true }], ['phone-light', phone], ['phone-dark', { ...phone, dark: true }]]
const press = (name: string) => (page: Page) => page.getByRole('button', { name, exact: true }).click()
const places: [string, string, string, ((page: Page) => Promise<void>)?][] = [
  ['tools', '/console/tools', 'refund_order'],
  ['tool', '/console/tools/get_order', '4,501 calls', async (page) => (await press('Call')(page), await page.getByText('Succeeded').waitFor(), await page.getByText('Limits and cache').click())],
  ['form', '/console/tools/+/form', 'By form'],
  ['import', '/console/tools/+/openapi', 'Address of the document', async (page) => (await page.getByText('Names, variables').click(), await page.getByLabel('Address of the document').fill('https://shop.example/openapi.json'), await press('Show operations')(page), await page.getByText('an API key').waitFor())],
  ['curl', '/console/tools/+/curl', 'curl command'],
  ['servers', '/console/servers', 'no answer within'],
  ['server', '/console/servers', 'no answer within', press('tracker')],
  ['credentials', '/console/credentials', 'https://shop.example'],
  ['credential', '/console/credentials', 'https://shop.example', press('tracker')],
  ['connections', '/console/connections', 'your tracker'],
]

describe.each(looks)('%s', (name, look) => {
  test.each(places)('%s', async (place, path, text, more) => {
    const page = await open(look, path)
    await page.getByText(text).first().waitFor()
    await more?.(page)
    await page.evaluate(() => document.getElementById('console')!.scrollTo(0, 0))
    await shot(page, `console-${name}-${place}`)
    expect(await faults(page)).toEqual([])
    expect(await sidewaysScroll(page)).toBe(0)
    expect(await page.evaluate(() => window.violations)).toEqual([])
    await page.context().close()
  })
})

test('by keyboard: what is opened is where the keyboard goes on', async () => {
  const page = await open({}, '/console/tools')
  await page.getByRole('link', { name: 'get_order' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'get_order' }).waitFor()
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('console')
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('All tools')
  await page.getByLabel('order', { exact: true }).focus()
  await page.keyboard.type('17')
  await page.keyboard.press('Enter')
  await page.getByText('Succeeded').waitFor()
  await page.getByRole('button', { name: 'Delete…' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Keep' }).waitFor()
  await page.context().close()
})
