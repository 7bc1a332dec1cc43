/** The README of a folder that runs a job with PEFT (python-job.ts). Text only. */
import type { ModelKind, OutputModelType } from './prompt-tensors'

export interface PythonReadmeParts {
  readonly name: string
  readonly base_model: string
  readonly kind: ModelKind
  readonly output_model_types: readonly OutputModelType[]
  readonly multitask: boolean
  readonly on_hub: boolean
  /** What caikit-nlp does otherwise. */
  readonly differences: readonly string[]
}

export function pythonReadme(parts: PythonReadmeParts): string {
  const { name, base_model, on_hub, differences } = parts
  const model = on_hub ? '' : ' --base-model FOLDER'
  const weights = on_hub
    ? `The model \`${base_model}\` comes from the hub; \`--base-model FOLDER\` takes it from a folder instead.`
    : `\`FOLDER\` holds the weights of \`${base_model}\` for Python (config.json, model.safetensors, tokenizer.json): that model is not on the hub by
this name, and its ONNX file can't be trained by PyTorch.`
  return `# ${name.replace(/\s+/g, ' ')}

A Promptlathe job, ready to run with [PEFT](https://github.com/huggingface/peft) on a larger machine.

\`\`\`sh
pip install -r requirements.txt
accelerate launch train.py --out out${model}
\`\`\`

It writes \`out/prompt\` (a PEFT adapter, which Promptlathe imports) and \`out/report.json\` (losses, and exact match on the held-out rows before and
after). ${weights}
\`--dtype bfloat16\` runs the frozen model in half the memory; the prompt stays float32. \`accelerate launch --multi_gpu\` shares every batch
among the cards and gives the same run but for rounding.

| file | what it is |
| --- | --- |
| \`job.json\` | the job as Promptlathe takes it: \`npm run tune -- job.json\` runs it in the browser's engine |
| \`resolved.json\` | what "auto" and null came to on this model |
| \`train.jsonl\`, \`validation.jsonl\` | the rows, split as the browser splits them |
| \`train.py\` | the loop; \`prompts.py\` the virtual tokens and the model, \`sequences.py\` from text to tokens |
| \`caikit_train_request.json\` | the job for caikit's runtime, see below |

Everything is as in the browser but the random numbers (starting values and the order of rows), which are PyTorch's and Python's own.

## Using the prompt in Python

${usage(parts)}
## caikit

\`caikit_train_request.json\` is a train request for caikit's runtime with caikit-nlp (its PeftPromptTuning module). File names in it are relative
to where the runtime looks for them. caikit-nlp does not do all of this job:

${differences.map((sentence) => `- ${sentence}`).join('\n')}
`
}

function usage({ base_model, kind, output_model_types, multitask }: PythonReadmeParts): string {
  const seq2seq = kind === 'seq2seq'
  const auto = seq2seq ? 'AutoModelForSeq2SeqLM' : 'AutoModelForCausalLM'
  const patch = seq2seq
    ? '# peft 0.21 looks for a method that transformers 5 no longer has.\nbase._prepare_encoder_decoder_kwargs_for_generation = None\n'
    : ''
  const notes: string[] = []
  if (output_model_types.includes('DECODER') && seq2seq) {
    notes.push('PEFT itself puts no prompt in front of a decoder when it generates; `Tuned.answer` in `prompts.py` does.')
  }
  if (multitask) notes.push('Give `task_ids` with every call; they count the tasks in alphabetical order from 0.')
  return `\`\`\`python
from peft import PeftModel
from transformers import ${auto}

base = ${auto}.from_pretrained(${JSON.stringify(base_model)})
${patch}model = PeftModel.from_pretrained(base, "out/prompt")
\`\`\`
${notes.map((note) => `\n${note}\n`).join('')}`
}
