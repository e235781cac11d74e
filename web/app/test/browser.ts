// A Chromium of the system, as the tests of whole pages use it.

import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

const flags = ['--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export function launch(): Promise<Browser> {
  const args = process.getuid?.() === 0 ? [...flags, '--no-sandbox'] : flags
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args })
}

export interface Look {
  width?: number
  height?: number
  dark?: boolean
  touch?: boolean
  calm?: boolean // prefers-reduced-motion
}

export const phone: Look = { width: 390, height: 844, touch: true }

declare global {
  interface Window {
    violations: string[]
  }
}

/** A context whose pages note violations of the Content-Security-Policy. */
export async function context(browser: Browser, look: Look = {}): Promise<BrowserContext> {
  const c = await browser.newContext({
    viewport: { width: look.width ?? 1280, height: look.height ?? 800 },
    colorScheme: look.dark ? 'dark' : 'light',
    reducedMotion: look.calm ? 'reduce' : 'no-preference',
    hasTouch: look.touch,
    isMobile: look.touch,
    deviceScaleFactor: look.touch ? 2 : 1,
    locale: 'en-GB',
  })
  await c.addInitScript(() => {
    window.violations = []
    addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`))
  })
  return c
}

/** Notes what the page asks of anybody but its own origin. */
export function foreign(page: Page): string[] {
  const urls: string[] = []
  page.on('request', (r) => {
    const own = new URL(page.url()).host
    const { protocol, host } = new URL(r.url())
    if (protocol.startsWith('http') && own && host !== own) urls.push(r.url())
  })
  return urls
}

const folder = process.env.ARTIFACTS ?? '/tmp/shots'

/** Takes a picture into the folder that ARTIFACTS names. */
export async function shot(page: Page, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, name + '.png') })
}

export function sidewaysScroll(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}
