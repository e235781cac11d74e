// axe over the states of the page, and the page by keyboard alone.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import type { Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { context, launch, phone, sidewaysScroll, type Look } from '../browser'
import { FakeGateway, serveDist } from './fakegw'
import { architecture, citedAnswer, conversations, failedTool, formed, weather } from './scenes'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

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

async function open(look: Look): Promise<{ page: Page; gw: FakeGateway }> {
  const page = await (await context(browser, { ...look, calm: true })).newPage()
  const gw = new FakeGateway()
  gw.conversations = conversations()
  gw.documents = { architecture }
  await gw.install(page)
  await page.goto(url)
  await page.getByText('live', { exact: true }).waitFor()
  return { page, gw }
}

async function faults(page: Page): Promise<string[]> {
  const cdp = await page.context().newCDPSession(page) // past the policy, as a debugger is
  await cdp.send('Runtime.evaluate', { expression: axe })
  const { result } = await cdp.send('Runtime.evaluate', {
    expression: `axe.run({ runOnly: ${JSON.stringify(tags)} }).then((r) => JSON.stringify(r.violations.map((v) => v.impact + ' ' + v.id + ': ' + v.nodes.map((n) => n.target + ' ' + n.failureSummary).join(' | '))))`,
    awaitPromise: true,
  })
  return JSON.parse(result.value as string) as string[]
}

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

const looks: [string, Look][] = [['desk light', {}], ['desk dark', { dark: true }], ['phone light', phone], ['phone dark', { ...phone, dark: true }], ['320 px', { ...phone, width: 320 }]]

describe.each(looks)('%s', (_, look) => {
  test('axe finds nothing, nothing scrolls sideways', async () => {
    const { page, gw } = await open(look)
    expect(await faults(page)).toEqual([])
    gw.onSend = () => weather(gw, 'half')
    await ask(page, 'Weather?')
    await page.getByText('Take a light').waitFor()
    expect(await faults(page)).toEqual([])
    weather(gw, 'rest')
    await page.locator('.hljs-keyword').first().waitFor()
    gw.onSend = () => failedTool(gw)
    await ask(page, 'Search')
    await page.getByText('from memory').waitFor()
    expect(await faults(page)).toEqual([])
    await page.getByRole('button', { name: 'Edit the question' }).first().click()
    await page.getByText('Everything below is replaced.').waitFor()
    expect(await faults(page)).toEqual([])
    expect(await sidewaysScroll(page)).toBe(0)
    await page.keyboard.press('Escape')
    gw.onSend = () => [formed(gw, 'half'), formed(gw, 'rest')]
    await ask(page, 'JSON')
    await page.locator('.hljs-attr').first().waitFor()
    gw.onSend = () => formed(gw, 'wrong')
    await ask(page, 'JSON?')
    await page.locator('.fits.not').waitFor()
    expect(await faults(page)).toEqual([])
    expect(await sidewaysScroll(page)).toBe(0)
    gw.onSend = () => citedAnswer(gw)
    await ask(page, 'Replica?')
    await page.locator('.cite').first().click()
    await page.getByText('Show in document').click()
    await page.locator('mark').waitFor()
    expect(await faults(page)).toEqual([])
    expect(await sidewaysScroll(page)).toBe(0)
    await page.context().close()
  })
})

test('all by keyboard: ask, stop, open a call, open and close a source, rename', async () => {
  const { page, gw } = await open({})
  const key = (k: string) => page.keyboard.press(k)
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('composer')
  gw.onSend = () => citedAnswer(gw)
  await page.keyboard.type('How?')
  await key('Enter')
  await page.locator('.cite').first().waitFor()
  await page.locator('.tool-head').focus()
  await key('Enter')
  await page.getByRole('region', { name: 'Result' }).waitFor()
  await page.locator('.cite').first().focus()
  await key('Enter')
  await page.getByRole('dialog').waitFor()
  await key('Escape')
  expect(await page.getByRole('dialog').count()).toBe(0)
  expect(await page.evaluate(() => document.activeElement?.className)).toBe('cite')
  await page.getByRole('button', { name: 'Actions for Compare three' }).focus()
  await key('Enter')
  await key('Enter')
  await page.getByLabel('Title').waitFor()
  await page.keyboard.type('Renamed')
  await key('Enter')
  await page.getByRole('link', { name: 'Renamed' }).waitFor()
  gw.onSend = () => gw.text('s1', 'A long story. ')
  await page.getByLabel('Message').focus()
  await page.keyboard.type('Tell me')
  await key('Shift+Enter')
  await page.keyboard.type('everything')
  await key('Enter')
  await page.getByText('A long story').waitFor()
  await key('Escape')
  await gw.until('cancel')
  expect(gw.heard.findLast((h) => h.type === 'send')!.msg!.content).toBe('Tell me\neverything')
  await page.context().close()
})

