// Drawn on a grid of 20, with one stroke.

import type { ComponentChildren } from 'preact'

function Icon({ children, size = 18 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {children}
    </svg>
  )
}

/** Two sides of a talk, facing one another, and what is between them. */
export const Mark = ({ size = 24 }: { size?: number }) => (
  <svg class="mark" width={size} height={size} viewBox="0 0 24 24" fill="none" aria-hidden="true">
    <path d="M9.5 4.5a7.5 7.5 0 0 0 0 15M14.5 4.5a7.5 7.5 0 0 1 0 15" stroke="currentColor" stroke-width="2.4" stroke-linecap="round" />
    <circle class="mark-dot" cx="12" cy="12" r="1.9" />
  </svg>
)

export const Plus = () => <Icon><path d="M10 4v12M4 10h12" /></Icon>
export const Menu = () => <Icon size={20}><path d="M3.5 6h13M3.5 10h13M3.5 14h9" /></Icon>
export const Close = () => <Icon><path d="m5 5 10 10M15 5 5 15" /></Icon>
export const More = () => <Icon><path d="M5 10h.01M10 10h.01M15 10h.01" stroke-width="2.4" /></Icon>
export const Pencil = () => <Icon><path d="m4 16 .8-3.4L13 4.4a1.8 1.8 0 0 1 2.6 2.6l-8.2 8.2L4 16Z" /></Icon>
export const Trash = () => <Icon><path d="M4 6h12M8 6V4h4v2M6 6l.6 10h6.8L14 6M8.5 9v4.5M11.5 9v4.5" /></Icon>
export const Copy = () => <Icon><rect x="7" y="7" width="9" height="9" rx="1.8" /><path d="M13 7V5.5A1.5 1.5 0 0 0 11.5 4H5.5A1.5 1.5 0 0 0 4 5.5V11.5A1.5 1.5 0 0 0 5.5 13H7" /></Icon>
export const Check = () => <Icon><path d="m4.5 10.5 3.5 3.5 7.5-8" /></Icon>
export const Again = () => <Icon><path d="M15.5 8.2A6 6 0 1 0 16 10.5M16 4.5v3.9h-3.9" /></Icon>
export const Clip = () => <Icon size={20}><path d="m15.5 9.500-5.700 5.700a3.700 3.700 0 0 1-5.200-5.200l6.400-6.400a2.500 2.500 0 0 1 3.500 3.500l-6.300 6.300a1.200 1.200 0 0 1-1.700-1.700l5.600-5.600" /></Icon>
export const Paper = () => <Icon><path d="M11.500 3H6a1.500 1.500 0 0 0-1.500 1.500v11A1.500 1.500 0 0 0 6 17h8a1.500 1.500 0 0 0 1.500-1.500V7l-4-4Zm0 0v4h4" /></Icon>
export const Send = () => <Icon size={20}><path d="M10 16V4.5M5 9.2l5-5 5 5" stroke-width="1.9" /></Icon>
export const Stop = () => <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true"><rect x="1.5" y="1.5" width="11" height="11" rx="2.2" fill="currentColor" /></svg>
export const Down = () => <Icon><path d="M10 4v11.5M5 10.8l5 5 5-5" /></Icon>
export const Chevron = () => <Icon size={16}><path d="m7 5 5 5-5 5" /></Icon>
export const Cross = () => <Icon size={16}><path d="m6 6 8 8M14 6l-8 8" stroke-width="2" /></Icon>
export const Tick = () => <Icon size={16}><path d="m5 10.5 3.3 3.3L15 6.5" stroke-width="2" /></Icon>
export const Dash = () => <Icon size={16}><path d="M6 10h8" stroke-width="2" /></Icon>
export const Handover = () => <Icon size={16}><path d="M3 7h11M11 4l3 3-3 3M17 13H6M9 10l-3 3 3 3" /></Icon>
export const Hand = () => <Icon size={16}><circle cx="10" cy="10" r="7" /><path d="M8.2 7.2v5.6M11.8 7.2v5.6" /></Icon>
export const Warn = () => <Icon><path d="M10 3.5 17.5 16h-15L10 3.5ZM10 8.5v3.5M10 14.2h.01" /></Icon>
export const Sun = () => <Icon size={16}><circle cx="10" cy="10" r="3.2" /><path d="M10 2.5v1.7M10 15.8v1.7M2.5 10h1.7M15.8 10h1.7M4.7 4.7l1.2 1.2M14.1 14.1l1.2 1.2M4.7 15.3l1.2-1.2M14.1 5.9l1.2-1.2" /></Icon>
export const Moon = () => <Icon size={16}><path d="M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5Z" /></Icon>
export const Screen = () => <Icon size={16}><rect x="3" y="4" width="14" height="9.5" rx="1.5" /><path d="M7.5 16.5h5" /></Icon>
export const Cloud = () => <Icon size={20}><path d="M6 15.5a3.5 3.5 0 0 1-.3-7A4.8 4.8 0 0 1 15 9.2a3.2 3.2 0 0 1-.5 6.3H6Z" /></Icon>
export const Replicas = () => <Icon size={20}><rect x="3" y="4" width="14" height="4.5" rx="1.3" /><rect x="3" y="11.5" width="14" height="4.5" rx="1.3" /><path d="M6 6.250h.01M6 13.750h.01" stroke-width="2" /></Icon>
export const Plug = () => <Icon size={20}><path d="M7 3.5v4M13 3.5v4M5 7.5h10v2.5a5 5 0 0 1-10 0V7.5ZM10 15v2.5" /></Icon>
export const Halt = () => <Icon size={20}><circle cx="10" cy="10" r="7" /><rect x="7.5" y="7.5" width="5" height="5" rx="1" /></Icon>
export const Book = () => <Icon size={16}><path d="M10 5.5C8.5 4.3 6.3 4 3.5 4v11c2.8 0 5 .3 6.5 1.5 1.5-1.2 3.7-1.5 6.5-1.5V4c-2.8 0-5 .3-6.5 1.5ZM10 5.5v11" /></Icon>
