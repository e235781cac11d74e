// The feeds that a conversation has pinned, above the message box: what they
// say at the moment, and a menu of those that there are.

import { useEffect, useState } from 'preact/hooks'
import { pulse, session, toast, view } from './app-state'
import * as api from '../ui/api'
import * as icons from '../ui/icons'

const everyMs = 2_000 // while something is pinned and the page is seen

export function Pins({ c }: { c: string }) {
  void pulse.value
  const pins = view.value?.conv.state.pins ?? []
  const pinned = pins.join()
  const [feeds, setFeeds] = useState<api.Feed[]>([])
  useEffect(() => {
    let over = false
    const look = () => document.hidden || api.listFeeds(c).then((r) => over || setFeeds(r.feeds), () => {})
    void look()
    const timer = pinned && setInterval(look, everyMs)
    return () => {
      over = true
      if (timer) clearInterval(timer)
    }
  }, [c, pinned])
  const free = feeds.filter((f) => !pins.includes(f.name))
  if (!feeds.length) return null
  return (
    <div class="pins" role="group" aria-label="Pinned feeds">
      {pins.map((name) => <Chip key={name} c={c} feed={feeds.find((f) => f.name === name) ?? { name, description: '', pinned: true }} />)}
      {free.length > 0 && (
        <>
          <button type="button" class="pin-add" popovertarget="pin-menu" title="Pin a live feed: what it says goes with your questions">
            <icons.Plus /> {pinned ? '' : 'Live feed'}
            {pinned && <span class="sr">Pin a live feed</span>}
          </button>
          <div id="pin-menu" class="menu pin-menu" popover="auto" role="menu">
            {free.map((f) => (
              <button type="button" role="menuitem" key={f.name} onClick={(e) => (e.currentTarget.closest<HTMLElement>('[popover]')!.hidePopover(), pin(c, f.name, true))}>
                <b>{f.name}</b>
                <span>{f.description}</span>
              </button>
            ))}
          </div>
        </>
      )}
    </div>
  )
}

function Chip({ c, feed }: { c: string; feed: api.Feed }) {
  const latest = feed.now?.latest
  const text = latest === undefined ? 'no value' : typeof latest.value === 'string' ? latest.value : JSON.stringify(latest.value)
  const bad = !feed.now || feed.now.stale
  return (
    <span class={'pin' + (bad ? ' stale' : '')} title={feed.now ? feed.now.note || `${feed.description}\n${text}` : 'This feed was deleted.'}>
      <b>{feed.name}</b> <span class="pin-value">{text}</span> {latest && <small>{bad ? `${latest.age} old` : latest.age}</small>}
      <button type="button" aria-label={`Unpin ${feed.name}`} title="Unpin" onClick={() => pin(c, feed.name, false)}>
        <icons.Cross />
      </button>
    </span>
  )
}

function pin(c: string, feed: string, pinned: boolean): void {
  session.pin(c, feed, pinned).catch((err: Error) => (toast.value = { text: err.message }))
}
