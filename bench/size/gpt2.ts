/** A GPT-2 as optimum exports it with a cache (opset 17): Conv1D as Gemm between reshapes, a sliced causal bias, gelu_new written out, a tied head. */
import { fromFloat32 } from '../../src/graph/tensor'
import { int, ints, OnnxBuilder } from './onnx-builder'

export interface Gpt2Shape {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly vocab: number
  readonly positions: number
}

export const GPT2_SMALL: Gpt2Shape = { layers: 12, hidden: 768, heads: 12, vocab: 50257, positions: 1024 }

export const gpt2Config = ({ layers, hidden, heads, vocab, positions }: Gpt2Shape): object => ({
  architectures: ['GPT2LMHeadModel'],
  model_type: 'gpt2',
  n_layer: layers,
  n_embd: hidden,
  n_head: heads,
  n_positions: positions,
  n_ctx: positions,
  vocab_size: vocab,
  bos_token_id: 0,
  eos_token_id: 0,
})

export function gpt2({ layers, hidden: H, heads, vocab, positions }: Gpt2Shape): OnnxBuilder {
  const b = new OnnxBuilder()
  const size = H / heads
  const ids = b.input('input_ids', 'int64', ['batch_size', 'sequence_length'])
  const mask = b.input('attention_mask', 'int64', ['batch_size', 'past_sequence_length + sequence_length'])
  const places = b.input('position_ids', 'int64', ['batch_size', 'sequence_length'])
  b.output('logits', ['batch_size', 'sequence_length', vocab])
  const scalar = (name: string, value: number) => b.constant(name, fromFloat32([], Float32Array.of(value)))
  const table = b.weight('transformer.wte.weight', [vocab, H], 0.035)
  const words = b.node('Gather', '/transformer/wte/Gather', [table, ids])
  const spots = b.node('Gather', '/transformer/wpe/Gather', [b.weight('transformer.wpe.weight', [positions, H], 0.017), places])
  let x = b.node('Add', '/transformer/Add', [words, spots])

  const wide = b.node('Unsqueeze', '/transformer/Unsqueeze', [mask, b.int64s('axes 1 2', 1, 2)])
  const kept = b.node('Cast', '/transformer/Cast', [wide], { attributes: { to: int(1) } })
  const dropped = b.node('Sub', '/transformer/Sub', [scalar('one', 1), kept])
  const bias = b.node('Mul', '/transformer/Mul', [dropped, scalar('least', -3.4028234663852886e38)])
  const causal = Uint8Array.from({ length: positions * positions }, (_, i) => Number(i % positions <= Math.floor(i / positions)))
  b.constant('transformer.bias', { dtype: 'bool', dims: [1, 1, positions, positions], bytes: causal })

  const norm = (name: string, input: string) => {
    const inputs = [input, b.weight(`${name}.weight`, [H], 0.1, 1), b.weight(`${name}.bias`, [H], 0.02)]
    return b.node('LayerNormalization', `/${name}/LayerNormalization`, inputs, { attributes: { axis: int(-1) } })
  }
  /** Conv1D: rows flattened, Gemm, and the shape of before with another width. */
  const linear = (name: string, input: string, from: number, to: number) => {
    const shape = b.node('Shape', `/${name}/Shape`, [input])
    const rows = b.node('Slice', `/${name}/Slice`, [shape, b.int64s('0', 0), b.int64s('2', 2), b.int64s('axis 0', 0)])
    const target = b.node('Concat', `/${name}/Concat`, [rows, b.int64s(`${to}`, to)], { attributes: { axis: int(0) } })
    const flat = b.node('Reshape', `/${name}/Reshape`, [input, b.int64s(`rows of ${from}`, -1, from)])
    const inputs = [flat, b.weight(`${name}.weight`, [from, to], 0.035), b.weight(`${name}.bias`, [to], 0.02)]
    return b.node('Reshape', `/${name}/Reshape_1`, [b.node('Gemm', `/${name}/Gemm`, inputs), target])
  }

  for (let i = 0; i < layers; i++) {
    const at = `transformer/h.${i}`
    const past = ['key', 'value'].map((what) =>
      b.input(`past_key_values.${i}.${what}`, 'float32', ['batch_size', heads, 'past_sequence_length', size]),
    )
    const qkv = linear(`${at}/attn/c_attn`, norm(`${at}/ln_1`, x), H, 3 * H)
    const parts = ['q', 'k', 'v'].map((part) => `/${at}/attn/${part}`)
    b.node('Split', `/${at}/attn/Split`, [qkv, b.int64s('thirds', H, H, H)], { attributes: { axis: int(2) }, outputs: parts })
    const [q = '', k = '', v = ''] = parts.map((part) => {
      const apart = b.node('Reshape', `${part}/Reshape`, [part, b.int64s('heads', 0, 0, heads, size)])
      return b.node('Transpose', `${part}/Transpose`, [apart], { attributes: { perm: ints(0, 2, 1, 3) } })
    })
    const [keys = '', values = ''] = [k, v].map((now, n) => {
      const present = `present.${i}.${n === 0 ? 'key' : 'value'}`
      b.output(present, ['batch_size', heads, 'past_sequence_length + sequence_length', size])
      return b.node('Concat', `/${at}/attn/Concat_${n}`, [past[n] ?? '', now], {
        attributes: { axis: int(-2) },
        outputs: [present],
      })
    })
    const turned = b.node('Transpose', `/${at}/attn/Transpose_3`, [keys], { attributes: { perm: ints(0, 1, 3, 2) } })
    const raw = b.node('MatMul', `/${at}/attn/MatMul`, [q, turned])
    const scores = b.node('Div', `/${at}/attn/Div`, [raw, scalar(`/${at}/attn/root`, Math.sqrt(size))])
    const length = (of: string, name: string) => {
      const shape = b.node('Shape', `/${at}/attn/Shape_${name}`, [of])
      return b.node('Slice', `/${at}/attn/Slice_${name}`, [shape, b.int64s('2', 2), b.int64s('3', 3), b.int64s('axis 0', 0)])
    }
    const [queries, total] = [length(q, 'q'), length(keys, 'k')]
    const first = b.node('Sub', `/${at}/attn/Sub`, [total, queries])
    const rows = b.node('Slice', `/${at}/attn/Slice_rows`, ['transformer.bias', first, total, b.int64s('axis 2', 2)])
    const seen = b.node('Slice', `/${at}/attn/Slice_cols`, [rows, b.int64s('0', 0), total, b.int64s('axis 3', 3)])
    const causalScores = b.node('Where', `/${at}/attn/Where`, [seen, scores, 'least'])
    const masked = b.node('Add', `/${at}/attn/Add`, [causalScores, bias])
    const p = b.node('Softmax', `/${at}/attn/Softmax`, [masked], { attributes: { axis: int(-1) } })
    const mixed = b.node('MatMul', `/${at}/attn/MatMul_1`, [p, values])
    const back = b.node('Transpose', `/${at}/attn/Transpose_4`, [mixed], { attributes: { perm: ints(0, 2, 1, 3) } })
    const merged = b.node('Reshape', `/${at}/attn/Reshape_3`, [back, b.int64s('merged', 0, 0, H)])
    x = b.node('Add', `/${at}/Add`, [linear(`${at}/attn/c_proj`, merged, H, H), x])
    const up = linear(`${at}/mlp/c_fc`, norm(`${at}/ln_2`, x), H, 4 * H)
    x = b.node('Add', `/${at}/Add_1`, [x, linear(`${at}/mlp/c_proj`, geluNew(b, `/${at}/mlp/act`, up, scalar), 4 * H, H)])
  }
  const head = b.node('Transpose', '/lm_head/Transpose', [table], { attributes: { perm: ints(1, 0) } })
  b.node('MatMul', '/lm_head/MatMul', [norm('transformer/ln_f', x), head], { outputs: ['logits'] })
  return b
}

/** 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
function geluNew(b: OnnxBuilder, at: string, x: string, scalar: (name: string, value: number) => string): string {
  const half = b.node('Mul', `${at}/Mul`, [x, scalar('half', 0.5)])
  const cube = b.node('Pow', `${at}/Pow`, [x, scalar('three', 3)])
  const small = b.node('Mul', `${at}/Mul_1`, [cube, scalar('cubic', 0.044715)])
  const sum = b.node('Add', `${at}/Add`, [x, small])
  const inner = b.node('Mul', `${at}/Mul_2`, [sum, scalar('scale', Math.sqrt(2 / Math.PI))])
  const up = b.node('Add', `${at}/Add_1`, [b.node('Tanh', `${at}/Tanh`, [inner]), scalar('one', 1)])
  return b.node('Mul', `${at}/Mul_3`, [half, up])
}
