/** What measure.ts measures, shared with those who read it. */
export const VIRTUAL_TOKENS = 8
export const LABELS = 4
