// The page against a running Parley with the demo model: PARLEY_URL says
// where, ARTIFACTS where the pictures go.

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { context, foreign, launch, phone, shot, sidewaysScroll, type Look } from '../browser'
import { hostile } from '../hostile'

const url = process.env.PARLEY_URL ?? 'http://localhost:8080'
const weather = 'What is the weather in Lisbon and in Oslo tomorrow?'
const cited = 'How does Parley survive a replica’s death?'
const failing = process.env.PARLEY_FAILING_QUESTION ?? 'What will the weather be in Xyzzyville-on-Nowhere tomorrow?'

let browser: Browser
let pages: { page: Page; left: string[] }[] = []

beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser.close())

// Whatever a test does: nothing foreign is asked for, no policy broken.
afterEach(async () => {
  const seen = pages
  pages = []
  for (const { page, left } of seen) {
    expect(await page.evaluate(() => window.violations)).toEqual([])
    expect(left).toEqual([])
    await page.context().close()
  }
})

async function open(look: Look = {}, path = '/'): Promise<Page> {
  const page = await (await context(browser, look)).newPage()
  pages.push({ page, left: foreign(page) })
  await page.goto(url + path)
  await live(page)
  return page
}

async function live(page: Page): Promise<void> {
  await page.locator('.link.live').waitFor()
}

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

/** Waits for the end of the newest answer. */
async function ended(page: Page): Promise<void> {
  await page.locator('.turn:last-of-type .foot-row').waitFor({ timeout: 60_000 })
}

const answer = (page: Page) => page.locator('.turn').last().locator('.md').allInnerTexts()

test('weather: calls with status and time, an answer, a title, an address', async () => {
  const page = await open()
  await shot(page, 'empty')
  await page.getByRole('button', { name: weather }).click()
  await ended(page)
  await shot(page, 'weather')
  const cards = page.locator(process.env.PARLEY_WEATHER ? '.tool.ok' : '.tool:is(.ok, .failed)') // failed where the weather service is out of reach
  expect(await cards.count()).toBe(2)
  expect(await cards.first().locator('.took').innerText()).toMatch(/\d\s?m?s$/)
  if (await cards.first().locator('.tool-in').count() === 0) await cards.first().locator('.tool-head').click()
  await page.getByRole('region', { name: 'Arguments' }).first().waitFor()
  expect((await answer(page)).join()).toMatch(/Lisbon[^]*Oslo|Oslo[^]*Lisbon/)
  expect(new URL(page.url()).pathname).toMatch(/^\/c\/./)
  await page.locator('.list li.current').waitFor()
})

test('Stop ends the answer at once, and it can be tried again', async () => {
  const page = await open()
  await ask(page, 'What happens when I press Stop? Tell me at length.')
  await page.locator('.md').first().waitFor()
  const start = Date.now()
  await page.keyboard.press('Escape')
  await page.locator('.notice.calm').waitFor()
  expect(Date.now() - start).toBeLessThan(2_000)
  await shot(page, 'stopped')
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.locator('.notice.calm').waitFor({ state: 'detached' })
  await ended(page)
})

test('a question is edited: what follows goes, in another tab too', async () => {
  const page = await open()
  await ask(page, cited)
  await ended(page)
  await ask(page, weather)
  await ended(page)
  const other = await page.context().newPage()
  await other.goto(page.url())
  await ended(other)
  await page.locator('.asked').first().hover()
  await page.getByRole('button', { name: 'Edit the question' }).first().click()
  await page.getByLabel('Your question').fill('What happens when I press Stop?')
  await shot(page, 'edit')
  await page.keyboard.press('Enter')
  for (const tab of [page, other]) {
    await expect.poll(() => tab.locator('.question').allInnerTexts()).toEqual(['What happens when I press Stop?'])
    await ended(tab)
  }
  expect(await answer(other)).toEqual(await answer(page))
  await page.reload()
  await ended(page)
  expect(await answer(page)).toEqual(await answer(other))
})

test('a reload in the middle of an answer loses nothing', async () => {
  const page = await open()
  await ask(page, cited)
  await page.locator('.answer').waitFor()
  await page.waitForURL(/\/c\/./)
  await page.reload()
  await live(page)
  await ended(page)
  expect(await page.locator('.question').allInnerTexts()).toEqual([cited])
  expect((await answer(page)).join().length).toBeGreaterThan(20)
})

test('a second tab shows the same text, while it grows and at the end', async () => {
  const page = await open()
  await ask(page, cited)
  await page.waitForURL(/\/c\/./)
  const other = await page.context().newPage()
  await other.goto(page.url())
  await Promise.all([ended(page), ended(other)])
  expect(await answer(other)).toEqual(await answer(page))
})

test('a tab that looks at a conversation is told when another deletes it', async () => {
  const page = await open()
  await ask(page, cited)
  await page.waitForURL(/\/c\/./)
  const other = await page.context().newPage()
  await other.goto(page.url())
  await other.locator('.turn').waitFor()
  const id = new URL(page.url()).pathname.replace('/c/', '')
  expect(await page.evaluate((id) => fetch('/v1/conversations/' + id, { method: 'DELETE' }).then((r) => r.status), id)).toBe(204)
  await other.getByText('This conversation is not here').waitFor()
  expect(await other.locator('.turn').count()).toBe(0)
  await other.locator(`a[href$="${id}"]`).waitFor({ state: 'detached' })
  await shot(other, 'deleted-elsewhere')
  await other.getByRole('button', { name: 'Start a new chat' }).click()
  await other.getByLabel('Message').waitFor()
})

