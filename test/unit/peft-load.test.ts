import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterAll, describe, expect, it } from 'vitest'
import { writePeftAdapter } from '../../src/formats/peft'
import { flattenPrompt, type ModelKind, type OutputModelType, type PromptTensors } from '../../src/formats/prompt-tensors'
import { pythonWith, runPython } from '../support/python'

const python = pythonWith('peft', 'torch', 'transformers')

/** A prompt of 2 virtual tokens, width 4; for MPT 3 tasks and 2 ranks. */
function promptOf(kind: ModelKind, tuning_type: PromptTensors['tuning_type'], parts: readonly OutputModelType[]): PromptTensors {
  const floats = (length: number, seed: number) => Float32Array.from({ length }, (_, i) => Math.sin(seed + i * 1.7))
  const total = 2 * parts.length
  const base = { kind, num_virtual_tokens: 2, hidden_size: 4, output_model_types: parts, prompt_embeddings: floats(total * 4, 1) }
  if (tuning_type === 'PROMPT_TUNING') return { ...base, tuning_type }
  const factors = { prefix_task_cols: floats(3 * total * 2, 2), prefix_task_rows: floats(3 * 2 * 4, 3) }
  return { ...base, ...factors, tuning_type, num_tasks: 3, num_ranks: 2, task_names: ['a', 'b', 'c'] }
}

describe.skipIf(python === null)(
  `PEFT itself${python === null ? ' (no python3 with peft, torch and transformers here)' : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'peft-'))
    afterAll(() => rmSync(folder, { recursive: true }))
    const LoadedSchema = v.object({ class: v.string(), peft_type: v.string(), prompts: v.array(v.array(v.array(v.number()))) })

    it.each([
      ['causal-lm', 'PROMPT_TUNING', ['DECODER']],
      ['causal-lm', 'MULTITASK_PROMPT_TUNING', ['DECODER']],
      ['seq2seq', 'PROMPT_TUNING', ['ENCODER']],
      ['seq2seq', 'PROMPT_TUNING', ['ENCODER', 'DECODER']],
      ['seq2seq', 'MULTITASK_PROMPT_TUNING', ['ENCODER']],
      ['seq2seq', 'MULTITASK_PROMPT_TUNING', ['ENCODER', 'DECODER']],
    ] as const)(
      'loads %s %s for %j, and has the same prompt for every task',
      (kind, tuning_type, parts) => {
        const prompt = promptOf(kind, tuning_type, parts)
        const { files } = writePeftAdapter(prompt, {
          base_model: 'some/model',
          revision: null,
          // With a source method PEFT would refuse to load (see peft.ts).
          prompt_tuning_init_method: 'AVERAGE_SOURCE',
          prompt_tuning_init_text: null,
          num_layers: null,
          num_attention_heads: null,
        })
        for (const { path, bytes } of files) writeFileSync(join(folder, path), bytes)
        const loaded = v.parse(LoadedSchema, JSON.parse(runPython(python ?? '', ['test/python/peft_load.py', folder])))
        expect(loaded).toMatchObject({
          class: kind === 'seq2seq' ? 'PeftModelForSeq2SeqLM' : 'PeftModelForCausalLM',
          peft_type: tuning_type,
        })
        const tasks = prompt.tuning_type === 'PROMPT_TUNING' ? [0] : [0, 1, 2]
        expect(loaded.prompts).toHaveLength(tasks.length)
        for (const task of tasks) {
          const ours = [...flattenPrompt(prompt, task).prompt_embeddings]
          const theirs = loaded.prompts[task]?.flat() ?? []
          expect(theirs).toHaveLength(ours.length)
          // Two ranks: torch may fuse a product and a sum, which is a last bit.
          ours.forEach((value, i) => expect(Math.abs(value - (theirs[i] ?? NaN))).toBeLessThan(2e-7))
        }
      },
      120_000,
    )
  },
)
