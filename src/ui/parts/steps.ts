/** The six steps by id, and going to one of them. */
export const STEPS = [
  { id: 'model', title: 'Model' },
  { id: 'examples', title: 'Examples' },
  { id: 'settings', title: 'Settings' },
  { id: 'tune', title: 'Tune' },
  { id: 'try', title: 'Try' },
  { id: 'keep', title: 'Keep' },
] as const

export type StepId = (typeof STEPS)[number]['id']

/** Scrolls a step into view and puts the focus on its heading. The address is the job's, so links between steps leave it alone. */
export function goTo(id: StepId): void {
  document.getElementById(id)?.scrollIntoView({ block: 'start' })
  document.getElementById(`${id}-title`)?.focus({ preventScroll: true })
}
