// Files in the page against a running Parley with the demo model: see
// chat.spec.ts.

import type { Browser, Page } from 'playwright-core'
import { deflateSync, crc32 } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { context, foreign, launch, phone, shot, sidewaysScroll, type Look } from '../browser'

const url = process.env.PARLEY_URL ?? 'http://localhost:8080'

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser.close())

async function open(look: Look): Promise<{ page: Page; left: string[] }> {
  const page = await (await context(browser, look)).newPage()
  const left = foreign(page)
  await page.goto(url)
  await page.locator('.link.live').waitFor()
  return { page, left }
}

/** A picture: bars on a ground. */
function png(width = 320, height = 200): Buffer {
  const rows = Buffer.alloc(height * (1 + width * 3))
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const bar = Math.floor(x / 40)
      const on = x % 40 > 8 && y > height - (bar * 37) % 160 - 20
      rows.set(on ? [13, 92, 99] : [244, 242, 236], y * (1 + width * 3) + 1 + x * 3)
    }
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length, 0)
    body.copy(out, 4)
    out.writeUInt32BE(crc32(body), body.length + 4)
    return out
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))])
}

/** Pastes or drops a file as a person does. */
async function give(page: Page, how: 'paste' | 'drop', name: string, type: string, text: string): Promise<void> {
  await page.getByLabel('Message').evaluate(
    (box, { how, name, type, text }) => {
      const t = new DataTransfer()
      t.items.add(new File([text], name, { type }))
      const e = how === 'paste' ? new ClipboardEvent('paste', { clipboardData: t, bubbles: true, cancelable: true }) : new DragEvent('drop', { dataTransfer: t, bubbles: true, cancelable: true })
      box.dispatchEvent(e)
    },
    { how, name, type, text },
  )
}

const looks: [string, Look][] = [
  ['light', {}],
  ['dark', { dark: true }],
  ['phone', phone],
  ['phone-dark', { ...phone, dark: true }],
]

test.each(looks)('files are attached, removed, sent and shown: %s', async (name, look) => {
  const { page, left } = await open(look)
  const picker = page.locator('input[type=file]')
  await picker.setInputFiles([
    { name: 'sales by region.png', mimeType: 'image/png', buffer: png() },
    { name: 'a very long name of a file with the numbers of the whole last year.csv', mimeType: 'text/csv', buffer: Buffer.from('name,sum\nAnn,3\n') },
  ])
  await give(page, 'paste', 'pasted.txt', 'text/plain', 'pasted words')
  await give(page, 'drop', 'broken.png', 'image/png', 'no picture at all')
  await page.locator('.tray-item.bad').waitFor()
  expect(await page.locator('.tray-item.bad').innerText()).toMatch(/no image/)
  await page.locator('.tray-item progress').first().waitFor({ state: 'detached' })
  expect(await page.locator('.tray-item').count()).toBe(4)
  await page.getByLabel('Message').fill('What is in these files?')
  await shot(page, 'files-tray-' + name)
  await page.reload() // what is up stays with the draft
  await page.locator('.link.live').waitFor()
  expect(await page.locator('.tray-item').count()).toBe(3)
  await page.getByRole('button', { name: 'Remove pasted.txt' }).press('Enter')
  expect(await page.locator('.tray-item').count()).toBe(2)
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.locator('.turn:last-of-type .foot-row').waitFor({ timeout: 60_000 })
  expect(await page.locator('.tray').count()).toBe(0)
  const picture = page.locator('.asked .picture img')
  await expect.poll(() => picture.evaluate((i: HTMLImageElement) => i.naturalWidth)).toBe(320)
  expect(await page.locator('.asked .chip').innerText()).toMatch(/a very long name/)
  expect(await sidewaysScroll(page)).toBe(0)
  await shot(page, 'files-sent-' + name)
  await page.reload() // from the log alone
  await page.locator('.asked .picture img').waitFor()
  expect(await page.locator('.asked .chip').count()).toBe(1)
  await page.getByLabel('Message').fill('Draw the sales chart')
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.locator('.turn:last-of-type .foot-row').waitFor({ timeout: 60_000 })
  if (process.env.PARLEY_CHART) {
    await expect.poll(() => page.locator('.tool .picture img').last().evaluate((i: HTMLImageElement) => i.naturalWidth)).toBe(320)
    await shot(page, 'files-tool-' + name)
  }
  expect(await page.evaluate(() => window.violations)).toEqual([])
  expect(left).toEqual([])
  await page.context().close()
})
