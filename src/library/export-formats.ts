/** The forms a prompt can be taken away in; how each is written is in src/formats. */

/**
 * peft: an adapter; peft_flat: a multitask prompt's task as an adapter for PROMPT_TUNING; caikit: a module folder; baked: the model with the
 * prompt inside, for plain transformers.js.
 */
export const EXPORT_FORMATS = ['peft', 'peft_flat', 'caikit', 'baked'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

/** Formats that hold one task of a multitask prompt. */
export const OF_ONE_TASK: readonly ExportFormat[] = ['peft_flat', 'caikit', 'baked']
