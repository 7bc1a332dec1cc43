/** docs/generation.md, made from the schema of an answer's parameters. Pure: cli/docs.ts writes it, a test compares it. */
import { generationFields, type GenerationField } from '../src/models/generation/parameters'
import { FINISH_REASONS, type FinishReason } from '../src/models/generation/result'
import { code, table } from './parameters-page'

const ENDS: Readonly<Record<FinishReason, string>> = {
  EOS_TOKEN: 'The model ended its answer.',
  MAX_TOKENS: '`max_new_tokens` were said.',
  CANCELLED: 'Someone stopped it.',
  STOP_SEQUENCE: 'The text ends with one of `stop_sequences`.',
  TIME_LIMIT: '`max_time` was over.',
  TOKEN_LIMIT: 'The model has no position left for another token.',
}

function row({ path, accepted, default: fallback, level, shown_when, help }: GenerationField): string[] {
  const place = level === 'basic' ? 'basic' : 'Advanced'
  const only = shown_when === undefined ? '' : ', while `decoding_method` is `SAMPLING`'
  return [code(path), accepted, code(JSON.stringify(fallback)), `${place}${only}`, help]
}

/** The whole page, Markdown. */
export function generationPage(): string {
  return `${[
    '<!-- Made by `npm run docs` from src/models/generation; edit the schema there, not this page. -->',
    '# Parameters of an answer',
    "One schema (`src/models/generation/parameters.ts`) makes the form under _Try_, the flags of `npm run generate` and this page. The names are those of caikit-nlp's text generation and of TGIS. As a flag a name is written with dashes: `--max-new-tokens 40`, `--exponential-decay-length-penalty-start-index 10`.",
    table(['Name', 'Accepted', 'Default', 'In the form', 'What it is'], generationFields().map(row)),
    [
      'Where we differ from upstream:',
      '',
      '- Defaults. Upstream `max_new_tokens` is 20, and `temperature`, `top_k` and `top_p` are off; with those, small models ramble. `preserve_input_text` is true in caikit, false in TGIS and here.',
      '- Stop sequences are looked for in the decoded text of the answer, after every token; caikit compares token ids, those of the input included. The text ends with the sequence, even inside a token. A sequence that ends before `min_new_tokens` stops nothing. Special tokens are no part of the text.',
      '- `truncate_input_tokens` cuts the end of the input; the template around it stays whole.',
      "- `repetition_penalty`, `min_new_tokens` and the length penalty also work with `GREEDY`; the rest of what shapes the draw is ignored there, as in caikit. What a model's own generation_config.json sets (beams, minimum length, no repeated n-grams, a forced end) is not used: the parameters say it all, as when a prompt is measured.",
      "- The order is HF's: repetition penalty, minimum length, temperature, length penalty, top k, top p, typical p.",
    ].join('\n'),
    '## How an answer ended',
    table(
      ['finish_reason', 'What it means'],
      FINISH_REASONS.map((reason) => [code(reason), ENDS[reason]]),
    ),
  ].join('\n\n')}\n`
}