describe('a question is edited', () => {
  const questions = (page: Page) => page.locator('.question').allInnerTexts()
  const focused = (page: Page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute('aria-label'))
  async function three(look: Look = {}): Promise<{ page: Page; gw: FakeGateway }> {
    const { page, gw } = await open(look)
    gw.onSend = (text) => (gw.text('a-' + text, 'About ' + text + '.'), gw.emit({ type: 'TEXT_MESSAGE_END', messageId: 'a-' + text }), gw.finish())
    for (const text of ['one', 'two', 'three']) {
      await ask(page, text)
      await page.getByText(`About ${text}.`).waitFor()
    }
    return { page, gw }
  }

  test('by keyboard: what follows goes, the composer is next', async () => {
    const { page, gw } = await three()
    await page.getByRole('button', { name: 'Edit the question' }).nth(1).focus()
    await page.keyboard.press('Enter')
    expect(await focused(page)).toBe('Your question')
    expect(await page.getByRole('button', { name: 'Send' }).first().getAttribute('aria-disabled')).toBe('true') // nothing is changed yet
    await page.keyboard.type(' and a half')
    await page.keyboard.press('Enter')
    await page.getByText('About two and a half.').waitFor()
    expect(await questions(page)).toEqual(['one', 'two and a half'])
    expect(await page.getByText('About three.').count()).toBe(0)
    expect(await focused(page)).toBe('composer')
    expect(gw.heard.filter((h) => h.type === 'edit').map((h) => [h.messageId, h.content])).toEqual([['u2', 'two and a half']])
    await page.context().close()
  })

  test('Escape leaves it as it was, and the focus where it came from', async () => {
    const { page, gw } = await three()
    await page.getByRole('button', { name: 'Edit the question' }).first().focus()
    await page.keyboard.press('Enter')
    await page.keyboard.type(' more')
    await page.keyboard.press('Escape')
    expect(await questions(page)).toEqual(['one', 'two', 'three'])
    expect(await focused(page)).toBe('Edit the question')
    expect(gw.heard.some((h) => h.type === 'edit' || h.type === 'cancel')).toBe(false)
    await page.context().close()
  })

  test('a refusal says why and loses nothing that was typed', async () => {
    const { page, gw } = await three()
    await page.getByRole('button', { name: 'Edit the question' }).first().click()
    await page.getByLabel('Your question').fill('one, please')
    gw.busy = true
    await page.getByLabel('Your question').press('Control+Enter')
    await page.getByText('The answer is still being written.').waitFor()
    expect(await page.getByLabel('Your question').inputValue()).toBe('one, please')
    expect(await questions(page)).toEqual(['two', 'three'])
    await page.context().close()
  })

  test('not while an answer is written', async () => {
    const { page, gw } = await three()
    gw.onSend = () => gw.text('a4', 'A long story. ')
    await ask(page, 'four')
    await page.getByText('A long story').waitFor()
    const edit = page.getByRole('button', { name: 'Edit the question' }).first()
    expect(await edit.getAttribute('aria-disabled')).toBe('true')
    await edit.click({ force: true }) // as a person would
    expect(await page.getByLabel('Your question').count()).toBe(0)
    gw.finish()
    await edit.and(page.locator('[aria-disabled="false"]')).waitFor()
    await page.context().close()
  })

  test('what waits for its turn stands in its place, at once', async () => {
    const { page, gw } = await three(phone)
    gw.full = true
    await page.getByRole('button', { name: 'Edit the question' }).nth(1).tap() // it is there without a pointer
    await page.getByLabel('Your question').fill('zwei')
    await page.getByRole('form', { name: 'Edit the question' }).getByRole('button', { name: 'Send' }).tap()
    await page.locator('.pending').waitFor()
    expect(await questions(page)).toEqual(['one', 'zwei'])
    expect(gw.state.messages).toHaveLength(6)
    await page.context().close()
  })
})

test('an input method’s Enter does not send', async () => {
  const { page, gw } = await open({})
  await page.getByLabel('Message').fill('にほん')
  await page.getByLabel('Message').dispatchEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true })
  await page.getByLabel('Message').dispatchEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true })
  expect(gw.heard.some((h) => h.type === 'send')).toBe(false)
  await page.context().close()
})

test('a draft survives a reload, each conversation has its own', async () => {
  const { page } = await open({})
  await page.getByLabel('Message').fill('half a thought')
  await page.reload()
  await page.getByText('live', { exact: true }).waitFor()
  expect(await page.getByLabel('Message').inputValue()).toBe('half a thought')
  await page.getByRole('link', { name: 'Register the orders API' }).click()
  expect(await page.getByLabel('Message').inputValue()).toBe('')
  await page.context().close()
})

test('one announcement per answer', async () => {
  const { page, gw } = await open({})
  await page.evaluate(() => {
    const w = window as unknown as { said: string[] }
    w.said = []
    const live = document.querySelector('.sr[aria-live]')!
    new MutationObserver(() => live.textContent && w.said.push(live.textContent)).observe(live, { childList: true, characterData: true, subtree: true })
  })
  const said = () => page.evaluate(() => (window as unknown as { said: string[] }).said)
  let n = 0
  gw.onSend = () => gw.text('a' + ++n, 'Some', ' words.')
  for (const spoken of [[], ['Answer complete.']]) {
    await ask(page, 'How?')
    await page.getByText('Some words.').nth(spoken.length).waitFor()
    expect(await said()).toEqual(spoken)
    gw.finish()
    gw.emit({ type: 'conversation.titled', title: 'Late ' + n })
    await page.waitForFunction((k) => (window as unknown as { said: string[] }).said.length > k, spoken.length)
  }
  expect(await said()).toEqual(['Answer complete.', 'Answer complete.'])
  await page.context().close()
})
