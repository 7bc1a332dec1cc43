/** The forms a prompt can be taken away in, each with a name and a sentence, as src/library/export-formats.ts lists them. Pure. */
import { EXPORT_FORMATS, OF_ONE_TASK, type ExportFormat } from '../../library/export-formats'
import type { PromptSummary } from '../../library/prompt-record'

export interface ExportChoice {
  readonly format: ExportFormat
  readonly name: string
  readonly about: string
  /** Said while it is made. */
  readonly doing: string
  /** A task has to be chosen: the prompt has several, and the format holds one. */
  readonly asksTask: boolean
}

type Described = Omit<ExportChoice, 'format' | 'asksTask'>

const DESCRIBED: Readonly<Record<ExportFormat, Described>> = {
  peft: {
    name: 'PEFT adapter',
    about: 'adapter_config.json and adapter_model.safetensors for Python’s peft, as it saves them itself.',
    doing: 'Packing the adapter',
  },
  peft_flat: {
    name: 'Flat PEFT adapter',
    about: 'One task of it, multiplied out to a plain PROMPT_TUNING adapter: for tools that know no multitask prompts.',
    doing: 'Packing the adapter',
  },
  caikit: {
    name: 'caikit module',
    about: 'A module folder that caikit-nlp loads and serves, with the prompt as .pt files and the training log.',
    doing: 'Writing the caikit module',
  },
  baked: {
    name: 'Baked model',
    about: 'A copy of the model with the prompt inside, which plain transformers.js or onnxruntime runs. As large as the model.',
    doing: 'Baking the prompt into the model',
  },
}

const severalTasks = ({ multitask }: Pick<PromptSummary, 'multitask'>): boolean => (multitask?.num_tasks ?? 1) > 1

/** A plain prompt is flat already. */
export const exportChoices = (prompt: Pick<PromptSummary, 'multitask'>): readonly ExportChoice[] =>
  EXPORT_FORMATS.filter((format) => format !== 'peft_flat' || prompt.multitask !== null).map((format) => ({
    format,
    ...DESCRIBED[format],
    asksTask: severalTasks(prompt) && OF_ONE_TASK.includes(format),
  }))

/** What the task is called in an export_prompt command: null where there is nothing to choose. */
export const taskFor = (choice: ExportChoice, chosen: string): string | null => (choice.asksTask ? chosen : null)
