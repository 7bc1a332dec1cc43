/** What is wrong with a job, and what a check comes to. */

export interface Problem {
  /** Dotted path of the field; "job" for the document itself. */
  readonly field: string
  /** Names the value and what is accepted. */
  readonly message: string
}

/** Notices are sentences about what is accepted but ignored or replaced. */
export type Checked<Right, Wrong> =
  | ({ readonly ok: true; readonly notices: readonly string[] } & Right)
  | ({ readonly ok: false; readonly problems: readonly Problem[] } & Wrong)
