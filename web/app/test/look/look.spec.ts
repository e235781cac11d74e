// The page against a gateway in the test: pictures of every state, and what a
// person would notice in each.

import type { Browser, Page } from 'playwright-core'
import type { Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { context, launch, phone, shot, sidewaysScroll, type Look } from '../browser'
import { FakeGateway, serveDist } from './fakegw'
import { architecture, citedAnswer, conversations, failedTool, formed, sources, weather } from './scenes'

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

async function open(look: Look, f?: (gw: FakeGateway) => void, path = '/'): Promise<{ page: Page; gw: FakeGateway }> {
  const c = await context(browser, look)
  const page = await c.newPage()
  page.on('pageerror', (e) => { throw e })
  const gw = new FakeGateway()
  gw.conversations = conversations()
  gw.documents = { architecture }
  f?.(gw)
  await gw.install(page)
  await page.goto(url + path)
  await page.getByText('live', { exact: true }).waitFor()
  return { page, gw }
}

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

const looks: [string, Look][] = [
  ['desk-light', {}],
  ['desk-dark', { dark: true }],
  ['phone-light', phone],
  ['phone-dark', { ...phone, dark: true }],
]

describe.each(looks)('%s', (name, look) => {
  test('every state has its picture, none scrolls sideways, none breaks the policy', async () => {
    const { page, gw } = await open(look)
    await shot(page, `${name}-1empty`)
    gw.onSend = () => weather(gw, 'half')
    await ask(page, 'What is the weather in Lisbon and in Oslo tomorrow?')
    await page.getByText('Take a light').waitFor()
    await shot(page, `${name}-2streaming`)
    weather(gw, 'rest')
    await page.getByRole('button', { name: 'Answer anew' }).waitFor()
    await page.locator('.hljs-keyword').first().waitFor()
    await shot(page, `${name}-3done`)
    await page.locator('.tool-head').first().click()
    await shot(page, `${name}-4tool`)
    gw.onSend = () => failedTool(gw)
    await ask(page, 'Search the documents for offset recovery')
    await page.getByText('from memory').waitFor()
    expect(await page.locator('.tool.failed .field').first().textContent()).toContain('timed out')
    await shot(page, `${name}-5failed`)
    gw.onSend = () => citedAnswer(gw)
    await ask(page, 'How does Parley survive a replica’s death?')
    await page.locator('.cite').first().waitFor()
    await page.locator('.cite').first().click()
    await page.getByText('Show in document').waitFor()
    await page.waitForTimeout(250) // the sheet has risen
    await shot(page, `${name}-6citation`)
    await page.getByText('Show in document').click()
    await page.locator('mark').waitFor()
    expect(await page.locator('mark').textContent()).toBe(sources[0]!.text)
    await shot(page, `${name}-7document`)
    await page.keyboard.press('Escape')
    expect(await page.locator('dialog').count()).toBe(0)
    expect(await sidewaysScroll(page)).toBe(0)
    expect(await page.evaluate(() => window.violations)).toEqual([])
    await page.context().close()
  })

  test('an answer in a format', async () => {
    const { page, gw } = await open(look)
    const code = page.locator('.code.json')
    gw.onSend = () => formed(gw, 'half')
    await ask(page, 'Which prices rose?')
    await code.getByText('*Huber*').waitFor()
    expect(await code.locator('.fits, button').count()).toBe(0)
    await shot(page, `${name}-11json-written`)
    formed(gw, 'rest')
    await code.getByText('matches supplier_prices').waitFor()
    await code.locator('.hljs-attr').first().waitFor()
    expect(await code.locator('code').textContent()).toContain('\n  "id": 90071992547409931,\n  "note": "<b>as of')
    await shot(page, `${name}-12json`)
    gw.onSend = () => formed(gw, 'wrong')
    await ask(page, 'And all of them?')
    await page.locator('.fits.not').waitFor()
    expect(await code.nth(1).locator('code').textContent()).toBe('Here it is: {"suppliers":')
    await shot(page, `${name}-13json-wrong`)
    expect(await sidewaysScroll(page)).toBe(0)
    expect(await page.evaluate(() => window.violations)).toEqual([])
    await page.context().close()
  })

  test('a question that waits for a free place', async () => {
    const { page, gw } = await open(look)
    gw.full = true
    await ask(page, 'Which of our suppliers raised their prices this year, and by how much?')
    await page.getByText('sent', { exact: true }).waitFor()
    await gw.until('sub')
    gw.place(12)
    await page.getByText('waiting · 12 ahead of you').waitFor()
    gw.place(3)
    await page.getByText('waiting · 3 ahead of you').waitFor()
    await shot(page, `${name}-10waiting`)
    expect(await sidewaysScroll(page)).toBe(0)
    await page.reload()
    await page.getByText('Which of our suppliers').first().waitFor()
    gw.place(0)
    await page.getByText('waiting · you are next').waitFor()
    gw.emit({ type: 'conversation.message', said: { id: 'u1', role: 'user', content: 'Which of our suppliers raised their prices this year, and by how much?' } })
    gw.begin('ru1', 'u1')
    gw.text('w1', 'Two of them did.')
    await page.getByText('Two of them did.').waitFor()
    expect(await page.getByText('waiting ·').count()).toBe(0)
    await page.context().close()
  })

  test('stopped, failed, queued, taken over and offline', async () => {
    const { page, gw } = await open(look)
    gw.onSend = () => gw.text('s1', 'Pressing Stop sends a *cancel* command. ')
    await ask(page, 'What happens when I press Stop?')
    await page.getByText('Pressing Stop').waitFor()
    await ask(page, 'And then?')
    await page.getByText('waits for the answer above').waitFor()
    gw.emit({ type: 'conversation.takeover', runId: 'ru1', try: 2 })
    gw.text('s2', 'Pressing **Stop** sends a cancel command to whichever replica ', 'answers.')
    await page.getByText('continued by another replica').waitFor()
    await shot(page, `${name}-8takeover`)
    await page.keyboard.press('Escape')
    const cancel = await gw.until('cancel')
    expect(cancel).toMatchObject({ c: 'c1', run: 'ru1' })
    gw.finish('cancelled')
    await page.getByText('Stopped here.').waitFor()
    gw.emit({ type: 'conversation.message', said: gw.state.queued![0]! })
    gw.begin('r9', 'u2')
    gw.fail('model_unavailable', 'The model did not answer: connection refused at api.example.com. Try again, or choose another model.')
    await page.getByText('connection refused').waitFor()
    gw.refuse = true
    await gw.cut()
    await page.getByText('reconnecting', { exact: true }).waitFor()
    await ask(page, 'Is anybody there?')
    await page.getByText('kept here').waitFor()
    await shot(page, `${name}-9offline`)
    gw.refuse = false
    gw.onSend = () => {}
    await page.getByText('live', { exact: true }).waitFor({ timeout: 20_000 })
    await page.locator('.thinking').waitFor()
    expect(gw.heard.filter((h) => h.msg?.content === 'Is anybody there?')).toHaveLength(1)
    await page.context().close()
  })
})

test('the drawer on a phone', async () => {
  const { page } = await open(phone)
  await page.getByRole('button', { name: 'Conversations' }).click()
  await page.getByRole('link', { name: 'Register the orders API' }).waitFor()
  await page.waitForTimeout(300)
  await shot(page, 'phone-light-drawer')
  await page.context().close()
})
