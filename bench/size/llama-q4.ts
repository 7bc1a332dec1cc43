/** A Llama as onnxruntime-genai exports it in 4 bits: MatMulNBits, GroupQueryAttention with its own rotary, a GatherBlockQuantized table. */
import { float, int, OnnxBuilder } from './onnx-builder'

export interface LlamaQ4Shape {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly key_heads: number
  readonly intermediate: number
  readonly vocab: number
  readonly positions: number
}

/** Qwen2.5-0.5B's, without the biases of q, k and v. */
export const LLAMA_HALF_BILLION: LlamaQ4Shape = {
  layers: 24,
  hidden: 896,
  heads: 14,
  key_heads: 2,
  intermediate: 4864,
  vocab: 151936,
  positions: 4096,
}

const BLOCK = 32
const MICROSOFT = 'com.microsoft'

export const llamaConfig = ({ layers, hidden, heads, key_heads, intermediate, vocab, positions }: LlamaQ4Shape): object => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  num_hidden_layers: layers,
  hidden_size: hidden,
  num_attention_heads: heads,
  num_key_value_heads: key_heads,
  intermediate_size: intermediate,
  vocab_size: vocab,
  max_position_embeddings: positions,
  rms_norm_eps: 1e-6,
  bos_token_id: 0,
  eos_token_id: 0,
})

export function llamaQ4(shape: LlamaQ4Shape): OnnxBuilder {
  const { layers, hidden: H, heads, key_heads, intermediate, vocab, positions } = shape
  const b = new OnnxBuilder()
  const size = H / heads
  const ids = b.input('input_ids', 'int64', ['batch_size', 'sequence_length'])
  const mask = b.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length'])
  b.output('logits', ['batch_size', 'sequence_length', vocab])
  const seen = b.node('ReduceSum', '/model/attn_mask/ReduceSum', [mask, b.int64s('axis 1', 1)], {
    attributes: { keepdims: int(0) },
  })
  const last = b.node('Sub', '/model/attn_mask/Sub', [seen, b.int64s('one', 1)])
  const seqlens = b.node('Cast', '/model/attn_mask/Cast', [last], { attributes: { to: int(6) } })
  const whole = b.node('Gather', '/model/attn_mask/Gather', [
    b.node('Shape', '/model/attn_mask/Shape', [mask]),
    b.constant('index 1', { dtype: 'int64', dims: [], bytes: new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]) }),
  ])
  const total = b.node('Cast', '/model/attn_mask/Cast_1', [whole], { attributes: { to: int(6) } })
  const angle = (f: (x: number) => number) =>
    Float32Array.from({ length: (positions * size) / 2 }, (_, i) => {
      const [place, pair] = [Math.floor(i / (size / 2)), i % (size / 2)]
      return f(place / 10000 ** ((2 * pair) / size))
    })
  const cos = b.floats('cos_cache', [positions, size / 2], angle(Math.cos))
  const sin = b.floats('sin_cache', [positions, size / 2], angle(Math.sin))

  const norm = (name: string) => b.weight(`${name}.weight`, [H], 0.1, 1)
  const linear = (name: string, x: string, K: number, N: number, outputs?: readonly string[]) => {
    const codes = b.bytes(`${name}.weight_Q4`, [N, K / BLOCK, BLOCK / 2])
    const scales = b.weight(`${name}.weight_scales`, [(N * K) / BLOCK], 0.001, 0.006)
    const attributes = { K: int(K), N: int(N), bits: int(4), block_size: int(BLOCK) }
    return b.node('MatMulNBits', `/${name}`, [x, codes, scales], { domain: MICROSOFT, attributes, ...(outputs && { outputs }) })
  }
  const table = [
    b.bytes('embed_tokens.weight_Q4', [vocab, H / 2]),
    ids,
    b.weight('embed_tokens.weight_scales', [vocab, H / BLOCK], 0.001, 0.01),
  ]
  const rows = { bits: int(4), block_size: int(BLOCK), gather_axis: int(0), quantize_axis: int(1) }
  let x = b.node('GatherBlockQuantized', '/model/embed_tokens', table, { domain: MICROSOFT, attributes: rows })
  const epsilon = { epsilon: float(1e-6) }
  let h = b.node('SimplifiedLayerNormalization', '/model/layers.0/ln1', [x, norm('model.layers.0.ln1')], {
    attributes: { ...epsilon, axis: int(-1), stash_type: int(1) },
  })
  /** x + y, and its norm. */
  const skip = (name: string, x: string, y: string, weight: string): readonly [string, string] => {
    const outputs = [`/${name}/norm`, '', '', `/${name}/sum`]
    const normed = b.node('SkipSimplifiedLayerNormalization', `/${name}`, [x, y, weight], {
      domain: MICROSOFT,
      attributes: epsilon,
      outputs,
    })
    return [normed, `/${name}/sum`]
  }
  for (let i = 0; i < layers; i++) {
    const at = `model/layers.${i}`
    const cache = ['key', 'value'].map((what) => {
      b.output(`present.${i}.${what}`, ['batch_size', key_heads, 'total_sequence_length', size])
      return b.input(`past_key_values.${i}.${what}`, 'float32', ['batch_size', key_heads, 'past_sequence_length', size])
    })
    const [q, k, v] = [
      linear(`${at}/q_proj`, h, H, H),
      linear(`${at}/k_proj`, h, H, key_heads * size),
      linear(`${at}/v_proj`, h, H, key_heads * size),
    ]
    const attributes = { num_heads: int(heads), kv_num_heads: int(key_heads), do_rotary: int(1) }
    const mixed = b.node('GroupQueryAttention', `/${at}/attn`, [q, k, v, ...cache, seqlens, total, cos, sin], {
      domain: MICROSOFT,
      attributes,
      outputs: [`/${at}/attn/y`, `present.${i}.key`, `present.${i}.value`],
    })
    ;[h, x] = skip(`${at}/ln2`, x, linear(`${at}/o_proj`, mixed, H, H), norm(`${at}.ln2`))
    const gate = linear(`${at}/gate_proj`, h, H, intermediate)
    const silu = b.node('Mul', `/${at}/act/Mul`, [gate, b.node('Sigmoid', `/${at}/act/Sigmoid`, [gate])])
    const wide = b.node('Mul', `/${at}/Mul`, [silu, linear(`${at}/up_proj`, h, H, intermediate)])
    ;[h, x] = skip(`${at}/ln_next`, x, linear(`${at}/down_proj`, wide, intermediate, H), norm(`${at}.ln_next`))
  }
  linear('lm_head', h, H, vocab, ['logits'])
  return b
}
