import { signal } from '@preact/signals'

/** undefined until the server has said so. */
export const signedIn = signal<boolean | undefined>(undefined)