test('a connection cut three times leaves no gap and no double', async () => {
  const page = await (await context(browser)).newPage()
  pages.push({ page, left: foreign(page) })
  const cuts: (() => Promise<void>)[] = []
  await page.routeWebSocket('**/v1/ws', (ws) => {
    const server = ws.connectToServer()
    cuts.push(() => Promise.all([ws.close({ code: 1012 }), server.close()]).then(() => {}))
  })
  await page.goto(url)
  await live(page)
  await ask(page, cited)
  await page.waitForURL(/\/c\/./)
  for (let i = 0; i < 3; i++) {
    await cuts[i]!()
    await expect.poll(() => cuts.length, { timeout: 20_000 }).toBe(i + 2)
    await live(page)
  }
  await ended(page)
  const shown = await answer(page)
  await page.reload()
  await ended(page)
  expect(await answer(page)).toEqual(shown)
})

test('a citation opens its passage, in the document too', async () => {
  for (const [name, look] of [['citation', {}], ['citation-phone', phone]] as const) {
    const page = await open(look)
    await ask(page, cited)
    await ended(page)
    await page.locator('.cite').first().click()
    await page.getByRole('dialog').waitFor()
    await page.waitForTimeout(250) // the sheet has risen
    await shot(page, name)
    await page.getByRole('button', { name: 'Show in document' }).click()
    await page.locator('.document mark').waitFor()
    expect((await page.locator('.document mark').innerText()).trim().length).toBeGreaterThan(10)
    await shot(page, name + '-document')
    await page.keyboard.press('Escape')
    expect(await page.getByRole('dialog').count()).toBe(0)
  }
})

test('a tool that fails is red and open, its error first', async () => {
  const page = await open()
  await ask(page, failing)
  await page.locator('.tool.failed').waitFor({ timeout: 60_000 })
  const card = page.locator('.tool.failed').first()
  expect(await card.locator('.tool-head').getAttribute('aria-expanded')).toBe('true')
  expect(await card.locator('h3').first().innerText()).toBe('Error')
  await ended(page)
  await shot(page, 'failed-tool')
})

test('a phone: nothing scrolls sideways, the drawer opens and closes', async () => {
  const page = await open(phone)
  await ask(page, weather)
  await ended(page)
  expect(await sidewaysScroll(page)).toBe(0)
  await shot(page, 'phone')
  await page.getByRole('button', { name: 'Conversations' }).click()
  await page.locator('.list a').first().waitFor()
  await page.waitForTimeout(300) // the drawer has come in
  await shot(page, 'phone-drawer')
  await page.keyboard.press('Escape')
  await page.locator('.scrim').waitFor({ state: 'hidden' })
})

test('dark, on both widths', async () => {
  for (const [name, look] of [['dark', { dark: true }], ['dark-phone', { ...phone, dark: true }]] as const) {
    const page = await open(look)
    await ask(page, weather)
    await ended(page)
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toContain('dark')
    await shot(page, name)
  }
})

test('keyboard alone: ask, read on, open a call, rename, delete and undo', async () => {
  const page = await open()
  await page.keyboard.type(weather)
  await page.keyboard.press('Enter')
  await ended(page)
  const head = page.locator('.tool-head').first()
  const before = await head.getAttribute('aria-expanded')
  await head.focus()
  await page.keyboard.press('Enter')
  expect(await head.getAttribute('aria-expanded')).not.toBe(before)
  const row = page.locator('.list li.current')
  let save = () => {} // the title is saved late: the list that Undo brings has the old one
  const saved = new Promise<void>((done) => (save = done))
  await page.route('**/v1/conversations/*', async (route) => {
    if (route.request().method() === 'PATCH') await saved
    await route.continue()
  })
  await row.getByRole('button').focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Enter')
  await page.getByLabel('Title').fill('Two cities')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Two cities' }).waitFor()
  await row.getByRole('button').focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Undo' }).focus()
  const listed = page.waitForResponse((r) => new URL(r.url()).pathname === '/v1/conversations')
  await page.keyboard.press('Enter')
  await listed
  save()
  await page.getByRole('link', { name: 'Two cities' }).waitFor()
})

test('hostile text is text', async () => {
  const page = await open()
  let dialogs = 0
  page.on('dialog', (d) => (dialogs++, void d.dismiss()))
  await ask(page, hostile.join('\n\n'))
  await ended(page)
  expect(await page.locator('.md :is(script, style, img, iframe, form, svg, object, embed)').count()).toBe(0)
  expect(dialogs).toBe(0)
})

test('a message sent just before a reload arrives once', async () => {
  const page = await open()
  await ask(page, 'Once only')
  await page.reload()
  await live(page)
  // The reload may have begun before the answer came and the address changed:
  // then the conversation waits in the list.
  const listed = page.locator('.list li a').first()
  await listed.waitFor()
  if (new URL(page.url()).pathname === '/') await listed.click()
  await ended(page)
  expect(await page.locator('.question').allInnerTexts()).toEqual(['Once only'])
  expect(await page.locator('.list li').count()).toBe(1)
})
